package translate

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/controlplane/endpoints"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/status"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden translates every testdata/<case>.in.yaml and compares the snapshot and the conditions with <case>.out.yaml. A
// case whose name begins with "cluster-" is translated as in a cluster, the others as in standalone mode.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	d := resources.NewDecoder(func(string) (string, bool) { return "", false })
	for _, in := range files {
		name := strings.TrimSuffix(filepath.Base(in), ".in.yaml")
		t.Run(name, func(t *testing.T) {
			got := golden(t, d, in, Options{Standalone: !strings.HasPrefix(name, "cluster-")})
			out := strings.TrimSuffix(in, ".in.yaml") + ".out.yaml"
			if *update {
				if err := os.WriteFile(out, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s; run go test -update and review the change\n%s", out, got)
			}
		})
	}
}

func golden(t *testing.T, d *resources.Decoder, file string, o Options) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	set := resources.NewSet(d.Decode(filepath.Base(file), text))
	r, err := Translate(set, o)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.Snapshots)) {
		s := r.Snapshots[name]
		for key, res := range s.Resources {
			if err := xdsv1.Validate(res); err != nil {
				t.Errorf("%s is in the snapshot and not valid: %v", key, err)
			}
			dangling(t, key, res, s.Resources)
		}
		dump, err := snapshot.NewDump(s, endpoints.Build(set, s))
		if err != nil {
			t.Fatal(err)
		}
		y, err := dump.YAML()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "# group %s\n%s---\n", name, y)
	}
	b.WriteString("# conditions\n")
	var c strings.Builder
	if err := status.Text(&c, r.Statuses, set.Problems()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(c.String()) {
		b.WriteString("# " + line)
	}
	return b.String()
}

// dangling fails for every reference of a resource that leads nowhere.
func dangling(t *testing.T, key string, r *xdsv1.Resource, all map[string]*xdsv1.Resource) {
	t.Helper()
	keys := snapshot.References(r)
	for _, p := range r.GetRoute().GetParents() {
		keys = append(keys, p.GetListener())
	}
	for _, ref := range keys {
		if all[ref] == nil {
			t.Errorf("%s names %s, which is not there", key, ref)
		}
	}
}
