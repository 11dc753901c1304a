package jsonscan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is the text of a raw string, unescaped; "" for all else.
func Text(raw []byte) string {
	in := inner(raw)
	if bytes.IndexByte(in, '\\') < 0 {
		return string(in)
	}
	return string(appendUnescaped(make([]byte, 0, len(in)), in))
}

// AppendText appends the text of a raw string, unescaped; nothing for all else.
func AppendText(dst, raw []byte) []byte { return appendUnescaped(dst, inner(raw)) }

// View is the text of a raw string without a copy where it holds no escape. Otherwise the text is appended to *room and
// aliases it. The result is nil for all else than strings.
func View(raw []byte, room *[]byte) []byte {
	in := inner(raw)
	if bytes.IndexByte(in, '\\') < 0 {
		return in
	}
	n := len(*room)
	*room = appendUnescaped(*room, in)
	return (*room)[n:len(*room):len(*room)]
}

// Equal says whether raw is a string with the text s.
func Equal(raw []byte, s string) bool {
	in := inner(raw)
	if bytes.IndexByte(in, '\\') < 0 {
		return string(in) == s && Kind(raw) == String
	}
	var room [64]byte
	return string(appendUnescaped(room[:0], in)) == s
}

// inner is what stands between the quotes.
func inner(raw []byte) []byte {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return nil
	}
	return raw[1 : len(raw)-1]
}

// keyOf is the text of a key; it aliases raw where nothing is escaped.
func keyOf(raw []byte) []byte {
	in := raw[1 : len(raw)-1]
	if bytes.IndexByte(in, '\\') < 0 {
		return in
	}
	return appendUnescaped(make([]byte, 0, len(in)), in)
}

func appendUnescaped(dst, in []byte) []byte {
	for {
		i := bytes.IndexByte(in, '\\')
		if i < 0 || i+1 >= len(in) {
			return append(dst, in...)
		}
		dst = append(dst, in[:i]...)
		if in[i+1] == 'u' {
			var n int
			dst, n = appendRune(dst, in[i:])
			in = in[i+n:]
			continue
		}
		dst = append(dst, escaped(in[i+1]))
		in = in[i+2:]
	}
}

// escaped is the character that a backslash and x stand for.
func escaped(x byte) byte {
	switch x {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return x
}

// appendRune appends what the \u escape at the start of in stands for, and says how many bytes it read.
func appendRune(dst, in []byte) ([]byte, int) {
	r, ok := hex4(in[2:])
	if !ok {
		return utf8.AppendRune(dst, utf8.RuneError), 2
	}
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(dst, r), 6
	}
	if len(in) >= 12 && in[6] == '\\' && in[7] == 'u' {
		if low, ok := hex4(in[8:]); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return utf8.AppendRune(dst, r), 12
			}
		}
	}
	return utf8.AppendRune(dst, utf8.RuneError), 6
}

// hex4 reads the four digits of a \u escape.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, x := range b[:4] {
		switch {
		case isDigit(x):
			x -= '0'
		case x|0x20 >= 'a' && x|0x20 <= 'f':
			x = x | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(x)
	}
	return r, true
}
