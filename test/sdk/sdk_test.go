// Package sdk tests the gateway with the vendors' official SDKs as its clients: those of Go in this package, those of
// Python and Node as programs of their own that it runs.
package sdk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/internal/simulator"
	"github.com/nantian-gw/nantian/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// world is a gateway that serves sim-openai, sim-azure and so on, and its simulator.
type world struct {
	*rig.Gateway
	sim *rig.Simulator
	url string
}

// callerKey may use sim-openai and sim-anthropic below /guarded; the key of nobody may use nothing there.
const callerKey = "nk-caller-0123456789abcdef"

// guarded is a second route to the models, for callers with a key.
var guarded = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: guarded, namespace: default}
spec:
  parentRefs: [{name: ai}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /guarded}}]
    backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: models}]
` + rig.AuthPolicy("callers", "HTTPRoute, name: guarded", rig.KeysOf) +
	rig.CallerKey("caller", callerKey, `gateway.nantian.dev/models: "sim-openai,sim-anthropic"`) + limited

// limited is a third route, where each value of X-Mark may make one request an hour.
const limited = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: limited, namespace: default}
spec:
  parentRefs: [{name: ai}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /limited}}]
    backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: models}]
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: TokenPolicy
metadata: {name: limited, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: limited}]
  limits: [{name: once, unit: Requests, limit: 1, window: 1h, key: [{header: x-mark}]}]
`

func start(t *testing.T) *world {
	t.Helper()
	port := rig.Port(t)
	w := &world{sim: rig.Simulate(t, simulator.Options{Record: 1024}), url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	var providers strings.Builder
	var models []string
	for _, s := range rig.Schemas {
		providers.WriteString(rig.Provider(s.Name, s.Schema, w.sim.URL+s.Path))
		models = append(models, rig.Model("sim-"+s.Name, s.Name))
	}
	w.Gateway = rig.Start(t, rig.Files{"gateway.yaml": rig.Entrance(port) + guarded + providers.String() + rig.Models(models...)})
	return w
}

// calls is how many requests the provider got that hold a text.
func (w *world) calls(mark string) int {
	n := 0
	for _, r := range w.sim.Requests() {
		if bytes.Contains(r.Body, []byte(mark)) {
			n++
		}
	}
	return n
}

// control tells programs what the simulator saw.
func (w *world) control(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /calls", func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, w.calls(r.FormValue("mark"))) })
	mux.HandleFunc("GET /cancelled", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, w.sim.Stats().Cancelled) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// program runs a suite of another language, and tells of its lines that begin with FAIL.
func program(t *testing.T, dir string, name string, args ...string) {
	w := start(t)
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "BASE_URL="+w.url, "CALLER_KEY="+callerKey, "CONTROL_URL="+w.control(t), "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
}

// cache is a folder outside the tree for what a lock file asks for. install fills it, once for each content of the file.
func cache(t *testing.T, lock string, install func(dir string) error) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	dir := filepath.Join(base, "nantian", "sdk-"+filepath.Base(filepath.Dir(lock))+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return dir
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := install(dir); err != nil {
		t.Fatalf("%s: %v", lock, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// command runs a program in a folder; its output is in the error.
func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestPython(t *testing.T) {
	t.Parallel()
	lock := absolute(t, "python/requirements.txt")
	dir := cache(t, lock, func(dir string) error {
		if err := command(dir, "python3", "-m", "venv", "."); err != nil {
			return err
		}
		return command(dir, "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--require-virtualenv", "--no-deps", "-r", lock)
	})
	program(t, "python", filepath.Join(dir, "bin", "python"), "run.py")
}

func TestNode(t *testing.T) {
	t.Parallel()
	dir := cache(t, absolute(t, "node/package-lock.json"), func(dir string) error {
		for _, name := range []string{"package.json", "package-lock.json"} {
			if err := copyFile(dir, filepath.Join("node", name)); err != nil {
				return err
			}
		}
		return command(dir, "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	})
	// Modules are looked for beside the program.
	at := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(at, "node_modules")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("node/*.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := copyFile(at, f); err != nil {
			t.Fatal(err)
		}
	}
	program(t, at, "node", "run.mjs")
}

// copyFile puts a copy of a file into a folder.
func copyFile(dir, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, filepath.Base(path)), b, 0o644)
}
