package promptguard

// Classes of bytes, as bits of a table.
const (
	isDigit = 1 << iota
	isUpper
	isLower
	isHex
	isLocal  // in the local part of an e-mail address, unquoted
	isBase64 // of both alphabets
	isSpace

	isLetter = isUpper | isLower
	isAlnum  = isLetter | isDigit
)

var charTable = func() (t [256]uint8) {
	set := func(s string, bit uint8) {
		for i := range len(s) {
			t[s[i]] |= bit
		}
	}
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9':
			t[c] = isDigit | isHex | isLocal | isBase64
		case c >= 'A' && c <= 'Z':
			t[c] = isUpper | isLocal | isBase64
		case c >= 'a' && c <= 'z':
			t[c] = isLower | isLocal | isBase64
		}
	}
	set("abcdefABCDEF", isHex)
	set("._%+-", isLocal)
	set("+/-_", isBase64)
	set(" \t\r\n", isSpace)
	return t
}()

func is(c, class byte) bool { return charTable[c]&class != 0 }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// before says whether the byte before at is of a class. A text's start is of none.
func (v *view) before(at int, class byte) bool { return at > 0 && is(v.b[at-1], class) }

// after says whether the byte at an offset is of a class, and whether that is known yet.
func (v *view) after(at int, class byte) (of, known bool) {
	if at < len(v.b) {
		return is(v.b[at], class), true
	}
	return false, v.end
}

// run returns the end of the run of bytes of a class that starts at an offset and is at most limit long.
func (v *view) run(at, limit int, class byte) int {
	end := min(len(v.b), at+limit)
	for at < end && is(v.b[at], class) {
		at++
	}
	return at
}

// back returns the start of the run of bytes of a class that ends at an offset and is at most limit long.
func (v *view) back(at, limit int, class byte) int {
	low := max(0, at-limit)
	for at > low && is(v.b[at-1], class) {
		at--
	}
	return at
}

// said tells whether one of the words, in lower case, stands within so many bytes before at.
func (v *view) said(at, within int, words []string) bool {
	near := v.b[max(0, at-min(within, lookbehind/2)):at]
	for _, w := range words {
		if indexFold(near, w) >= 0 {
			return true
		}
	}
	return false
}

// indexFold finds a word in lower case as a whole word of a text of any case.
func indexFold(b []byte, word string) int {
	for i := 0; i+len(word) <= len(b); i++ {
		if lower(b[i]) != word[0] || i > 0 && is(b[i-1], isLetter) {
			continue
		}
		end := i + len(word)
		if equalFold(b[i:end], word) && (end == len(b) || !is(b[end], isLetter)) {
			return i
		}
	}
	return -1
}

// equalFold compares a text with a word in lower case.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		if lower(b[i]) != word[i] {
			return false
		}
	}
	return true
}
