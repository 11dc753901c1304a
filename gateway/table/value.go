package table

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// valueMatch compares a header field or a query parameter.
type valueMatch struct {
	name, value string
	pattern     *regexp.Regexp // nil: value, exactly
}

// header compares a field. Fields of one name count as one, joined by commas (RFC 9110 section 5.2).
func (v *valueMatch) header(x *exchange.Exchange) bool {
	values := x.Req.PeekAll(v.name)
	switch {
	case len(values) == 0:
		return false
	case v.pattern == nil:
		return equalJoined(values, v.value)
	case len(values) == 1:
		return v.pattern.Match(values[0])
	}
	return v.pattern.Match(bytes.Join(values, []byte(",")))
}

func equalJoined(values [][]byte, want string) bool {
	for i, v := range values {
		if i > 0 {
			var ok bool
			if want, ok = strings.CutPrefix(want, ","); !ok {
				return false
			}
		}
		if len(want) < len(v) || want[:len(v)] != string(v) {
			return false
		}
		want = want[len(v):]
	}
	return want == ""
}

// queryParam compares the first parameter of the name, percent-decoded.
func (v *valueMatch) queryParam(x *exchange.Exchange) bool {
	for rest := x.Query; len(rest) > 0; {
		var pair []byte
		pair, rest = cutByte(rest, '&')
		name, value := cutByte(pair, '=')
		switch {
		case !equalUnescaped(name, v.name):
		case v.pattern == nil:
			return equalUnescaped(value, v.value)
		default:
			return v.pattern.Match(unescape(value))
		}
	}
	return false
}

func cutByte(b []byte, sep byte) (before, after []byte) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// equalUnescaped says whether s decodes to want.
func equalUnescaped(s []byte, want string) bool {
	for len(s) > 0 {
		c, n := unescapeByte(s)
		if want == "" || want[0] != c {
			return false
		}
		s, want = s[n:], want[1:]
	}
	return want == ""
}

// unescape decodes s; it is s itself where nothing is escaped.
func unescape(s []byte) []byte {
	if bytes.IndexByte(s, '%') < 0 && bytes.IndexByte(s, '+') < 0 {
		return s
	}
	dst := make([]byte, 0, len(s))
	for len(s) > 0 {
		c, n := unescapeByte(s)
		dst, s = append(dst, c), s[n:]
	}
	return dst
}

// unescapeByte decodes what s begins with, as forms are encoded: "+" is a space. A "%" that begins no escape stands for
// itself. n is the number of bytes it took.
func unescapeByte(s []byte) (c byte, n int) {
	switch {
	case s[0] == '+':
		return ' ', 1
	case s[0] == '%' && len(s) > 2 && unhex(s[1]) < 16 && unhex(s[2]) < 16:
		return unhex(s[1])<<4 | unhex(s[2]), 3
	}
	return s[0], 1
}

// unhex is the value of a hexadecimal digit; 16 for anything else.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10
	}
	return 16
}
