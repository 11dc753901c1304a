package approx_test

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/tokenizer/approx"
)

const in, out = approx.Input, approx.Output

func TestCalibrationLearns(t *testing.T) {
	c := approx.NewCalibration(10)
	f := func(model string, s approx.Side, want float64) {
		t.Helper()
		if got := c.Factor(model, s); math.Abs(got-want) > 0.01 {
			t.Errorf("Factor(%s, %d) = %.3f, want %.3f", model, s, got, want)
		}
	}
	observe := func(s approx.Side, estimated, reported int) {
		for range 500 {
			c.Observe("m", s, estimated, reported)
		}
	}
	f("m", in, 1)
	c.Observe("m", in, 10, 20)
	f("m", in, 1) // one short request decides nothing
	observe(in, 1000, 1300)
	f("m", in, 1.3)
	f("m", out, 1.3) // nothing else is known of it
	f("other", in, 1)
	if got := c.Adjust("m", in, 100); got != 130 {
		t.Errorf("Adjust = %d, want 130", got)
	}
	observe(out, 1000, 1100)
	f("m", out, 1.1)
	f("m", in, 1.3)
	observe(in, 1000, 900) // the provider changes its vocabulary
	f("m", in, 0.9)
	observe(in, 1, 1<<20)
	f("m", in, 4)
}

// TestCalibrationGetsBetter: what is wrong by 40% at first is nearly right after some calls, and the error says so.
func TestCalibrationGetsBetter(t *testing.T) {
	c := approx.NewCalibration(10)
	sizes := []int{40, 3000, 250, 900, 12000, 75}
	observe := func(n int) {
		for i := range n {
			size := sizes[i%len(sizes)]
			c.Observe("m", in, size, size*14/10)
		}
	}
	observe(3)
	first := c.Learned()[0].Input.Error
	observe(300)
	l := c.Learned()[0]
	if first < 0.2 || l.Input.Error > 0.02 || l.Input.Observations != 303 || l.Output != (approx.Ratio{Factor: l.Input.Factor}) {
		t.Errorf("error %.3f at first, then %+v", first, l)
	}
	if got := c.Adjust("m", in, 1000); got < 1380 || got > 1420 {
		t.Errorf("Adjust(1000) = %d, want 1400 within 20", got)
	}
}

// TestCalibrationWeighs: no single call decides, however long it is.
func TestCalibrationWeighs(t *testing.T) {
	c := approx.NewCalibration(10)
	for range 100 {
		c.Observe("m", in, 2000, 2000)
	}
	c.Observe("m", in, 1<<20, 3<<20)
	if got := c.Factor("m", in); got > 1.1 {
		t.Errorf("Factor = %.3f after one long call, want about 1", got)
	}
}

func TestCalibrationDue(t *testing.T) {
	c := approx.NewCalibration(10)
	now := time.Unix(0, 0)
	due := func() (n int) {
		for range 160 {
			now = now.Add(10 * time.Millisecond)
			if c.Due("m", in, now) {
				n++
			}
		}
		return n
	}
	if n := due(); n != 160 || c.Len() != 0 {
		t.Errorf("%d of 160 are due, and %d models kept, before anything was observed", n, c.Len())
	}
	for range 100 {
		c.Observe("m", in, 10, 11)
	}
	if n := due(); n != 16 {
		t.Errorf("%d of 160 are due later, want 16", n)
	}
	if !c.Due("m", out, now) {
		t.Error("the other side of a model is not due although nothing is known of it")
	}
}

func TestCalibrationIgnoresNonsense(t *testing.T) {
	c := approx.NewCalibration(10)
	for _, n := range [][2]int{{0, 10}, {10, 0}, {-1, 10}, {10, -1}, {1 << 30, 1}, {1, 1 << 30}, {math.MaxInt, math.MaxInt}} {
		c.Observe("m", in, n[0], n[1])
	}
	if c.Len() != 0 {
		t.Errorf("Len = %d, want 0", c.Len())
	}
}

func TestCalibrationIsBounded(t *testing.T) {
	c := approx.NewCalibration(3)
	observe := func(model string) {
		for range 200 {
			c.Observe(model, in, 1000, 2000)
		}
	}
	for _, model := range []string{"a", "b", "c", "a", "d"} {
		observe(model)
	}
	if c.Len() != 3 {
		t.Errorf("Len = %d, want 3", c.Len())
	}
	if got := c.Factor("b", in); got != 1 {
		t.Errorf("Factor(b) = %v, want 1: it was observed longest ago", got)
	}
	if got := c.Factor("a", in); got < 1.9 {
		t.Errorf("Factor(a) = %v, want 2: it was observed again", got)
	}
	var names []string
	for _, l := range c.Learned() {
		names = append(names, l.Model)
	}
	if got := strings.Join(names, " "); got != "a c d" {
		t.Errorf("Learned has %q, want a c d", got)
	}
}

func TestCalibrationDoesNotAllocate(t *testing.T) {
	c := approx.NewCalibration(10)
	c.Observe("m", in, 100, 110)
	now := time.Now()
	n := testing.AllocsPerRun(100, func() {
		if c.Due("m", in, now) {
			c.Observe("m", in, 100, 110)
		}
		c.Adjust("m", out, 100)
	})
	if n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestCalibrationConcurrent(t *testing.T) {
	c := approx.NewCalibration(4)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				model := string(rune('a' + (g+i)%6))
				c.Observe(model, in, 100, 110)
				c.Adjust(model, in, 100)
				c.Due(model, out, time.Now())
				c.Learned()
			}
		})
	}
	wg.Wait()
	if c.Len() > 4 {
		t.Errorf("Len = %d, want at most 4", c.Len())
	}
}
