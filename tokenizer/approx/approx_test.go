package approx_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
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

func TestCalibrationLearns(t *testing.T) {
	c := approx.NewCalibration(10)
	f := func(model string, want float64) {
		t.Helper()
		if got := c.Factor(model); math.Abs(got-want) > 0.01 {
			t.Errorf("Factor(%s) = %.3f, want %.3f", model, got, want)
		}
	}
	f("m", 1)
	c.Observe("m", 10, 20)
	f("m", 1) // one short request decides nothing
	for range 500 {
		c.Observe("m", 1000, 1300)
	}
	f("m", 1.3)
	f("other", 1)
	if got := c.Adjust("m", 100); got != 130 {
		t.Errorf("Adjust = %d, want 130", got)
	}
	for range 500 { // the provider changes its vocabulary
		c.Observe("m", 1000, 900)
	}
	f("m", 0.9)
	for range 500 {
		c.Observe("m", 1, 1<<20)
	}
	f("m", 4)
}

func TestCalibrationIgnoresNonsense(t *testing.T) {
	c := approx.NewCalibration(10)
	for _, n := range [][2]int{{0, 10}, {10, 0}, {-1, 10}, {10, -1}, {1 << 30, 1}, {1, 1 << 30}, {math.MaxInt, math.MaxInt}} {
		c.Observe("m", n[0], n[1])
	}
	if c.Len() != 0 {
		t.Errorf("Len = %d, want 0", c.Len())
	}
}

func TestCalibrationIsBounded(t *testing.T) {
	c := approx.NewCalibration(3)
	observe := func(model string) {
		for range 200 {
			c.Observe(model, 1000, 2000)
		}
	}
	for _, model := range []string{"a", "b", "c", "a", "d"} {
		observe(model)
	}
	if c.Len() != 3 {
		t.Errorf("Len = %d, want 3", c.Len())
	}
	if got := c.Factor("b"); got != 1 {
		t.Errorf("Factor(b) = %v, want 1: it was observed longest ago", got)
	}
	if got := c.Factor("a"); got < 1.9 {
		t.Errorf("Factor(a) = %v, want 2: it was observed again", got)
	}
}

func TestCalibrationConcurrent(t *testing.T) {
	c := approx.NewCalibration(4)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				model := string(rune('a' + (g+i)%6))
				c.Observe(model, 100, 110)
				c.Adjust(model, 100)
			}
		})
	}
	wg.Wait()
	if c.Len() > 4 {
		t.Errorf("Len = %d, want at most 4", c.Len())
	}
}
