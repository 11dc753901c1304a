package jsonscan

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may nest.
const MaxDepth = 128

// SyntaxError says where a text stops being JSON as Valid wants it.
type SyntaxError struct {
	// Offset is in bytes from the start.
	Offset int
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Msg)
}

// Valid checks that b is one JSON text, and answers a *SyntaxError if not. It is stricter than RFC 8259 where readers differ
// and a difference could be used to get round a policy: no key may stand twice in one object, however it is escaped; text is
// valid UTF-8; nesting ends at MaxDepth. An escaped half of a surrogate pair (`"\ud83d"`) is accepted, since JavaScript
// clients that cut strings send it; it reads as U+FFFD, as with encoding/json.
func Valid(b []byte) error { return ValidMembers(b, nil) }

// ValidMembers is Valid that yields the members of the text's object on the way, as Fields does: they are read once for both. What was
// yielded before an error means nothing.
func ValidMembers(b []byte, yield func(key, value []byte)) error {
	c := checker{b: b}
	i := c.space(0)
	if i < len(b) && b[i] == '{' {
		i = c.object(i+1, 1, yield)
	} else {
		i = c.value(i, 0)
	}
	if i >= 0 {
		if i = c.space(i); i < len(b) {
			i = c.fail(i, "text after the value")
		}
	}
	if i < 0 {
		return &SyntaxError{Offset: c.at, Msg: c.msg}
	}
	return nil
}

// maxLinear is how many keys of an object are compared each with each; of more, hashes are sorted. Up to so many need no heap.
const maxLinear = 32

// seed makes hashes of keys unpredictable, so that equal hashes of 64 bits can be taken for equal keys.
var seed = maphash.MakeSeed()

// checker walks a text. Its methods take the place to read and return the place after, or -1 after fail.
type checker struct {
	b   []byte
	at  int
	msg string
}

func (c *checker) fail(i int, msg string) int {
	c.at, c.msg = i, msg
	return -1
}

func (c *checker) space(i int) int {
	for i < len(c.b) && c.b[i] <= ' ' && isSpace(c.b[i]) {
		i++
	}
	return i
}

func isSpace(x byte) bool { return x == ' ' || x == '\n' || x == '\t' || x == '\r' }

func (c *checker) value(i, depth int) int {
	if i >= len(c.b) {
		return c.fail(i, "a value is missing")
	}
	switch x := c.b[i]; {
	case x == '"':
		return c.str(i + 1)
	case x == '{' || x == '[':
		if depth == MaxDepth {
			return c.fail(i, fmt.Sprintf("nested deeper than %d", MaxDepth))
		}
		if x == '{' {
			return c.object(i+1, depth+1, nil)
		}
		return c.array(i+1, depth+1)
	case x == '-' || isDigit(x):
		return c.number(i)
	case x == 't':
		return c.word(i, "true")
	case x == 'f':
		return c.word(i, "false")
	case x == 'n':
		return c.word(i, "null")
	}
	return c.fail(i, "a value does not begin so")
}

// object yields its members, if yield is not nil.
func (c *checker) object(i, depth int, yield func(key, value []byte)) int {
	if i = c.space(i); i < len(c.b) && c.b[i] == '}' {
		return i + 1
	}
	var room [maxLinear]uint64
	keys := room[:0] // hashes of the keys so far
	for {
		var m member
		var h uint64
		if h = c.key(i, keys, &m); m.value < 0 {
			return -1
		}
		keys = append(keys, h)
		if i = c.value(m.value, depth); i < 0 {
			return -1
		}
		if yield != nil {
			yield(m.name(c.b), c.b[m.value:i])
		}
		i = c.space(i)
		switch {
		case i < len(c.b) && c.b[i] == ',':
			i = c.space(i + 1)
		case i < len(c.b) && c.b[i] == '}':
			return c.close(i, keys)
		default:
			return c.fail(i, "expected , or } in an object")
		}
	}
}

// key reads a key, whose hash it answers, and its colon, and says in m where it and its value begin; a value below 0 follows fail. It
// refuses one of keys unless they are many.
func (c *checker) key(i int, keys []uint64, m *member) uint64 {
	m.value = -1
	if i >= len(c.b) || c.b[i] != '"' {
		c.fail(i, "expected a key in quotes")
		return 0
	}
	m.key, m.keyEnd = i, c.str(i+1)
	if m.keyEnd < 0 {
		return 0
	}
	h := maphash.Bytes(seed, m.name(c.b))
	if len(keys) < maxLinear && slices.Contains(keys, h) {
		c.fail(i, "a key stands twice in one object")
		return 0
	}
	if i = c.space(m.keyEnd); i >= len(c.b) || c.b[i] != ':' {
		c.fail(i, "expected : after a key")
		return 0
	}
	m.value = c.space(i + 1)
	return h
}

// close ends an object at its brace.
func (c *checker) close(i int, keys []uint64) int {
	if len(keys) > maxLinear {
		slices.Sort(keys)
		if len(slices.Compact(keys)) < len(keys) {
			return c.fail(i, "a key stands twice in the object that ends here")
		}
	}
	return i + 1
}

func (c *checker) array(i, depth int) int {
	if i = c.space(i); i < len(c.b) && c.b[i] == ']' {
		return i + 1
	}
	for {
		if i = c.value(i, depth); i < 0 {
			return -1
		}
		i = c.space(i)
		switch {
		case i < len(c.b) && c.b[i] == ',':
			i = c.space(i + 1)
		case i < len(c.b) && c.b[i] == ']':
			return i + 1
		default:
			return c.fail(i, "expected , or ] in an array")
		}
	}
}

func (c *checker) word(i int, w string) int {
	if len(c.b)-i < len(w) || string(c.b[i:i+len(w)]) != w {
		return c.fail(i, "expected "+w)
	}
	return i + len(w)
}

func isDigit(x byte) bool { return x-'0' <= 9 }

func (c *checker) digits(i int) int {
	for i < len(c.b) && isDigit(c.b[i]) {
		i++
	}
	return i
}

func (c *checker) number(i int) int {
	start := i
	if c.b[i] == '-' {
		i++
	}
	whole := i
	if i = c.digits(i); i == whole || i-whole > 1 && c.b[whole] == '0' {
		return c.fail(start, "a number does not begin so")
	}
	if i < len(c.b) && c.b[i] == '.' {
		dot := i
		if i = c.digits(i + 1); i == dot+1 {
			return c.fail(i, "expected digits after the point")
		}
	}
	if i < len(c.b) && c.b[i]|0x20 == 'e' {
		i++
		if i < len(c.b) && (c.b[i] == '+' || c.b[i] == '-') {
			i++
		}
		exp := i
		if i = c.digits(i); i == exp {
			return c.fail(i, "expected digits in the exponent")
		}
	}
	return i
}

// str reads the rest of a string after its opening quote.
func (c *checker) str(i int) int {
	b := c.b
	for {
		for len(b)-i >= 16 {
			w := (*[16]byte)(b[i:]) // one check of bounds for two words
			if stop := special(binary.LittleEndian.Uint64(w[:8])); stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			if stop := special(binary.LittleEndian.Uint64(w[8:])); stop != 0 {
				i += 8 + bits.TrailingZeros64(stop)/8
				break
			}
			i += 16
		}
		if i >= len(b) {
			return c.fail(i, "a string does not end")
		}
		switch x := b[i]; {
		case x == '"':
			return i + 1
		case x == '\\':
			if i = c.escape(i); i < 0 {
				return -1
			}
		case x < ' ':
			return c.fail(i, "a control character in a string must be escaped")
		case x < utf8.RuneSelf:
			i++
		default:
			if i = c.runes(i); i < 0 {
				return -1
			}
		}
	}
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the high bit of the first of eight bytes that is a quote, a backslash, a control character or not ASCII.
// Bits above the first one mean nothing, because a subtraction borrows. Turning bit 1 brings the quote below the space, so that
// one subtraction finds it together with control characters.
func special(w uint64) uint64 {
	return (w | (w ^ lows*2 - lows*('"'^2+1)) | (w ^ lows*'\\' - lows)) & highs
}

func (c *checker) escape(i int) int {
	if i+1 >= len(c.b) {
		return c.fail(i, "a string does not end")
	}
	switch c.b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if _, ok := hex4(c.b[i+2:]); ok {
			return i + 6
		}
	}
	return c.fail(i, "an escape does not begin so")
}

// runes reads text that is not ASCII.
func (c *checker) runes(i int) int {
	b := c.b
	for i < len(b) && b[i] >= utf8.RuneSelf {
		// Three bytes that cannot be overlong or surrogates, which is most of CJK, need no table.
		if len(b)-i >= 3 && b[i] >= 0xE1 && b[i] <= 0xEC && b[i+1]&0xC0 == 0x80 && b[i+2]&0xC0 == 0x80 {
			i += 3
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return c.fail(i, "text is not valid UTF-8")
		}
		i += n
	}
	return i
}
