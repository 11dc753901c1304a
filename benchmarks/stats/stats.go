// Package stats sums up measurements: percentiles of many, and the median of few with its spread.
package stats

import (
	"math"
	"slices"
)

// Sample is one figure measured in several rounds.
type Sample []float64

// Median is the middle value, or the mean of the two in the middle; NaN of an empty sample.
func (s Sample) Median() float64 {
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// Range is the least and the greatest value: the spread of a few rounds; NaN of an empty sample.
func (s Sample) Range() (low, high float64) {
	if len(s) == 0 {
		return math.NaN(), math.NaN()
	}
	return slices.Min(s), slices.Max(s)
}

// Ratios divides s by base, round by round: what slows a whole round down cancels out. Rounds that are not in both, and
// those whose base is 0, are left out.
func (s Sample) Ratios(base Sample) Sample {
	var out Sample
	for i := range min(len(s), len(base)) {
		if base[i] != 0 {
			out = append(out, s[i]/base[i])
		}
	}
	return out
}

// Differences subtracts base from s, round by round.
func (s Sample) Differences(base Sample) Sample {
	var out Sample
	for i := range min(len(s), len(base)) {
		out = append(out, s[i]-base[i])
	}
	return out
}

// Percentile is the least value that at least p percent of the sorted values do not exceed (the nearest rank); 0 of no
// values.
func Percentile(sorted []int64, p float64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
