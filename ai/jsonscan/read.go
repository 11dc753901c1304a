package jsonscan

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"math/bits"
	"strconv"
)

// Type is what a raw value is.
type Type uint8

// The types. Missing is the type of no value at all.
const (
	Missing Type = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Kind tells the type of a raw value by its first byte.
func Kind(raw []byte) Type {
	if len(raw) == 0 {
		return Missing
	}
	switch x := raw[0]; {
	case x == '"':
		return String
	case x == '{':
		return Object
	case x == '[':
		return Array
	case x == 'n':
		return Null
	case x == 't' || x == 'f':
		return Bool
	case x == '-' || isDigit(x):
		return Number
	}
	return Missing
}

// String names the type as an error message would.
func (t Type) String() string {
	return [...]string{"nothing", "null", "a boolean", "a number", "a string", "an array", "an object"}[t]
}

// Trim cuts white space off both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// Fields yields the members of an object in order: the key, unescaped (it aliases obj unless it holds an escape), and the
// raw value.
func Fields(obj []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		var m member
		for i := open(obj, '{'); m.read(obj, i); i = m.next {
			if !yield(m.name(obj), obj[m.value:m.end]) {
				return
			}
		}
	}
}

// Elems yields the raw elements of an array in order.
func Elems(arr []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := open(arr, '['); i >= 0; {
			end := skip(arr, i)
			if end < 0 || !yield(arr[i:end]) {
				return
			}
			i = after(arr, end)
		}
	}
}

// Get is the raw value of a member of an object, or nil. Of equal keys, which Valid refuses, it takes the first.
func Get(obj []byte, key string) []byte {
	var m member
	if m.find(obj, key) {
		return obj[m.value:m.end]
	}
	return nil
}

// member says where a member lies in its object.
type member struct {
	// key and keyEnd include the quotes.
	key, keyEnd, value, end int
	// next is where the next member begins, -1 if there is none.
	next int
	// plain: the key is known to hold no escape.
	plain bool
}

// name is the text of the key.
func (m *member) name(obj []byte) []byte {
	if m.plain {
		return obj[m.key+1 : m.keyEnd-1]
	}
	return keyOf(obj[m.key:m.keyEnd])
}

// find looks for the member with that key and says whether there is one.
func (m *member) find(obj []byte, key string) bool {
	for i := open(obj, '{'); m.read(obj, i); i = m.next {
		if string(m.name(obj)) == key {
			return true
		}
	}
	return false
}

// read reads the member at i and says whether there is one.
func (m *member) read(obj []byte, i int) bool {
	if i < 0 || i >= len(obj) || obj[i] != '"' {
		return false
	}
	m.key = i
	m.keyEnd, m.plain = skipString(obj, i+1)
	if m.keyEnd < 0 {
		return false
	}
	v := space(obj, m.keyEnd)
	if v >= len(obj) || obj[v] != ':' {
		return false
	}
	m.value = space(obj, v+1)
	m.end = skip(obj, m.value)
	if m.end < 0 {
		return false
	}
	m.next = after(obj, m.end)
	return true
}

// open is the place after an opening bracket and space, or -1.
func open(b []byte, bracket byte) int {
	i := space(b, 0)
	if i >= len(b) || b[i] != bracket {
		return -1
	}
	return space(b, i+1)
}

// after is the place of what follows the comma at i, or -1 where none follows.
func after(b []byte, i int) int {
	if i = space(b, i); i < len(b) && b[i] == ',' {
		return space(b, i+1)
	}
	return -1
}

func space(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && isSpace(b[i]) {
		i++
	}
	return i
}

// skip is the place after the value at i, or -1.
func skip(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		end, _ := skipString(b, i+1)
		return end
	case '{', '[':
		return skipNested(b, i)
	case ',', ':', '}', ']':
		return -1
	}
	for i < len(b) && !ends(b[i]) {
		i++
	}
	return i
}

func ends(x byte) bool { return x == ',' || x == '}' || x == ']' || isSpace(x) }

func skipNested(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			end, _ := skipString(b, i+1)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '.': // long arrays of fractions, as embeddings, go by words
			for len(b)-i > 8 && structural(load64(b, i+1)) == 0 {
				i += 8
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// structural is not 0 if one of eight bytes is a quote or a bracket. A bracket and its brace differ in one bit.
func structural(w uint64) uint64 {
	brackets := w | lows*('{'^'[')
	return ((w ^ lows*'"' - lows) | (brackets ^ lows*'{' - lows) | (brackets ^ lows*'}' - lows)) & highs &^ w
}

// shortString is how far a string is looked at in words of eight bytes before bytes.IndexByte is worth its call.
const shortString = 64

// skipString is the place after the closing quote of a string whose text begins at i, or -1. plain says that the text is known
// to hold no escape.
func skipString(b []byte, i int) (end int, plain bool) {
	plain = true
	for n := i + shortString; i < n && len(b)-i >= 8; {
		w := load64(b, i)
		stop := ((w ^ lows*'"' - lows) | (w ^ lows*'\\' - lows)) & highs &^ w
		if stop == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(stop) / 8
		if b[i] == '"' {
			return i + 1, plain
		}
		i, plain = i+2, false
	}
	return skipLong(b, min(i, len(b))), false
}

// skipLong looks for a quote after an even number of backslashes, from i on, which must not lie within an escape.
func skipLong(b []byte, i int) int {
	for from := i; ; {
		q := bytes.IndexByte(b[i:], '"')
		if q < 0 {
			return -1
		}
		q += i
		n := q
		for n > from && b[n-1] == '\\' {
			n--
		}
		i = q + 1
		if (q-n)%2 == 0 {
			return i
		}
		from = i
	}
}

func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// IsNull says whether a raw value is null.
func IsNull(raw []byte) bool { return string(raw) == "null" }

// IsTrue says whether a raw value is true.
func IsTrue(raw []byte) bool { return string(raw) == "true" }

// ParseBool reads true or false; ok is false for all else.
func ParseBool(raw []byte) (v, ok bool) {
	v = IsTrue(raw)
	return v, v || string(raw) == "false"
}

// Int reads a number that is whole, also one written as 1.0 or 1e3; ok is false for all else and beyond 64 bits.
func Int(raw []byte) (n int64, ok bool) {
	if len(raw) > 0 && len(raw) < 19 {
		if n, ok = shortInt(raw); ok {
			return n, true
		}
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil && raw[0] != '+' {
		return n, true
	}
	f, ok := Float(raw)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// shortInt reads up to 18 characters, which cannot overflow.
func shortInt(raw []byte) (int64, bool) {
	digits, sign := raw, int64(1)
	if raw[0] == '-' {
		digits, sign = raw[1:], -1
	}
	n := int64(0)
	for _, x := range digits {
		if !isDigit(x) {
			return 0, false
		}
		n = n*10 + int64(x-'0')
	}
	return n * sign, len(digits) > 0
}

// Float reads a number; ok is false for all else and for what float64 cannot hold.
func Float(raw []byte) (f float64, ok bool) {
	if Kind(raw) != Number {
		return 0, false
	}
	c := checker{b: raw}
	if c.number(0) != len(raw) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}
