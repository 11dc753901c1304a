package bpe

import (
	"encoding/binary"
	"math/bits"
)

// Most pieces are short and ASCII. What follows finds the end of such a piece in the next eight bytes of a text at
// once; what it leaves undecided is the splitter's. A mask has 0x80 in each byte that is meant.

const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// between returns the mask of the bytes of x, all below 0x80, that are in lo..hi.
func between(x uint64, lo, hi byte) uint64 {
	return ((x + ones*uint64(0x80-lo)) &^ (x + ones*uint64(0x7F-hi))) & high
}

// through returns the end of the bytes of mask that follow each other from from, both in bits; 64 if that is the end of
// the eight bytes.
func through(mask uint64, from int) int {
	return bits.TrailingZeros64(^mask&high&(^uint64(0)<<(from&63))) &^ 7
}

// What a piece that begins with an ASCII character may be.
const (
	leavesOpen  = iota // to the splitter
	startsWord         // a letter
	mayLeadWord        // a space or symbol, part of the word that follows it
	startsDigits
	startsLine // CR or LF
)

var starts = func() (s [256]uint8) {
	for c := range 128 {
		switch k := classOf(rune(c)); {
		case k&letter != 0:
			s[c] = startsWord
		case k&number != 0:
			s[c] = startsDigits
		case k&newline != 0:
			s[c] = startsLine
		default:
			s[c] = mayLeadWord
		}
	}
	return s
}()

// quickO200k returns the length of the piece of splitO200k that x begins with, 0 if it can't tell.
func quickO200k(x uint64) int {
	ascii := x &^ high
	from := 0
	switch starts[byte(x)] {
	case leavesOpen:
		return 0
	case startsDigits:
		return quickDigits(x, ascii)
	case startsLine:
		return quickSpaces(x, ascii)
	case mayLeadWord:
		from = 8
	}
	lower := between(ascii, 'a', 'z') &^ x
	end := through(lower, from)
	if end == from { // most words have no capitals
		if end = through(between(ascii, 'A', 'Z')&^x, from); end >= 64 {
			return 0
		}
		if end = through(lower, end); end == from {
			return quickSymbols(x, ascii)
		}
	}
	if next := byte(x >> (end & 63)); end >= 64 || next >= 0x80 || next == '\'' {
		return 0
	}
	return end / 8
}

// quickCL100k is quickO200k for splitCL100k.
func quickCL100k(x uint64) int {
	ascii := x &^ high
	from := 0
	switch starts[byte(x)] {
	case leavesOpen:
		return 0
	case startsDigits:
		return quickDigits(x, ascii)
	case startsLine:
		return quickSpaces(x, ascii)
	case mayLeadWord:
		if byte(x) == '\'' {
			return 0
		}
		from = 8
	}
	end := through(between(ascii|ones*0x20, 'a', 'z')&^x, from)
	if end == from {
		return quickSymbols(x, ascii)
	}
	if end >= 64 || byte(x>>(end&63)) >= 0x80 {
		return 0
	}
	return end / 8
}

func quickDigits(x, ascii uint64) int {
	end := through(between(ascii, '0', '9')&^x, 0)
	if end >= 24 {
		return 3
	}
	if byte(x>>end) >= 0x80 {
		return 0
	}
	return end / 8
}

// quickSymbols returns the length of " ?[^\s\p{L}\p{N}]+" if no end of a line follows, or else that of spaces.
func quickSymbols(x, ascii uint64) int {
	from := 0
	if byte(x) == ' ' {
		from = 8
	}
	not := between(ascii|ones*0x20, 'a', 'z') | between(ascii, '0', '9') | spacesOf(ascii)
	end := through(^(not | x), from)
	if end == from {
		return quickSpaces(x, ascii)
	}
	if next := byte(x >> (end & 63)); end >= 64 || next >= 0x80 || next == '\n' || next == '\r' {
		return 0
	}
	return end / 8
}

// quickSpaces is spacesOrLines.
func quickSpaces(x, ascii uint64) int {
	end := through(spacesOf(ascii)&^x, 0)
	if end == 0 || end >= 64 || byte(x>>end) >= 0x80 {
		return 0
	}
	lines := (between(ascii, '\n', '\n') | between(ascii, '\r', '\r')) & (1<<end - 1)
	switch {
	case lines != 0:
		return bits.Len64(lines) / 8
	case end == 8:
		return 1
	}
	return end/8 - 1
}

func spacesOf(ascii uint64) uint64 { return between(ascii, '\t', '\r') | between(ascii, ' ', ' ') }

// skipLower returns the end of the letters a to z at t[i], or an earlier place if the text ends soon.
func skipLower(t []byte, i int) int {
	for i+8 <= len(t) {
		x := binary.LittleEndian.Uint64(t[i:])
		n := through(between(x&^high, 'a', 'z')&^x, 0) / 8
		i += n
		if n < 8 {
			break
		}
	}
	return i
}

// skipSpaces is skipLower for ' '.
func skipSpaces(t []byte, i int) int {
	for i+8 <= len(t) {
		n := bits.TrailingZeros64(binary.LittleEndian.Uint64(t[i:])^ones*' ') / 8
		i += n
		if n < 8 {
			break
		}
	}
	return i
}

// quickNone leaves everything to the splitter.
func quickNone(uint64) int { return 0 }
