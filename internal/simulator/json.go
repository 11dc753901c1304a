package simulator

import (
	"bytes"
	"encoding/binary"
	"iter"
	"strconv"
)

// maxDepth bounds the nesting of a request body.
const maxDepth = 256

// value is the raw text of one JSON value that valid accepted. The nil value stands for an absent one.
type value []byte

// valid tells whether b is exactly one JSON value (RFC 8259). Invalid UTF-8 within strings passes.
func valid(b []byte) bool {
	i := check(b, skipSpace(b, 0), 0)
	return i >= 0 && skipSpace(b, i) == len(b)
}

// check returns the index after the value at i, or -1.
func check(b []byte, i, depth int) int {
	if i >= len(b) || depth > maxDepth {
		return -1
	}
	switch c := b[i]; {
	case c == '"':
		return checkString(b, i+1)
	case c == '{' || c == '[':
		return checkItems(b, i, depth)
	case c == '-' || digit(c):
		return checkNumber(b, i)
	case bytes.HasPrefix(b[i:], []byte("true")), bytes.HasPrefix(b[i:], []byte("null")):
		return i + 4
	case bytes.HasPrefix(b[i:], []byte("false")):
		return i + 5
	}
	return -1
}

// checkItems checks the object or array that opens at i.
func checkItems(b []byte, i, depth int) int {
	object := b[i] == '{'
	end := byte(']')
	if object {
		end = '}'
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == end {
		return i + 1
	}
	for {
		if object {
			if i = checkKey(b, i); i < 0 {
				return -1
			}
		}
		if i = check(b, i, depth+1); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		if i >= len(b) {
			return -1
		}
		if b[i] == end {
			return i + 1
		}
		if b[i] != ',' {
			return -1
		}
		i = skipSpace(b, i+1)
	}
}

// checkKey returns the index of the value that follows the key at i, or -1.
func checkKey(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = checkString(b, i+1); i < 0 {
		return -1
	}
	if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	return skipSpace(b, i+1)
}

// checkString returns the index after the string whose first byte after the quote is at i, or -1.
func checkString(b []byte, i int) int {
	for {
		i = plain(b, i)
		if i >= len(b) || b[i] < ' ' {
			return -1
		}
		if b[i] == '"' {
			return i + 1
		}
		if i = checkEscape(b, i+1); i < 0 {
			return -1
		}
	}
}

func checkEscape(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	if b[i] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), b[i]) < 0 {
			return -1
		}
		return i + 1
	}
	if i+5 > len(b) {
		return -1
	}
	for _, c := range b[i+1 : i+5] {
		if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
			return -1
		}
	}
	return i + 5
}

// plain returns the index of the first quote, backslash or control character at or after i, else len(b).
// It looks at eight bytes at a time.
func plain(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		if ((x-ones*' ')&^x|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			break
		}
		i += 8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
		i++
	}
	return i
}

func checkNumber(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return digits(b, i)
	}
	return i
}

func digits(b []byte, i int) int {
	start := i
	for i < len(b) && digit(b[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// skip returns the index after the valid value at i.
func skip(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i+1)
	case '{', '[':
		for depth := 0; ; i++ {
			switch b[i] {
			case '"':
				i = skipString(b, i+1) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for {
		end := i + bytes.IndexByte(b[i:], '"')
		slashes := 0
		for end-slashes > i && b[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1
		}
		i = end + 1
	}
}

// fields yields the members of an object in order; duplicates included, so that the last one wins. Keys are unescaped.
func (v value) fields() iter.Seq2[[]byte, value] {
	return func(yield func([]byte, value) bool) {
		if v.kind() != '{' {
			return
		}
		for i := skipSpace(v, 1); v[i] != '}'; {
			end := skip(v, i)
			key := value(v[i:end]).text(nil)
			i = skipSpace(v, skipSpace(v, end)+1)
			end = skip(v, i)
			if !yield(key, v[i:end]) {
				return
			}
			if i = skipSpace(v, end); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// items yields the elements of an array.
func (v value) items() iter.Seq[value] {
	return func(yield func(value) bool) {
		if v.kind() != '[' {
			return
		}
		for i := skipSpace(v, 1); v[i] != ']'; {
			end := skip(v, i)
			if !yield(v[i:end]) {
				return
			}
			if i = skipSpace(v, end); v[i] == ',' {
				i = skipSpace(v, i+1)
			}
		}
	}
}

// get returns the last member of that name, nil if there is none.
func (v value) get(name string) value {
	var found value
	for k, m := range v.fields() {
		if string(k) == name {
			found = m
		}
	}
	return found
}

// kind is '{', '[', '"', 't', 'f', 'n', '0' for a number, and 0 for an absent value.
func (v value) kind() byte {
	if len(v) == 0 {
		return 0
	}
	if v[0] == '-' || digit(v[0]) {
		return '0'
	}
	return v[0]
}

// set tells whether the value is present and not null.
func (v value) set() bool { return len(v) > 0 && v[0] != 'n' }

func (v value) truth() bool { return len(v) > 0 && v[0] == 't' }

// is tells whether the value is the string s.
func (v value) is(s string) bool { return v.kind() == '"' && string(v.text(nil)) == s }

// number returns the integer, and false for anything else.
func (v value) number() (int, bool) {
	n, err := strconv.Atoi(string(v))
	return n, err == nil
}
