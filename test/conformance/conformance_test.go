package conformance

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/apis/v1alpha2"
	"sigs.k8s.io/gateway-api/apis/v1alpha3"
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"
	"sigs.k8s.io/gateway-api/conformance"
	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/config"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
	"sigs.k8s.io/yaml"

	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/test/cluster"
)

const (
	root  = "../.."
	docs  = root + "/docs/conformance"
	names = "testdata/tests.txt"
)

var (
	update = flag.Bool("update", false, "write "+names+" and "+docs)
	only   = flag.String("only", "", "name of the one test of the suite that is run")
	core   = flag.Bool("core", false, "run what every Gateway has to do, and of the extended features the modes of TLSRoutes alone")
)

// TestConformance runs every test of the suite for what a GatewayClass of ours tells. A test that fails, is skipped or is no
// longer there is a failure: the list of names says which there have to be.
func TestConformance(t *testing.T) {
	c := install(t)
	s, err := suite.NewConformanceTestSuite(options(t, c))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("Suite", func(t *testing.T) { // has ended, for the report, when its subtests have
		s.Setup(t, tests.ConformanceTests)
		if err := s.Run(t, tests.ConformanceTests); err != nil {
			t.Error(err)
		}
	})
	if *only != "" {
		return
	}
	report, err := s.Report()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.ProfileReports {
		perfect(t, p.Name+" core", &p.Core)
		if p.Extended != nil {
			perfect(t, p.Name+" extended", &p.Extended.Status)
		}
	}
	if !*core {
		commit(t, s, report)
	}
}

// commit holds the report, and the names of the tests, to what is committed.
func commit(t *testing.T, s *suite.ConformanceTestSuite, report *confv1.ConformanceReport) {
	var ran []string
	for _, test := range tests.ConformanceTests {
		if s.SupportedFeatures.HasAll(test.Features...) {
			ran = append(ran, test.ShortName)
		}
	}
	slices.Sort(ran)
	keep(t, names, strings.Join(ran, "\n")+"\n")
	report.Date = "" // of each run another
	slices.SortFunc(report.ProfileReports, func(a, b confv1.ProfileReport) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(report.SucceededProvisionalTests)
	for _, p := range report.ProfileReports {
		if p.Extended != nil {
			slices.Sort(p.Extended.SupportedFeatures)
			slices.Sort(p.Extended.UnsupportedFeatures)
		}
	}
	text, err := yaml.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	keep(t, filepath.Join(docs, "report.yaml"), string(text))
	keep(t, filepath.Join(docs, "README.md"), page(report))
}

// perfect says whether all tests of a part of the report passed.
func perfect(t *testing.T, part string, s *confv1.Status) {
	t.Logf("%s: %d passed, %d skipped, %d failed", part, s.Statistics.Passed, s.Statistics.Skipped, s.Statistics.Failed)
	if s.Result != confv1.Success || s.Statistics.Skipped+s.Statistics.Failed > 0 {
		t.Errorf("%s: %s, failed %v, skipped %v", part, s.Result, s.FailedTests, s.SkippedTests)
	}
}

// keep compares a text with a committed file, or writes it.
func keep(t *testing.T, path, text string) {
	if *update && !t.Failed() {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != text {
		t.Errorf("%s (make conformance-update writes it): %v\nnow:\n%s", path, err, text)
	}
}

func options(t *testing.T, c *cluster.Cluster) suite.ConformanceOptions {
	cfg := restConfig(t, c)
	cl, err := client.New(cfg, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, add := range []func() error{
		func() error { return v1alpha3.Install(cl.Scheme()) }, func() error { return v1alpha2.Install(cl.Scheme()) },
		func() error { return xv1alpha1.Install(cl.Scheme()) }, func() error { return gatewayv1.Install(cl.Scheme()) },
		func() error { return apiextensionsv1.AddToScheme(cl.Scheme()) },
	} {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	set, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return suite.ConformanceOptions{
		Client: cl, Clientset: set, RestConfig: cfg, ManifestFS: []fs.FS{&conformance.Manifests},
		ConfigurableOptions: suite.ConfigurableOptions{
			GatewayClassName: translate.ClassName, SupportedFeatures: claimed(), CleanupTestResources: true,
			TimeoutConfig: config.DefaultTimeoutConfig(), RunTest: *only, Mode: "default",
			ConformanceProfiles: []suite.ConformanceProfileName{
				suite.GatewayHTTPConformanceProfileName, suite.GatewayGRPCConformanceProfileName, suite.GatewayTLSConformanceProfileName,
				suite.GatewayTCPConformanceProfileName, suite.GatewayUDPConformanceProfileName,
			},
			Implementation: confv1.Implementation{
				Organization: "nantian-gw", Project: "nantian", URL: "https://github.com/nantian-gw/nantian", Version: "main",
				Contact: []string{"https://github.com/nantian-gw/nantian/issues"},
			},
			// The last of the pool is not given to anybody before all others are, and what is outside of it to nobody.
			UsableNetworkAddresses: address(last(c.Balancers())), UnusableNetworkAddresses: address(netip.MustParseAddr("192.0.2.1")),
		},
	}
}

// claimed are the features whose tests are run. The modes of TLSRoutes are among those of the core: where a mode is not claimed,
// the suite's core has a test that its listeners are refused (TLSRouteListenerTerminateNotSupported and, of the mode Terminate,
// TLSRouteListenerMixedTerminationNotSupported), and ours are served.
func claimed() []features.FeatureName {
	all := translate.Features()
	if !*core {
		return all
	}
	return slices.DeleteFunc(all, func(f features.FeatureName) bool {
		return !slices.Contains([]features.FeatureName{
			features.SupportGateway, features.SupportReferenceGrant, features.SupportHTTPRoute, features.SupportGRPCRoute,
			features.SupportTLSRoute, features.SupportTLSRouteModeTerminate, features.SupportTLSRouteModeMixed,
			features.SupportTCPRoute, features.SupportUDPRoute,
		}, f)
	})
}

func address(a netip.Addr) []gatewayv1.GatewaySpecAddress {
	return []gatewayv1.GatewaySpecAddress{{Type: ptr.To(gatewayv1.IPAddressType), Value: a.String()}}
}

// last is the highest address of a network of IPv4 that is not its broadcast address.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b).Prev()
}

func restConfig(t *testing.T, c *cluster.Cluster) *rest.Config {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cfg.QPS, cfg.Burst = 200, 400
	return cfg
}

// install starts a cluster and applies what users apply.
func install(t *testing.T) *cluster.Cluster {
	dir := t.TempDir()
	echo, dns := filepath.Join(dir, "echo-basic"), filepath.Join(dir, "whoami")
	build(t, echo, "sigs.k8s.io/gateway-api/conformance/echo-basic")
	build(t, dns, "./whoami")
	program := os.Getenv("NANTIAN")
	if program == "" {
		program = filepath.Join(dir, "nantian")
		build(t, program, "github.com/nantian-gw/nantian/cmd/nantian")
	}
	c := cluster.New(t, cluster.Options{GatewayAPI: cluster.Experimental, Images: map[string]string{"nantian": program, "echo-basic": echo, "coredns": dns}})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := c.ApplyFiles(ctx, filepath.Join(root, "crds"), filepath.Join(root, "deploy/nantian.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitAvailable(ctx, "nantian-system", "nantian-controller"); err != nil {
		t.Fatal(err)
	}
	return c
}

// build makes a static program.
func build(t *testing.T, out, pkg string) {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("go build %s: %w\n%s", pkg, err, text))
	}
}
