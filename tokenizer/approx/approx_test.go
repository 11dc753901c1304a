package approx_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/tokenizer/approx"
	"github.com/nantian-gw/nantian/tokenizer/bpe"
)

// TestError shows that the error stated for Estimator holds.
func TestError(t *testing.T) {
	base := o200k(t)
	limits := map[string]map[string]float64{
		"claude":  {"": 0.12, "scripts": 0.43},
		"llama":   {"": 0.05, "japanese": 0.16, "scripts": 0.25},
		"mistral": {"": 0.12, "scripts": 0.36},
	}
	for _, m := range measured(t) {
		text, err := os.ReadFile("../bpe/testdata/corpus/" + m.file + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		limit, ok := limits[m.family][m.file]
		if !ok {
			limit = limits[m.family][""]
		}
		e := approx.New(m.family, base)
		if m.file != "scripts" {
			limit = min(limit, e.Error())
		}
		got := float64(e.Count(text))/float64(m.tokens) - 1
		t.Logf("%-8s %-9s %+.1f%%", m.family, m.file, 100*got)
		if math.Abs(got) > limit {
			t.Errorf("%s: %s is off by %+.1f%%, stated are %.0f%%", m.family, m.file, 100*got, 100*limit)
		}
	}
}

type measurement struct {
	family, file string
	tokens       int
}

func measured(t *testing.T) (ms []measurement) {
	t.Helper()
	b, err := os.ReadFile("testdata/measured.txt")
	if err != nil {
		t.Fatal(err)
	}
	var families []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		switch {
		case f[0] == "file":
			families = f[1:]
		case len(f) == len(families)+1 && families != nil:
			for i, family := range families {
				var n int
				if _, err := fmt.Sscan(f[i+1], &n); err != nil {
					t.Fatal(err)
				}
				ms = append(ms, measurement{family, f[0], n})
			}
		}
	}
	return ms
}

func o200k(t *testing.T) func([]byte) int {
	t.Helper()
	e, err := bpe.Open("o200k_base")
	if err != nil {
		t.Fatal(err)
	}
	return e.Count
}

func TestEstimator(t *testing.T) {
	base := func(text []byte) int { return len(text) / 4 }
	for _, name := range approx.Families() {
		if e := approx.New(name, base); e.Name() != name || e.Exact() {
			t.Errorf("New(%q) is %q, exact %v", name, e.Name(), e.Exact())
		}
	}
	e := approx.New("no such family", base)
	if e.Name() != approx.Unknown {
		t.Errorf("unknown family: %q", e.Name())
	}
	if n := e.Count(nil); n != 0 {
		t.Errorf("Count of nothing = %d", n)
	}
	if n := e.Count([]byte("a")); n != 1 {
		t.Errorf("Count(a) = %d, want at least 1", n)
	}
}
