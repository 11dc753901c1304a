package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestDependencies wants a line with a reason for each module that the code imports.
func TestDependencies(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			listed[name] = true
		}
	}
	for m := range imported(t, requirements(t)) {
		if !listed[m] {
			t.Errorf("docs/dependencies.md gives no reason for %s", m)
		}
	}
}

var requirement = regexp.MustCompile(`(?m)^(?:require )?\t?([a-z][^\s]*\.[^\s]+) v\d`)

// requirements are the modules that go.mod requires.
func requirements(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	for _, m := range requirement.FindAllSubmatch(text, -1) {
		required = append(required, string(m[1]))
	}
	return required
}

// imported are the modules of all imports of the module's Go files, tests included.
func imported(t *testing.T, required []string) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(path, d.Name())
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			if m := moduleOf(required, i.Path.Value); m != "" {
				used[m] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// skipFolder leaves out what is no part of the module.
func skipFolder(path, name string) error {
	if path == root {
		return nil
	}
	if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || name[0] == '.' || name == "testdata" || name == "node_modules" {
		return filepath.SkipDir
	}
	return nil
}

// moduleOf is the required module of a quoted import path; empty: it is the standard library's or ours.
func moduleOf(required []string, quoted string) string {
	path, _ := strconv.Unquote(quoted)
	found := ""
	for _, m := range required {
		if (path == m || strings.HasPrefix(path, m+"/")) && len(m) > len(found) {
			found = m
		}
	}
	return found
}
