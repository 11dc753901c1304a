package resources

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCRDs holds the examples of crds/testdata to our CustomResourceDefinitions. Each invalid one begins with what is to be
// said of it.
func TestCRDs(t *testing.T) {
	d := NewDecoder(env)
	f := func(folder string, check func(t *testing.T, text string, problems []Problem)) {
		t.Helper()
		files, err := filepath.Glob("../../crds/testdata/" + folder + "/*.yaml")
		if err != nil || len(files) == 0 {
			t.Fatal("no examples", err)
		}
		for _, file := range files {
			t.Run(folder+"/"+filepath.Base(file), func(t *testing.T) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				_, problems := d.Decode(file, text)
				check(t, string(text), problems)
			})
		}
	}
	f("valid", func(t *testing.T, _ string, problems []Problem) {
		if len(problems) > 0 {
			t.Error(problems)
		}
	})
	f("invalid", func(t *testing.T, text string, problems []Problem) {
		first, _, _ := strings.Cut(text, "\n")
		want := strings.TrimPrefix(first, "# want: ")
		for _, p := range problems {
			if strings.HasPrefix(p.Field+": "+p.Message, want) && p.Origin.Line > 1 {
				return
			}
		}
		t.Errorf("got %v, want %s", problems, want)
	})
}
