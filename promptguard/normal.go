package promptguard

import (
	"unicode"
	"unicode/utf8"
)

// A normal form makes writings of a word alike that people read as one: case, accents, digits and signs in place of
// letters, letters of other scripts that look the same, widths, and characters that nobody sees.

// maxWord is the length of a word's normal form, and maxRaw that of its writing, in bytes.
const (
	maxWord = 24
	maxRaw  = 96
)

// A word is one in its normal form, and where it stands.
type word struct {
	buf        [maxWord]byte
	n          int
	start, end int
	odd        bool // it had characters that hide it
}

func (w *word) text() []byte { return w.buf[:w.n] }

// unseen are characters without a form of their own: soft hyphen, zero width, direction, variation, tags.
func unseen(r rune) bool {
	return r == 0xAD || r == 0x34F || r == 0x180E || r >= 0x200B && r <= 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2060 && r <= 0x2064 ||
		r == 0xFEFF || r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0000 && r <= 0xE007F
}

// lookalikes are letters of other scripts by the Latin letter that they look like. Source: Unicode UTS 39, confusables.
var lookalikes = func() map[rune]byte {
	m := map[rune]byte{}
	for latin, others := range map[byte]string{'a': "аАαΑ", 'b': "ВвЬβΒ", 'c': "сСϲ", 'd': "ԁ", 'e': "еЕεΕё", 'g': "ɡ", 'h': "һНհΗ", 'i': "іІιΙɩӏΙ",
		'j': "јЈ", 'k': "кКκΚ", 'm': "мМΜ", 'n': "пηΝո", 'o': "оОοΟօσ", 'p': "рРρΡ", 'q': "ԛ", 'r': "гѓ", 's': "ѕЅ", 't': "тТτΤ", 'u': "υцս", 'v': "νѵ",
		'w': "ԝшω", 'x': "хХχΧ", 'y': "уУγΥү", 'z': "Ζ"} {
		for _, r := range others {
			m[r] = latin
		}
	}
	return m
}()

// accents are the base letters of U+00C0 to U+017F, in lower case.
const accents = "aaaaaaaceeeeiiiidnooooo ouuuuyts" + "aaaaaaaceeeeiiiidnooooo ouuuuyty" +
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"

// lookalikeTable is lookalikes of the scripts that have them: Greek, Cyrillic and Armenian come before U+0590.
var lookalikeTable = func() (t [0x590]byte) {
	for r, c := range lookalikes {
		t[r] = c
	}
	return t
}()

// latin returns the ASCII letter in lower case that a character is a form of, or 0.
func latin(r rune) (c byte, odd bool) {
	switch {
	case r >= 0xC0 && r <= 0x17F:
		return accents[r-0xC0], false
	case r >= 0 && r < rune(len(lookalikeTable)):
		return lookalikeTable[r], true
	case r >= 0xFF21 && r <= 0xFF3A:
		return byte(r-0xFF21) + 'a', true
	case r >= 0xFF41 && r <= 0xFF5A:
		return byte(r-0xFF41) + 'a', true
	case r >= 0x1D400 && r <= 0x1D6A3: // mathematical alphabets, each of 26 capitals and 26 small letters
		return byte((r-0x1D400)%26) + 'a', true
	case r >= 0x24B6 && r <= 0x24E9: // in circles
		return byte((r-0x24B6)%26) + 'a', true
	}
	return 0, true
}

// leet are the digits and signs that stand for letters; l is written as i, as fold has it.
func leet(c byte) byte {
	switch c {
	case '0':
		return 'o'
	case '1', '!', '|', 'l':
		return 'i'
	case '3':
		return 'e'
	case '4', '@':
		return 'a'
	case '5', '$':
		return 's'
	case '7':
		return 't'
	}
	return c
}

// plain are the normal forms of letters and digits.
var plain = func() (t [256]byte) {
	for c := range 256 {
		if b := byte(c); is(b, isAlnum) {
			t[c] = leet(lower(b))
		}
	}
	return t
}()

func isLeet(c byte) bool { return c < 'a' && leet(c) != c }

// read reads a word from an offset on, in the form that lookups use. It says whether the text goes far enough to know.
func (w *word) read(v *view, at int) (known bool) {
	w.n, w.start, w.end, w.odd = 0, at, at, false
	i := at
	for i < len(v.b) && i-at < maxRaw {
		c := v.b[i]
		if n := plain[c]; n != 0 {
			w.put(n)
			i++
			w.end = i
			continue
		}
		if c < utf8.RuneSelf {
			if !is(c, isAlnum) && (!isLeet(c) || c == '!' && !v.letterFollows(i+1)) && c != '\'' {
				return true
			}
			if c != '\'' {
				w.put(leet(lower(c)))
			}
			i++
			w.end = i
			continue
		}
		r, size, ok := v.rune(i)
		if !ok {
			return false
		}
		if !w.putRune(r) {
			return true
		}
		i += size
		w.end = i
	}
	return i-at >= maxRaw || v.end
}

// letterFollows tells a sign within a word from one that ends a sentence. At the end of what is known it says yes: then the
// word is not known either.
func (v *view) letterFollows(i int) bool {
	if i < len(v.b) {
		return is(v.b[i], isLetter)
	}
	return !v.end
}

func (w *word) put(c byte) {
	if w.n < maxWord {
		w.buf[w.n] = c
		w.n++
	}
}

// putRune adds a character beyond ASCII, and says whether it belongs to a word.
func (w *word) putRune(r rune) bool {
	if unseen(r) || unicode.Is(unicode.Mn, r) {
		w.odd = true
		return true
	}
	if c, odd := latin(r); c != 0 && c != ' ' {
		w.odd = w.odd || odd
		w.put(leet(c))
		return true
	}
	if !unicode.IsLetter(r) {
		return false
	}
	var buf [utf8.UTFMax]byte
	for _, c := range buf[:utf8.EncodeRune(buf[:], unicode.ToLower(r))] {
		w.put(c)
	}
	return true
}

// hides says whether a character is one that hides words: unseen, or of another width or alphabet, or of another script
// next to an ASCII letter.
func hides(v *view, i int, r rune, size int) bool {
	if unseen(r) || r >= 0x300 && r <= 0x36F {
		return true
	}
	c, odd := latin(r)
	if c == 0 || !odd {
		return false
	}
	if r >= 0x1000 {
		return true
	}
	after := i+size < len(v.b) && is(v.b[i+size], isLetter)
	return after || v.before(i, isLetter)
}
