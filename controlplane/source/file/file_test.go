package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// folder is a source that runs on a temporary folder, and what it told.
type folder struct {
	t    *testing.T
	dir  string
	sets chan *resources.Set
}

// run starts a source; o has neither Paths nor Decoder yet.
func run(t *testing.T, o Options, files map[string]string, paths ...string) *folder {
	t.Helper()
	f := &folder{t: t, dir: t.TempDir(), sets: make(chan *resources.Set, 100)}
	for name, text := range files {
		f.write(name, text)
	}
	for _, p := range paths {
		o.Paths = append(o.Paths, filepath.Join(f.dir, p))
	}
	o.Decoder = resources.NewDecoder(os.LookupEnv)
	o.Quiet, o.Patience = 5*time.Millisecond, 50*time.Millisecond
	if o.Poll == 0 {
		o.Poll = time.Hour
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(o).Run(ctx, func(s *resources.Set) { f.sets <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) write(name, text string) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// want waits until the namespaces of the last set, with their label v, and its problems are as given.
func (f *folder) want(namespaces string, problems ...string) {
	f.t.Helper()
	last := "nothing"
	timeout := time.After(time.Minute)
	want := namespaces + "|" + strings.Join(problems, "|")
	for last != want {
		select {
		case s := <-f.sets:
			last = f.describe(s)
		case <-timeout:
			f.t.Fatalf("last told: %s, want %s", last, want)
		}
	}
}

func (f *folder) describe(s *resources.Set) string {
	var names, problems []string
	for _, n := range s.Namespaces.All() {
		names = append(names, n.Name+"="+n.Labels["v"])
	}
	for _, p := range s.Problems() {
		problems = append(problems, strings.ReplaceAll(p.String(), f.dir+"/", ""))
	}
	return strings.Join(names, " ") + "|" + strings.Join(problems, "|")
}

func namespace(name, v string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, labels: {v: %q}}\n---\n", name, v)
}

func TestFilesAreReadAndWatched(t *testing.T) {
	f := run(t, Options{}, map[string]string{
		"a.yaml": namespace("a", "1"), "sub/b.yml": namespace("b", "1"), "sub/deep/c.json": `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}}`,
		"notes.txt": "not read", ".hidden.yaml": "not: read", ".git/d.yaml": "not: read", "a.yaml~": "not read",
	}, ".")
	f.want("a=1 b=1 c=")
	f.write("a.yaml", namespace("a", "2"))
	f.want("a=2 b=1 c=")
	f.write("new/e.yaml", namespace("e", "1"))
	f.want("a=2 b=1 c= e=1")
	f.write("new/e.yaml", namespace("e", "2"))
	f.want("a=2 b=1 c= e=2")
	if err := os.Rename(f.path("a.yaml"), f.path("z.yaml")); err != nil {
		t.Fatal(err)
	}
	f.write("sub/b.yml", namespace("b", "2"))
	f.want("a=2 b=2 c= e=2")
	if err := os.Remove(f.path("z.yaml")); err != nil {
		t.Fatal(err)
	}
	f.want("b=2 c= e=2")
	if err := os.RemoveAll(f.path("sub")); err != nil {
		t.Fatal(err)
	}
	f.want("e=2")
}

func TestABrokenFileKeepsItsObjectsUntilItIsRepaired(t *testing.T) {
	f := run(t, Options{}, map[string]string{"a.yaml": namespace("a", "1") + namespace("b", "1"), "c.yaml": namespace("c", "1")}, ".")
	f.want("a=1 b=1 c=1")
	f.write("a.yaml", namespace("a", "2")+"kind: [")
	f.want("a=2 b=1 c=1", "a.yaml:5: did not find expected node content")
	f.write("c.yaml", namespace("c", "2"))
	f.want("a=2 b=1 c=2", "a.yaml:5: did not find expected node content")
	f.write("a.yaml", namespace("a", "3"))
	f.want("a=3 c=2")
}

func TestABrokenObjectIsKeptAloneAndTheOthersChange(t *testing.T) {
	f := run(t, Options{}, map[string]string{"a.yaml": namespace("a", "1") + namespace("b", "1") + namespace("c", "1")}, ".")
	f.want("a=1 b=1 c=1")
	f.write("a.yaml", namespace("a", "2")+"apiVersion: v1\nkind: Namespace\nmetadata: {name: b, label: {}}\n")
	f.want("a=2 b=1", "a.yaml:7: Namespace b: metadata.label: unknown field")
}

func TestANamedFileThatVanishesKeepsItsObjects(t *testing.T) {
	f := run(t, Options{}, map[string]string{"a.conf": namespace("a", "1")}, "a.conf")
	f.want("a=1")
	if err := os.Remove(f.path("a.conf")); err != nil {
		t.Fatal(err)
	}
	f.want("a=1", "a.conf: no such file or directory")
	f.write("a.conf", namespace("a", "2"))
	f.want("a=2")
}

func TestAMissingPathIsAProblem(t *testing.T) {
	f := run(t, Options{}, nil, "missing.yaml")
	f.want("", "missing.yaml: no such file or directory")
	f.write("missing.yaml", namespace("a", "1"))
	f.want("a=1")
}

func TestAtomicRenames(t *testing.T) {
	f := run(t, Options{}, map[string]string{"a.yaml": namespace("a", "1")}, ".")
	f.want("a=1")
	for _, v := range []string{"2", "3"} {
		f.write(".a.yaml.tmp", namespace("a", v))
		if err := os.Rename(f.path(".a.yaml.tmp"), f.path("a.yaml")); err != nil {
			t.Fatal(err)
		}
		f.want("a=" + v)
	}
}

// TestConfigMapMount swaps the ..data link, as the kubelet does.
func TestConfigMapMount(t *testing.T) {
	f := run(t, Options{}, nil, ".")
	f.want("")
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, f.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	f.write("..1/a.yaml", namespace("a", "1"))
	link("..1", "..data")
	link("..data/a.yaml", "a.yaml")
	f.want("a=1")
	f.write("..2/a.yaml", namespace("a", "2"))
	link("..2", "..data_tmp")
	if err := os.Rename(f.path("..data_tmp"), f.path("..data")); err != nil {
		t.Fatal(err)
	}
	f.want("a=2")
}

func TestPollingFindsWhatNoEventTells(t *testing.T) {
	d := t.TempDir()
	path := filepath.Join(d, "a.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(namespace("a", "1"))
	s := New(Options{Paths: []string{d}, Decoder: resources.NewDecoder(os.LookupEnv), Poll: time.Millisecond})
	f := &folder{t: t, dir: d, sets: make(chan *resources.Set, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	f.sets <- s.Read()
	go func() {
		s.loop(ctx, &watch{}, func(s *resources.Set) { f.sets <- s })
		close(done)
	}()
	f.want("a=1")
	write(namespace("a", "22"))
	f.want("a=22")
	cancel()
	<-done
}

func TestLimits(t *testing.T) {
	f := run(t, Options{MaxSize: 100, MaxFiles: 1}, map[string]string{"a.yaml": strings.Repeat("#", 101), "b.yaml": namespace("b", "1")}, ".")
	f.want("", "1 files are not read: there are more than 1", "a.yaml: has more than 100 bytes")
}

func TestLinksThatLeadInCircles(t *testing.T) {
	d := t.TempDir()
	if err := os.Symlink(d, filepath.Join(d, "again")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d, "a.yaml"), []byte(namespace("a", "1")), 0o644); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Paths: []string{d}, Decoder: resources.NewDecoder(os.LookupEnv)}).Read()
	if n := len(s.Namespaces.All()); n != 1 || len(s.Problems()) > 0 {
		t.Errorf("%d namespaces, problems %v", n, s.Problems())
	}
}
