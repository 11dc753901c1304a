package provision

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var options = Options{
	Image: "registry.test/nantian:v1", XDS: "nantian-controller.nantian-system.svc:15010", Labels: map[string]string{"test/own": "data-plane"},
	Secret: func(g translate.GroupName) client.ObjectKey {
		return client.ObjectKey{Name: "secret-of-" + strings.ReplaceAll(string(g), "/", "-")}
	},
}

// read translates a file as in a cluster.
func read(t *testing.T, file string) (*resources.Set, []translate.Gateway) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := resources.NewDecoder(func(string) (string, bool) { return "", false })
	set := resources.NewSet(d.Decode(file, text))
	for _, p := range set.Problems() {
		t.Error(p)
	}
	r, err := translate.Translate(set, translate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return set, r.Gateways
}

// TestGolden makes the objects and the addresses of the Gateways of testdata/<case>.in.yaml and compares them with <case>.out.yaml.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var b strings.Builder
			set, gateways := read(t, file)
			for _, g := range gateways {
				for _, o := range Objects(g, options) {
					u, err := encode(o)
					if err != nil {
						t.Fatal(err)
					}
					y, err := yaml.Marshal(u.Object)
					if err != nil {
						t.Fatal(err)
					}
					b.WriteString("---\n" + string(y))
				}
				y, err := yaml.Marshal(Addresses(set, g))
				if err != nil {
					t.Fatal(err)
				}
				b.WriteString("---\n# addresses of " + g.Object.Name + "\n" + string(y))
			}
			out := strings.Replace(file, ".in.", ".out.", 1)
			if *update {
				if err := os.WriteFile(out, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("differs from %s; run go test -update and review the change\n%s", out, b.String())
			}
		})
	}
}

// Whatever a Gateway is called, its objects have names that Services may have, and each its own.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"web", "web.example.com", "web-example-com", "1", strings.Repeat("a", 253), strings.Repeat("a", 252), "a." + strings.Repeat("b", 60)} {
		g := translate.Gateway{Object: &gatewayv1.Gateway{}}
		g.Object.Name, g.Object.Spec.GatewayClassName = name, "nantian"
		got := serviceName(Name(g), 15)
		if bad := validation.IsDNS1035Label(got); len(bad) > 0 {
			t.Errorf("%s: %s: %v", name, got, bad)
		}
		if bad := validation.IsValidLabelValue(value(name)); len(bad) > 0 {
			t.Errorf("%s: label %s: %v", name, value(name), bad)
		}
		if seen[got] {
			t.Errorf("%s: %s is taken", name, got)
		}
		seen[got] = true
	}
	g := translate.Gateway{Object: &gatewayv1.Gateway{}}
	g.Object.Name, g.Object.Spec.GatewayClassName = "web", "nantian"
	if Name(g) != "web-nantian" {
		t.Error(Name(g))
	}
}
