package translate

import (
	"os"
	"path/filepath"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/endpoints"
	"github.com/nantian-gw/nantian/controlplane/resources"
)

// FuzzTranslateYAML: whatever is in a file, translation ends, and what it publishes can be run and names nothing that is not
// published with it.
func FuzzTranslateYAML(f *testing.F) {
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, true)
	}
	d := resources.NewDecoder(func(string) (string, bool) { return "", false })
	f.Fuzz(func(t *testing.T, text []byte, standalone bool) {
		set := resources.NewSet(d.Decode("f.yaml", text))
		r, err := Translate(set, Options{Standalone: standalone})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Snapshots {
			for key, res := range s.Resources {
				if err := xdsv1.Validate(res); err != nil {
					t.Errorf("published and not valid: %v", err)
				}
				dangling(t, key, res, s.Resources)
			}
			for _, e := range endpoints.Build(set, s) {
				if err := xdsv1.ValidateEndpoints(e); err != nil {
					t.Errorf("published and not valid: %v", err)
				}
			}
		}
	})
}
