package table

import "bytes"

// maxHost is the longest name of DNS in text (RFC 1035 section 2.3.4).
const maxHost = 253

// hostBytes maps what may stand in a host name to its lower case; the rest is 0. The underscore is not of DNS but in use.
var hostBytes = func() (t [256]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	t['-'], t['_'], t['.'] = '-', '_', '.'
	return t
}()

// appendHost appends the name of a Host field or of an SNI as it stands in the index: lower case, without port and without
// the dot at the end. An address in brackets stays in them. false: not a host.
func appendHost(dst, host []byte) ([]byte, bool) {
	if len(host) > 0 && host[0] == '[' {
		return appendAddress(dst, host)
	}
	start := len(dst)
	for i, c := range host {
		if c == ':' {
			if !isPort(host[i+1:]) {
				return dst, false
			}
			break
		}
		if c = hostBytes[c]; c == 0 || c == '.' && (len(dst) == start || dst[len(dst)-1] == '.') || len(dst)-start > maxHost {
			return dst, false
		}
		dst = append(dst, c)
	}
	if n := len(dst); n > start && dst[n-1] == '.' {
		dst = dst[:n-1]
	}
	return dst, len(dst)-start <= maxHost && (len(host) == 0 || len(dst) > start)
}

// appendAddress is appendHost for an IPv6 address, which no hostname of a listener or route is; it is not looked at closely.
func appendAddress(dst, host []byte) ([]byte, bool) {
	end := bytes.IndexByte(host, ']')
	if end < 0 || end > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]") {
		return dst, false
	}
	if rest := host[end+1:]; len(rest) > 0 && (rest[0] != ':' || !isPort(rest[1:])) {
		return dst, false
	}
	for _, c := range host[1:end] {
		hex := c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
		if !hex && c != ':' && c != '.' {
			return dst, false
		}
	}
	return append(dst, host[:end+1]...), end > 1
}

// isPort accepts an empty port (RFC 3986 section 3.2.3).
func isPort(s []byte) bool {
	if len(s) > 5 {
		return false
	}
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}

// hosts finds values by host name. The zero value is empty.
type hosts[V any] struct {
	exact map[string]V
	// wild is by the name behind "*.".
	wild map[string]V
	// any is for every name.
	any    V
	hasAny bool
}

// set puts v under a hostname as resources write it: exact, "*.example.com", or empty for every name.
func (h *hosts[V]) set(hostname string, v V) {
	switch {
	case hostname == "":
		h.any, h.hasAny = v, true
	case hostname[0] == '*':
		if h.wild == nil {
			h.wild = map[string]V{}
		}
		h.wild[hostname[len("*."):]] = v
	default:
		if h.exact == nil {
			h.exact = map[string]V{}
		}
		h.exact[hostname] = v
	}
}

// get is the value that was set for exactly this hostname.
func (h *hosts[V]) get(hostname string) (v V, ok bool) {
	switch {
	case hostname == "":
		return h.any, h.hasAny
	case hostname[0] == '*':
		v, ok = h.wild[hostname[len("*."):]]
	default:
		v, ok = h.exact[hostname]
	}
	return v, ok
}

// find is the value of the most specific hostname that covers host.
func (h *hosts[V]) find(host []byte) (v V, ok bool) {
	if v, ok = h.exact[string(host)]; ok {
		return v, true
	}
	for rest := above(host); len(h.wild) > 0 && len(rest) > 0; rest = above(rest) {
		if v, ok = h.wild[string(rest)]; ok {
			return v, true
		}
	}
	return h.any, h.hasAny
}

// above is the name without its first label; nil when it has but one.
func above(host []byte) []byte {
	if i := bytes.IndexByte(host, '.'); i >= 0 {
		return host[i+1:]
	}
	return nil
}
