package promptguard

import (
	"cmp"
	"slices"
)

// scoreWindow is how far apart phrases may stand whose weights add up, in bytes.
const scoreWindow = 2048

// A tally turns hits into findings. It remembers the phrases that were seen lately, for the detectors that find something
// only together: at most one of each detector.
type tally struct {
	recent []scored
	batch  []Finding
}

type scored struct{ detector, at int }

// findings calls each for the findings of a scan's final hits, in their order, until it says no. Offsets are of the text.
func (t *tally) findings(sc *scan, each func(Finding) bool) {
	set, base := sc.set, sc.v.base
	t.batch = t.batch[:0]
	for _, h := range sc.hits {
		d := &set.detectors[h.detector]
		if d.weight > 0 {
			t.note(h.detector, h.start+base)
		}
		for _, owner := range set.owners[h.detector] {
			r := &set.rules[owner]
			if d.weight > 0 && t.score(set, d.group) < d.needs(r) {
				continue
			}
			f := Finding{Rule: r.Name, Kind: d.kind, Start: h.start + base, End: h.end + base, Action: r.Action,
				label: d.label, key: r.HashKey, restore: r.Restore}
			if h.cut && f.Action >= Hash {
				f.Action = Block // what lies beyond the end of the match must not go on either
			}
			t.batch = append(t.batch, f)
		}
	}
	slices.SortStableFunc(t.batch, CompareFindings)
	for _, f := range t.batch {
		if !each(f) {
			return
		}
	}
}

// CompareFindings sorts findings as Vault.Apply wants them: by start; at the same start the longer one first, and of the same span the stricter one.
func CompareFindings(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(b.Action, a.Action), compareBool(a.restore, b.restore))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (t *tally) note(detector, at int) {
	t.recent = slices.DeleteFunc(t.recent, func(s scored) bool { return s.detector == detector || s.at < at-scoreWindow })
	t.recent = append(t.recent, scored{detector, at})
}

func (t *tally) score(set *Set, group string) int {
	sum := 0
	for _, s := range t.recent {
		if d := &set.detectors[s.detector]; d.group == group {
			sum += d.weight
		}
	}
	return sum
}

const defaultThreshold = 10

// needs is the score from which a detector's group finds something for a rule.
func (d *detector) needs(r *Rule) int {
	if d.threshold > 0 {
		return d.threshold
	}
	return cmp.Or(r.Threshold, defaultThreshold)
}
