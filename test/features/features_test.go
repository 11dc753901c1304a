package features

import (
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/config"
	"sigs.k8s.io/gateway-api/conformance/utils/roundtripper"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"

	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/source/file"
	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/test/rig"
)

// served are the features that a GatewayClass of ours tells of, but for what is made of a Gateway in a cluster alone: package
// conformance has its tests.
var served = slices.DeleteFunc(translate.Features(), func(f features.FeatureName) bool { return f == features.SupportGatewayInfrastructure })

// besides are tests of features that are not served as a whole, which hold all the same.
var besides = []string{"GatewayInvalidParametersRef"}

// names is the list of the tests that TestConformance runs.
const names = "testdata/tests.txt"

var update = flag.Bool("update", false, "write "+names)

// TestConformance runs all tests of the suite for what is served. A test that is no longer there, or that is skipped, is a
// failure: the list of names says which there have to be.
func TestConformance(t *testing.T) {
	_, s := setUp(t)
	var ran []string
	for _, test := range tests.ConformanceTests {
		if slices.Contains(besides, test.ShortName) {
			test.Features = []features.FeatureName{features.SupportGateway}
		}
		if !s.SupportedFeatures.HasAll(test.Features...) {
			continue
		}
		ran = append(ran, test.ShortName)
		t.Run(test.ShortName, func(t *testing.T) {
			defer func() {
				if t.Skipped() {
					t.Error("the suite has skipped the test")
				}
			}()
			test.Run(t, s)
		})
	}
	slices.Sort(ran)
	text := strings.Join(ran, "\n") + "\n"
	if *update {
		put(t, names, text)
	}
	if want, err := os.ReadFile(names); err != nil || string(want) != text {
		t.Errorf("%s (go test -update writes it): %v\nran:\n%s", names, err, text)
	}
}

// TestConformanceOverHTTP2 has the routes' tests again with clients that speak HTTP/2 in plain text. Those that make requests
// by the hundred are left out: the suite's client opens a connection for each.
func TestConformanceOverHTTP2(t *testing.T) {
	_, s := setUp(t)
	s.RoundTripper = overHTTP2{s.RoundTripper}
	for _, test := range tests.ConformanceTests {
		many := strings.Contains(test.ShortName, "Weight") || strings.Contains(test.ShortName, "Percentage")
		if strings.HasPrefix(test.ShortName, "HTTPRoute") && !many && s.SupportedFeatures.HasAll(test.Features...) {
			t.Run(test.ShortName, func(t *testing.T) { test.Run(t, s) })
		}
	}
}

// overHTTP2 sends plain requests over HTTP/2.
type overHTTP2 struct{ roundtripper.RoundTripper }

// CaptureRoundTrip implements roundtripper.RoundTripper.
func (o overHTTP2) CaptureRoundTrip(r roundtripper.Request) (*roundtripper.CapturedRequest, *roundtripper.CapturedResponse, error) {
	if r.URL.Scheme == "http" {
		r.Protocol = roundtripper.H2CPriorKnowledgeProtocol
	}
	return o.RoundTripper.CaptureRoundTrip(r)
}

// setUp runs a gateway and a cluster, with what the suite puts there before its tests.
func setUp(t *testing.T) (*cluster, *suite.ConformanceTestSuite) {
	gw := rig.Start(t, rig.Files{"objects.yaml": ""}, "--access-log", "")
	c := newCluster(t, func(content string) { put(t, filepath.Join(gw.Dir, "objects.yaml"), content) })
	c.dir = gw.Dir
	c.start(t)
	class := &gatewayv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: translate.ClassName},
		Spec:       gatewayv1.GatewayClassSpec{ControllerName: translate.ControllerName},
	}
	if err := c.client.Create(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	s := newSuite(t, c)
	s.Setup(t, tests.ConformanceTests)
	return c, s
}

// start runs the cluster until the test ends: changes go to the folder, and what the control plane says of the folder back.
func (c *cluster) start(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	running.Go(func() { c.run(ctx) })
	source := file.New(file.Options{Paths: []string{c.dir}, Decoder: resources.NewDecoder(func(string) (string, bool) { return "", false })})
	running.Go(func() {
		controlplane.Run(ctx, source, func(u controlplane.Update) {
			for _, p := range u.Problems {
				t.Errorf("the folder: %s", p)
			}
			for _, s := range u.Statuses {
				if err := c.tell(ctx, s); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	})
}

func put(t *testing.T, path, content string) {
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Error(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Error(err)
	}
}

func newSuite(t *testing.T, c *cluster) *suite.ConformanceTestSuite {
	s, err := suite.NewConformanceTestSuite(suite.ConformanceOptions{
		Client: c.client, Clientset: c.pods.clientset(t), ManifestFS: []fs.FS{&conformance.Manifests},
		ConfigurableOptions: suite.ConfigurableOptions{
			GatewayClassName: translate.ClassName, SupportedFeatures: served, CleanupTestResources: true,
			TimeoutConfig: patience(), UsableNetworkAddresses: ipAddresses("127.3.0.1"), UnusableNetworkAddresses: ipAddresses(unusable),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// patience is how long the suite waits for anything, and how often it looks. What takes longer here has failed.
func patience() config.TimeoutConfig {
	c := config.TimeoutConfig{RequiredConsecutiveSuccesses: 3}
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		if fields.Type().Field(i).Type == reflect.TypeFor[time.Duration]() {
			fields.Field(i).SetInt(int64(rig.Patience))
		}
	}
	c.DefaultPollInterval, c.TestIsolation = 50*time.Millisecond, 0
	return c
}

func ipAddresses(values ...string) []gatewayv1.GatewaySpecAddress {
	var out []gatewayv1.GatewaySpecAddress
	for _, v := range values {
		out = append(out, gatewayv1.GatewaySpecAddress{Type: ptr.To(gatewayv1.IPAddressType), Value: v})
	}
	return out
}
