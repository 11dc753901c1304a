package stats

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	f := func(in Sample, want float64) {
		t.Helper()
		given := slices.Clone(in)
		if got := in.Median(); got != want {
			t.Errorf("median of %v is %v, want %v", given, got, want)
		}
		if !slices.Equal(in, given) {
			t.Errorf("the median of %v left %v behind", given, in)
		}
	}
	f(Sample{5}, 5)
	f(Sample{9, 1, 4}, 4)
	f(Sample{9, 1, 4, 2}, 3)
	if got := (Sample{}).Median(); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

func TestRange(t *testing.T) {
	if low, high := (Sample{3, 1, 2}).Range(); low != 1 || high != 3 {
		t.Errorf("range %v to %v, want 1 to 3", low, high)
	}
	if low, high := (Sample{}).Range(); !math.IsNaN(low) || !math.IsNaN(high) {
		t.Errorf("the range of nothing is %v to %v", low, high)
	}
}

func TestRoundsAreComparedOneByOne(t *testing.T) {
	slow := Sample{20, 40, 60}
	base := Sample{10, 20, 0, 7}
	if got := slow.Ratios(base); !slices.Equal(got, Sample{2, 2}) {
		t.Errorf("ratios %v", got)
	}
	if got := slow.Differences(base); !slices.Equal(got, Sample{10, 20, 60}) {
		t.Errorf("differences %v", got)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	f := func(in []int64, p float64, want int64) {
		t.Helper()
		if got := Percentile(in, p); got != want {
			t.Errorf("p%v of %d values is %d, want %d", p, len(in), got, want)
		}
	}
	f(hundred, 50, 50)
	f(hundred, 99, 99)
	f(hundred, 99.5, 100)
	f(hundred, 100, 100)
	f(hundred, 0, 1)
	f([]int64{7}, 50, 7)
	f([]int64{7, 9}, 99, 9)
	f(nil, 50, 0)
}
