package server

import "errors"

var (
	errTarget = errors.New("the request target must be a path or an absolute URL")
	errQuery  = errors.New("the query holds a space or a control character")
)

// validQuery: the query is sent on as it is, and must not end the request line early.
func validQuery(query []byte) bool {
	for _, c := range query {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// splitTarget cuts a request target in origin or absolute form (RFC 9112, section 3.2). host is empty in origin form.
func splitTarget(target []byte) (host, path, query []byte, hasQuery bool, err error) {
	if target[0] != '/' {
		if host, target, err = splitAbsolute(target); err != nil {
			return nil, nil, nil, false, err
		}
	}
	path = target
	for i, c := range target {
		if c == '#' {
			return nil, nil, nil, false, errTarget
		}
		if c == '?' && !hasQuery {
			path, query, hasQuery = target[:i], target[i+1:], true
		}
	}
	return host, path, query, hasQuery, nil
}

// splitAbsolute takes "http://host/path" apart.
func splitAbsolute(target []byte) (host, rest []byte, err error) {
	s := string(target)
	switch {
	case len(s) > 7 && equalFoldASCII(s[:7], "http://"):
		target = target[7:]
	case len(s) > 8 && equalFoldASCII(s[:8], "https://"):
		target = target[8:]
	default:
		return nil, nil, errTarget
	}
	for i, c := range target {
		if c == '@' {
			return nil, nil, errTarget
		}
		if c == '/' || c == '?' {
			host, rest = target[:i], target[i:]
			break
		}
	}
	if host == nil {
		host = target
	}
	if len(host) == 0 {
		return nil, nil, errTarget
	}
	if len(rest) == 0 || rest[0] == '?' {
		rest = append([]byte{'/'}, rest...)
	}
	return host, rest, nil
}

func equalFoldASCII(s, lower string) bool {
	for i := range len(lower) {
		c := s[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
