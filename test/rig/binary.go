package rig

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// binary builds the command once for each test process. NANTIAN names one that is built already.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("NANTIAN"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "nantian-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "nantian")
	build := exec.Command("go", "build", "-o", path, "./cmd/nantian")
	build.Dir = Root()
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// Root is the folder of the product's module.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Binary is the path of the command.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// parallel is how many tests run at once where -parallel does not say: most of their time they wait.
const parallel = "64"

// Main runs the tests of a package and removes the binary after them.
func Main(m *testing.M) {
	said := false
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		flag.Set("test.parallel", parallel)
	}
	code := m.Run()
	if path, err := binary(); err == nil && os.Getenv("NANTIAN") == "" {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}
