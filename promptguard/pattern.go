package promptguard

import (
	"errors"
	"regexp/syntax"
	"unicode/utf8"

	"github.com/wasilibs/go-re2/experimental"
)

// pattern makes a detector of a user's regular expression.
func pattern(expr string, maxLength int) (detector, error) {
	if maxLength < 0 || maxLength > maxMaxLength {
		return detector{}, errMax
	}
	if maxLength == 0 {
		maxLength = defaultMaxLength
	}
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

// leading returns the literals one of which every match begins with, or nil if they are not known or too short to look for.
func leading(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpCapture:
		return leading(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if sub.Op == syntax.OpWordBoundary || sub.Op == syntax.OpNoWordBoundary {
				continue
			}
			return leading(sub)
		}
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			lits := leading(sub)
			if lits == nil {
				return nil
			}
			all = append(all, lits...)
		}
		return all
	case syntax.OpLiteral:
		if text := plain(re); len(text) >= least {
			return []string{text[:min(len(text), maxLiteral)]}
		}
	}
	return nil
}

// plain returns the beginning of a literal that is written in one way only but for the case of ASCII letters. The letters k
// and s have other forms (U+212A, U+017F) that an expression in any case matches too.
func plain(re *syntax.Regexp) string {
	anyCase := re.Flags&syntax.FoldCase != 0
	var text []byte
	for _, r := range re.Rune {
		if anyCase && (r >= utf8.RuneSelf || r|0x20 == 'k' || r|0x20 == 's') {
			break
		}
		text = utf8.AppendRune(text, r)
	}
	return string(text)
}

// A patternSet finds out which of the patterns without a literal occur in a text at all, in one pass.
type patternSet struct {
	set       *experimental.Set
	detectors []int // by index in the set
}

// worthSet is the length from which asking the set costs less than trying the patterns, in bytes.
const worthSet = 512

func newPatternSet(s *Set) (*patternSet, error) {
	p := &patternSet{detectors: s.byCue[cueRegexp]}
	if len(p.detectors) == 0 {
		return p, nil
	}
	exprs := make([]string, len(p.detectors))
	for i, d := range p.detectors {
		exprs[i] = s.detectors[d].expr
	}
	var err error
	if p.set, err = experimental.CompileSet(exprs); err != nil {
		return nil, &RuleError{Rule: s.rules[s.owners[p.detectors[0]][0]].Name, Field: "patterns", Err: errors.Join(errTooLarge, err)}
	}
	return p, nil
}

// patterns tries the users' patterns that have no literal.
func (s *scan) patterns() {
	p := s.set.patterns
	if s.v.end && s.from == 0 && len(s.v.b) >= worthSet && utf8.Valid(s.v.b) {
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

// pattern tries one of them at every place where a match can begin.
func (s *scan) pattern(d int) {
	det := &s.set.detectors[d]
	b := s.v.b
	for i := max(s.from, s.ends[d]-s.v.base); i < len(b) && s.work.err == nil; {
		if !det.program.first[b[i]] || !utf8.RuneStart(b[i]) && insideRune(b, i) {
			i++
			continue
		}
		m := det.match(&s.v, i)
		if m.state == more {
			s.hold = min(s.hold, i)
			return
		}
		if m.state == yes {
			s.hits = append(s.hits, hit{d, m.start, m.end})
			i = m.end
			continue
		}
		i++
	}
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
