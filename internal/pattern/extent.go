package pattern

import (
	"regexp/syntax"
	"unicode/utf8"
)

// unbounded is the greatest length of what has none.
const unbounded = -1

// extent returns the least and the greatest number of bytes that an expression matches.
func extent(re *syntax.Regexp) (least, most int) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			lo, hi := runeExtent(r, re.Flags&syntax.FoldCase != 0)
			least, most = least+lo, most+hi
		}
		return least, most
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1, utf8.UTFMax
	case syntax.OpCapture:
		return extent(re.Sub[0])
	case syntax.OpStar:
		return 0, unbounded
	case syntax.OpPlus:
		least, _ = extent(re.Sub[0])
		return least, unbounded
	case syntax.OpQuest:
		_, most = extent(re.Sub[0])
		return 0, most
	case syntax.OpRepeat:
		return repeatExtent(re)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			lo, hi := extent(sub)
			least, most = least+lo, sum(most, hi)
		}
		return least, most
	case syntax.OpAlternate:
		return alternateExtent(re)
	}
	return 0, 0 // assertions, and what matches nothing
}

// runeExtent knows that k and s have cousins of other lengths (U+212A, U+017F).
func runeExtent(r rune, foldCase bool) (least, most int) {
	n := utf8.RuneLen(r)
	if foldCase {
		return 1, 3
	}
	return n, n
}

func repeatExtent(re *syntax.Regexp) (least, most int) {
	lo, hi := extent(re.Sub[0])
	if re.Max < 0 || hi == unbounded {
		return lo * re.Min, unbounded
	}
	return lo * re.Min, hi * re.Max
}

func alternateExtent(re *syntax.Regexp) (least, most int) {
	least, most = extent(re.Sub[0])
	for _, sub := range re.Sub[1:] {
		lo, hi := extent(sub)
		least = min(least, lo)
		if hi == unbounded || most == unbounded {
			most = unbounded
		} else {
			most = max(most, hi)
		}
	}
	return least, most
}

func sum(a, b int) int {
	if a == unbounded || b == unbounded {
		return unbounded
	}
	return a + b
}
