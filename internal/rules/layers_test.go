package rules

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/nantian-gw/nantian"

// layer says what the packages below a path must not reach, directly or not (docs/architecture.md, layers).
type layer struct {
	path      string
	forbidden []string
}

var layers = []layer{
	{"gateway", []string{"k8s.io/", "sigs.k8s.io/", module + "/crds", module + "/controlplane"}},
	{"ai", []string{"k8s.io/", "sigs.k8s.io/", module + "/crds", module + "/controlplane", module + "/gateway",
		"github.com/valyala/fasthttp", "github.com/redis/", module + "/api", module + "/tokenizer", module + "/ratelimit", module + "/promptguard"}},
	{"tokenizer", leaf("tokenizer")},
	{"ratelimit", leaf("ratelimit")},
	{"promptguard", leaf("promptguard")},
	{"controlplane", []string{"github.com/valyala/fasthttp", "github.com/redis/", module + "/gateway", module + "/ai", module + "/tokenizer"}},
	{"crds", []string{"github.com/valyala/fasthttp", module + "/gateway", module + "/ai", module + "/controlplane", module + "/api"}},
	{"api", []string{"k8s.io/", "sigs.k8s.io/", "github.com/valyala/fasthttp", "google.golang.org/grpc", module + "/gateway", module + "/ai",
		module + "/controlplane", module + "/crds"}},
}

// leaf is what a library that is useful alone must not reach.
func leaf(name string) []string {
	out := []string{"k8s.io/", "sigs.k8s.io/", "github.com/valyala/fasthttp", module + "/api", module + "/crds", module + "/controlplane",
		module + "/gateway", module + "/ai"}
	for _, other := range []string{"tokenizer", "ratelimit", "promptguard"} {
		if other != name {
			out = append(out, module+"/"+other)
		}
	}
	return out
}

func TestLayers(t *testing.T) {
	deps := dependencies(t)
	checked := 0
	for pkg, reached := range deps {
		for _, l := range layers {
			if within(pkg, module+"/"+l.path) {
				checked++
				l.check(t, pkg, reached)
			}
		}
	}
	if checked == 0 {
		t.Fatal("no package was checked")
	}
}

func (l layer) check(t *testing.T, pkg string, reached []string) {
	for _, dep := range reached {
		for _, f := range l.forbidden {
			if strings.HasPrefix(dep, f) && (strings.HasSuffix(f, "/") || within(dep, f)) {
				t.Errorf("%s must not reach %s, and reaches %s", pkg, f, dep)
			}
		}
	}
}

func within(pkg, path string) bool { return pkg == path || strings.HasPrefix(pkg, path+"/") }

// dependencies lists all that each package of the module is built from.
func dependencies(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Deps \" \"}}", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	deps := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		deps[f[0]] = f[1:]
	}
	return deps
}
