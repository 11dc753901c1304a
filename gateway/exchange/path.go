package exchange

import "errors"

var (
	errPath    = errors.New("the request target must be a path or an absolute URL")
	errEscape  = errors.New("malformed percent-encoding in the path")
	errNUL     = errors.New("the path holds an encoded NUL")
	errControl = errors.New("the path holds a control character")
)

// AppendPath normalises a path once, so that what is matched, rewritten, logged and forwarded is one string (RFC 3986,
// section 6.2.2): escaped unreserved octets are decoded, other escapes are written in upper case, octets that a URI may
// not hold are escaped, dot segments are removed. %2F and // mean something to some upstreams and are kept.
func AppendPath(dst, path []byte) ([]byte, error) {
	if len(path) == 0 || path[0] != '/' {
		return dst, errPath
	}
	start := len(dst)
	dots := false
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
			if i+2 >= len(path) {
				return dst, errEscape
			}
			hi, lo := unhex(path[i+1]), unhex(path[i+2])
			if hi > 15 || lo > 15 {
				return dst, errEscape
			}
			if c = hi<<4 | lo; c == 0 {
				return dst, errNUL
			}
			if i += 2; pathByte[c] == unreserved {
				dst = append(dst, c)
			} else {
				dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
			}
		case c < ' ':
			return dst, errControl
		case pathByte[c] == foreign:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		default:
			dst = append(dst, c)
		}
		dots = dots || c == '.'
	}
	if dots {
		dst = dst[:start+removeDots(dst[start:])]
	}
	return dst, nil
}

// removeDots removes "." and ".." segments in place (RFC 3986, section 5.2.4) and returns the new length. Empty segments
// stand. Going above the root stays at the root.
func removeDots(p []byte) int {
	out := 0
	for i := 0; i < len(p); {
		j := i + 1 // p[i] is a slash
		for j < len(p) && p[j] != '/' {
			j++
		}
		seg := p[i+1 : j]
		last := j == len(p)
		switch {
		case len(seg) == 1 && seg[0] == '.':
			if last {
				p[out] = '/'
				out++
			}
		case len(seg) == 2 && seg[0] == '.' && seg[1] == '.':
			for out > 0 {
				if out--; p[out] == '/' {
					break
				}
			}
			if last {
				p[out] = '/'
				out++
			}
		default:
			out += copy(p[out:], p[i:j])
		}
		i = j
	}
	if out == 0 {
		p[0] = '/'
		out = 1
	}
	return out
}

const upperHex = "0123456789ABCDEF"

func unhex(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case (c|0x20)-'a' < 6:
		return (c | 0x20) - 'a' + 10
	}
	return 0xff
}

// kinds of octets in a path.
const (
	foreign    = iota // must be escaped
	reserved          // stands for itself, differs from its escape
	unreserved        // the same with and without escape
)

var pathByte = func() (t [256]uint8) {
	for _, c := range "!$&'()*+,;=:@/[]|\\^`{}\"<>" {
		t[c] = reserved
	}
	for _, c := range "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = unreserved
	}
	return t
}()
