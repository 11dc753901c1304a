package bpe

import (
	_ "embed"
	"unicode/utf8"
)

// class says what the patterns of the encodings ask of a code point.
type class byte

const (
	letter  class = 1 << iota // \p{L}
	upper                     // \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}
	lower                     // \p{Ll}\p{Lm}\p{Lo}\p{M}
	number                    // \p{N}
	space                     // \s, which is White_Space
	newline                   // CR and LF, which are spaces too
)

// both is a letter without case or a mark: it begins a word as an upper case letter does and ends it as a lower case one.
const both = upper | lower

// classes is written by gen/unicode.mjs from Unicode 16, the version that tiktoken's regular expressions know; that of
// Go's own tables depends on the compiler. First the block of each 128 code points, then the blocks.
//
//go:embed classes.bin
var classes string

const classIndex = (utf8.MaxRune + 1) / 128

func classOf(r rune) class {
	block := int(classes[r>>7])
	return class(classes[classIndex+block<<7+int(r&127)])
}

// classAt returns the class and the width of the code point at t[i]. t is valid UTF-8.
func classAt(t []byte, i int) (class, int) {
	if c := t[i]; c < utf8.RuneSelf {
		return class(classes[classIndex+int(c)]), 1
	}
	return classAtWide(t[i:])
}

// classAtWide is classAt for the code point that t begins with and that has more than one byte.
func classAtWide(t []byte) (class, int) {
	switch lead := rune(t[0]); {
	case lead < 0xE0:
		return classOf(lead&0x1F<<6 | rune(t[1]&0x3F)), 2
	case lead < 0xF0:
		_ = t[2]
		return classOf(lead&0xF<<12 | rune(t[1]&0x3F)<<6 | rune(t[2]&0x3F)), 3
	default:
		_ = t[3]
		return classOf(lead&7<<18 | rune(t[1]&0x3F)<<12 | rune(t[2]&0x3F)<<6 | rune(t[3]&0x3F)), 4
	}
}
