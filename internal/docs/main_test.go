package docs

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the generated pages and the YAML on pages")

// root is the folder of the module.
const root = "../.."

// programs is where TestMain has built nantian and the echo service.
var programs string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if programs, err = os.MkdirTemp("", "nantian-docs-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(programs)
	for name, pkg := range map[string]string{"nantian": "./cmd/nantian", "echo": "./examples/echo", "grpc": "./examples/grpc"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(programs, name), pkg)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", pkg, err, out)
			return 1
		}
	}
	return m.Run()
}

// generated compares a page with what it should be, or writes it.
func generated(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(root, "docs", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != text {
		t.Errorf("docs/%s is not what the code says (%v); run make generate", name, err)
	}
}

// nantian runs the program and returns what it prints.
func nantian(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(programs, "nantian"), args...).Output()
	if err != nil {
		t.Fatalf("nantian %q: %v", args, err)
	}
	return string(out)
}
