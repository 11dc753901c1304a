package promptguard

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"

	"github.com/wasilibs/go-re2/experimental"
)

// expression makes a detector of a user's regular expression.
func expression(expr string, maxLength int) (detector, error) {
	p, re, err := newProgram(expr, maxLength)
	if err != nil {
		return detector{}, err
	}
	d := detector{kind: "Pattern", label: "PATTERN", cue: cueRegexp, match: p.match, program: p, expr: expr}
	if lits := leading(re); lits != nil {
		d.cue, d.literals = cueLiteral, lits
	}
	return d, nil
}

// maxHeads is how many beginnings an expression may have to be found by them.
const maxHeads = 64

// leading returns the literals one of which every match begins with, or nil if they are not known or too short to look for.
func leading(re *syntax.Regexp) []string {
	all, _ := heads(re)
	for i, h := range all {
		if len(h) < least {
			return nil
		}
		all[i] = h[:min(len(h), maxLiteral)]
	}
	return all
}

// heads returns what matches of an expression begin with, and whether that is all of each match. ASCII letters stand for
// both cases.
func heads(re *syntax.Regexp) (all []string, whole bool) {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpBeginText, syntax.OpBeginLine:
		return []string{""}, true
	case syntax.OpCapture:
		return heads(re.Sub[0])
	case syntax.OpLiteral:
		return literalHeads(re)
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if all = append(all, string(r)); len(all) > maxHeads {
					return nil, false
				}
			}
		}
		return all, true
	case syntax.OpAlternate:
		whole = true
		for _, sub := range re.Sub {
			h, w := heads(sub)
			if h == nil || len(all)+len(h) > maxHeads {
				return nil, false
			}
			all, whole = append(all, h...), whole && w
		}
		return all, whole
	case syntax.OpConcat:
		return concatHeads(re.Sub)
	}
	return nil, false
}

func concatHeads(subs []*syntax.Regexp) (all []string, whole bool) {
	all, whole = []string{""}, true
	for _, sub := range subs {
		h, w := heads(sub)
		if h == nil || len(h)*len(all) > maxHeads || len(h) > 1 && shortest(all) >= least {
			return all, false
		}
		all = cross(all, h)
		if !w {
			return all, false
		}
	}
	return all, true
}

func shortest(all []string) int {
	n := len(all[0])
	for _, h := range all {
		n = min(n, len(h))
	}
	return n
}

func cross(left, right []string) []string {
	var out []string
	for _, l := range left {
		for _, r := range right {
			out = append(out, l+r)
		}
	}
	return out
}

// literalHeads knows that some letters have more than two forms: k and s have cousins beyond ASCII (U+212A, U+017F).
func literalHeads(re *syntax.Regexp) (all []string, whole bool) {
	all = []string{""}
	for _, r := range re.Rune {
		forms := []string{string(r)}
		for other := unicode.SimpleFold(r); re.Flags&syntax.FoldCase != 0 && other != r; other = unicode.SimpleFold(other) {
			if other >= utf8.RuneSelf || r >= utf8.RuneSelf {
				forms = append(forms, string(other))
			}
		}
		if len(all)*len(forms) > maxHeads {
			return all, false
		}
		all = cross(all, forms)
	}
	return all, true
}

// A patternSet finds out which of the patterns without a literal occur in a text at all, in one pass.
type patternSet struct {
	set       *experimental.Set
	detectors []int // by index in the set
}

// worthSet is the length from which asking the set costs less than trying the patterns, in bytes.
const worthSet = 512

func newPatternSet(s *Set) *patternSet {
	p := &patternSet{detectors: s.byCue[cueRegexp]}
	if len(p.detectors) == 0 {
		return p
	}
	exprs := make([]string, len(p.detectors))
	for i, d := range p.detectors {
		exprs[i] = s.detectors[d].expr
	}
	// RE2 may want more memory for a set than it gives itself. The patterns work without: each is tried then.
	if set, err := experimental.CompileSet(exprs); err == nil {
		p.set = set
	}
	return p
}

// patterns tries the users' patterns that have no literal.
func (s *scan) patterns() {
	p := s.set.patterns
	if p.set != nil && s.v.end && s.from == 0 && len(s.v.b) >= worthSet && utf8.Valid(s.v.b) {
		// An evaluation that fails, for want of memory, says nothing: then each pattern is tried.
		if matched, err := p.set.FindAllWithError(s.v.b, len(p.detectors)); err == nil {
			for _, i := range matched {
				s.pattern(p.detectors[i])
			}
			return
		}
	}
	for _, d := range p.detectors {
		s.pattern(d)
	}
}

// pattern tries one of them at every place where a match can begin, and remembers how far it was judged: the text may be
// held for another.
func (s *scan) pattern(d int) {
	det := &s.set.detectors[d]
	b := s.v.b
	i, known := max(s.from, s.ends[d]-s.v.base), len(s.hits)
	for i < len(b) && s.work.err == nil {
		if !det.program.first[b[i]] || !utf8.RuneStart(b[i]) && insideRune(b, i) {
			i++
			continue
		}
		m := det.match(&s.v, i)
		if m.state == more {
			s.hold = min(s.hold, i)
			break
		}
		if m.state == yes {
			s.hits = append(s.hits, hit{d, m.start, m.end, false})
			i = m.end
			continue
		}
		i++
	}
	if len(s.hits) > known {
		i = s.hits[known].start
	}
	s.ends[d] = max(s.ends[d], i+s.v.base)
}

// insideRune says whether an offset is within a character that began before it.
func insideRune(b []byte, i int) bool {
	for start := i - 1; start >= 0 && i-start < utf8.UTFMax; start-- {
		if utf8.RuneStart(b[start]) {
			_, size := utf8.DecodeRune(b[start:])
			return start+size > i
		}
	}
	return false
}
