package promptguard

import (
	"cmp"
	"math"
	"slices"
)

// A hit is a match of one detector, in offsets of the view.
//
// cut says that more of the same follows: a private key that is longer than any match may be.
type hit struct {
	detector, start, end int
	cut                  bool
}

// A scan is one look at a view. It is reused.
type scan struct {
	set  *Set
	v    view
	from int // what starts before was judged already
	hold int // where the first undecided match begins
	last int // the run of digits that was looked at last
	odd  int // the word with a character that hides it that was looked at last
	hits []hit
	ends []int // where each detector's latest match ended, in offsets of the text
	own  []int // ends of a whole text
	work work  // of the users' patterns
}

func (s *scan) reset(v view, from int) {
	v.work = &s.work
	s.work.reader.words, s.work.first.start = nil, -1
	s.v, s.from, s.hold, s.last, s.odd, s.hits = v, from, math.MaxInt, -1, -1, s.hits[:0]
}

// run finds all matches that start at from or later. Those that start before hold are final, and sorted.
func (s *scan) run(v view, from int, ends []int) {
	s.reset(v, from)
	s.ends = ends
	p := s.set
	first := max(0, from-lookbehind)
	p.filter.scan(s, first)
	if len(p.byCue[cueAt]) > 0 {
		ats(s, first)
	}
	if len(p.byCue[cueRun])+len(p.byCue[cueOdd]) > 0 {
		wide(s, first)
	}
	if len(p.byCue[cueRegexp]) > 0 {
		s.patterns()
	}
	if !v.end {
		s.hold = min(s.hold, p.tail(&s.v, from))
	}
	s.final()
}

// ask lets a detector judge a start.
func (s *scan) ask(detector, at int) {
	d := &s.set.detectors[detector]
	if at < 0 || !d.late && (at < s.from || at+s.v.base < s.ends[detector]) {
		return // what starts there was judged
	}
	m := d.match(&s.v, at)
	if m.state == no || m.start < s.from {
		return
	}
	if m.state == more {
		s.hold = min(s.hold, m.start)
		return
	}
	s.hits = append(s.hits, hit{detector, m.start, m.end, m.cut})
}

// digits lets the detectors of numbers judge the run of digits around an offset.
func (s *scan) digits(at int) {
	const longest = maxRun
	start := s.v.back(at, longest, isDigit)
	if start == s.last || at-start >= longest {
		return
	}
	s.last = start
	end := s.v.run(start, len(s.set.byRun)-1, isDigit)
	if end == len(s.v.b) && !s.v.end {
		return // the tail holds it
	}
	then := byte(0)
	if end < len(s.v.b) {
		if then = s.v.b[end]; is(then, isLetter) {
			then = 'A'
		}
	}
	for _, r := range s.set.byRun[end-start] {
		if r.then == 0 || r.then == then {
			s.ask(r.detector, start-r.lead)
		}
	}
}

var signs = [cues]byte{cueDot: '.', cueColon: ':', cueDash: '-', cuePlus: '+', cueAt: '@'}

// sign lets the detectors that ask for a sign judge the one at an offset.
func (s *scan) sign(c cue, at int) {
	if want := signs[c]; want != 0 && s.v.b[at] != want {
		return
	}
	for _, d := range s.set.byCue[c] {
		s.ask(d, at)
	}
}

// final drops the hits that are not final yet, sorts the others, and drops those that overlap an earlier one of the same
// detector: what a regular expression's FindAll would give.
func (s *scan) final() {
	if len(s.hits) == 0 {
		return
	}
	hits := slices.DeleteFunc(s.hits, func(h hit) bool { return h.start >= s.hold })
	slices.SortFunc(hits, compareHits)
	kept := hits[:0]
	for _, h := range hits {
		if h.start+s.v.base >= s.ends[h.detector] {
			s.ends[h.detector] = h.end + s.v.base
			kept = append(kept, h)
		}
	}
	s.hits = kept
}

func compareHits(a, b hit) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.detector, b.detector))
}
