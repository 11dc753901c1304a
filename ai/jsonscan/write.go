package jsonscan

import (
	"bytes"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// AppendQuoted appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func AppendQuoted[S ~string | ~[]byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped is AppendQuoted without the quotes.
func AppendEscaped[S ~string | ~[]byte](dst []byte, s S) []byte {
	done := 0
	for i := 0; i < len(s); {
		if i = plain(s, i); i == len(s) {
			break
		}
		x := s[i]
		if x < utf8.RuneSelf {
			dst = appendEscape(append(dst, s[done:i]...), x)
			i++
			done = i
			continue
		}
		r, n := decodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = utf8.AppendRune(append(dst, s[done:i]...), r)
			done = i + n
		}
		i += n
	}
	return append(dst, s[done:]...)
}

// plain is the place from i on of the first byte that is not plain ASCII text, or len(s).
func plain[S ~string | ~[]byte](s S, i int) int {
	for ; len(s)-i >= 8; i += 8 {
		t := s[i : i+8]
		w := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
			uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
		if stop := special(w); stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for i < len(s) && s[i] >= ' ' && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

func decodeRune[S ~string | ~[]byte](s S) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}

func appendEscape(dst []byte, x byte) []byte {
	switch x {
	case '"', '\\':
		return append(dst, '\\', x)
	case '\n':
		return append(dst, '\\', 'n')
	case '\t':
		return append(dst, '\\', 't')
	case '\r':
		return append(dst, '\\', 'r')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[x>>4], hex[x&15])
}

// AppendKey appends a key and its colon, after a comma unless the object has just been opened. The key must need no escape:
// it is for names that stand in the code.
func AppendKey(dst []byte, key string) []byte {
	dst = append(AppendComma(dst), '"')
	dst = append(dst, key...)
	return append(dst, '"', ':')
}

// AppendComma appends a comma unless dst ends with an opening bracket, or is empty.
func AppendComma(dst []byte) []byte {
	if n := len(dst); n == 0 || dst[n-1] == '{' || dst[n-1] == '[' {
		return dst
	}
	return append(dst, ',')
}

// AppendInt appends a whole number.
func AppendInt[N ~int | ~int64](dst []byte, n N) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// AppendFloat appends a number in the shortest form that reads back the same; null for what JSON cannot say.
func AppendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, floatFormat(f), -1, 64)
}

// AppendFloat32 is AppendFloat for the fewer digits of a float32.
func AppendFloat32(dst []byte, f float32) []byte {
	f64 := float64(f)
	if math.IsNaN(f64) || math.IsInf(f64, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f64, floatFormat(f64), -1, 32)
}

// floatFormat writes exponents only where ECMAScript does.
func floatFormat(f float64) byte {
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return 'e'
	}
	return 'f'
}

// AppendBool appends true or false.
func AppendBool(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

// Edit is a new value for a top-level member.
type Edit struct {
	Key   string
	Value []byte
}

// Holds says whether obj has the members of all edits with those very values, so that they would change nothing.
func Holds(obj []byte, edits []Edit) bool {
	for i := range edits {
		if !bytes.Equal(Get(obj, edits[i].Key), edits[i].Value) {
			return false
		}
	}
	return true
}

// AppendReplaced appends obj with the value of a top-level member replaced, or the member added at the end; every other byte
// stays as it was. What is no object is appended unchanged.
func AppendReplaced(dst, obj []byte, key string, value []byte) []byte {
	edits := [1]Edit{{key, value}}
	return AppendEdited(dst, obj, edits[:])
}

// AppendEdited is AppendReplaced for up to 64 members with different keys, in one scan.
func AppendEdited(dst, obj []byte, edits []Edit) []byte {
	done, all, copied := uint64(0), uint64(1)<<len(edits)-1, 0
	var m member
	for i := open(obj, '{'); done != all && m.read(obj, i); i = m.next {
		for n := range edits {
			if string(m.name(obj)) == edits[n].Key {
				dst = append(append(dst, obj[copied:m.value]...), edits[n].Value...)
				copied = m.end
				done |= 1 << n
			}
		}
	}
	if done == all {
		return append(dst, obj[copied:]...)
	}
	return appendMembers(dst, obj, copied, edits, done)
}

// appendMembers appends the rest of obj from copied on, and before its brace the members that are not done.
func appendMembers(dst, obj []byte, copied int, edits []Edit, done uint64) []byte {
	end := len(obj)
	for end > 0 && isSpace(obj[end-1]) {
		end--
	}
	first := open(obj, '{')
	if first < 0 || end == 0 || obj[end-1] != '}' {
		return append(dst, obj[copied:]...)
	}
	end--
	dst = append(dst, obj[copied:end]...)
	empty := first >= end
	for n := range edits {
		if done&(1<<n) != 0 {
			continue
		}
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		dst = append(AppendQuoted(dst, edits[n].Key), ':')
		dst = append(dst, edits[n].Value...)
	}
	return append(dst, obj[end:]...)
}

// AppendRemoved appends obj without a top-level member and without the comma that it needed; every other byte stays as it was.
// It also answers the value of that member, nil if there was none.
func AppendRemoved(dst, obj []byte, key string) (out, value []byte) {
	var m member
	if !m.find(obj, key) {
		return append(dst, obj...), nil
	}
	from, to := m.key, m.end
	if m.next >= 0 {
		to = m.next
	} else {
		for n := from - 1; n > 0 && obj[n] != '{'; n-- {
			if obj[n] == ',' {
				from = n
				break
			}
		}
	}
	return append(append(dst, obj[:from]...), obj[to:]...), obj[m.value:m.end]
}
