package promptguard

import "unicode/utf8"

// maxLiteral is the length of the longest literal, in bytes.
const maxLiteral = 64

// prefixes are what literals begin with, folded.
type prefixes struct {
	known   map[string]struct{}
	longest int
}

func newPrefixes(literals []literal) prefixes {
	p := prefixes{known: map[string]struct{}{}}
	for _, l := range literals {
		for n := 1; n < len(l.folded); n++ {
			p.known[l.folded[:n]] = struct{}{}
		}
		p.longest = max(p.longest, len(l.folded)-1)
	}
	return p
}

// tail returns from where on the end of a text may be the beginning of a match that no cue has told of yet.
func (s *Set) tail(v *view, from int) int {
	b := v.b
	hold := len(b)
	for low := max(0, from, len(b)-s.reach); hold > low && !is(b[hold-1], isSpace); {
		hold--
	}
	for _, d := range s.spaced {
		for k := 1; k <= s.detectors[d].lead+3 && k <= len(b)-from; k++ {
			if m := s.detectors[d].match(v, len(b)-k); m.state == more {
				hold = min(hold, m.start)
			}
		}
	}
	if n := s.prefixes.at(b[max(0, from):]); n > 0 {
		hold = min(hold, len(b)-n)
	}
	return max(from, wholeRune(b, hold))
}

// at returns the length of the longest prefix that a text ends with.
func (p prefixes) at(b []byte) int {
	var folded [maxLiteral]byte
	b = b[max(0, len(b)-p.longest):]
	for i, c := range b {
		folded[i] = fold(c)
	}
	for i := range b {
		if _, ok := p.known[string(folded[i:len(b)])]; ok {
			return len(b) - i
		}
	}
	return 0
}

// wholeRune moves an offset back to the start of the character it is in.
func wholeRune(b []byte, at int) int {
	for i := at - 1; i >= 0 && at-i < utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:min(len(b), at)]) && (at == len(b) || !utf8.RuneStart(b[at])) {
				return i
			}
			break
		}
	}
	return at
}
