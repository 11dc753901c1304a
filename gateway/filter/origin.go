package filter

import (
	"bytes"
	"fmt"
	"strings"
)

// origin is one entry of allowOrigins: a scheme, a host that may be or begin with "*", and a port.
type origin struct {
	scheme string // with "://"
	any    bool   // every host
	suffix bool   // host is ".example.com", and there has to be something before it
	host   string
	port   string // empty: the scheme's own
}

func parseOrigin(s string) (origin, error) {
	scheme, rest, ok := strings.Cut(strings.ToLower(s), "://")
	if !ok || scheme != "http" && scheme != "https" {
		return origin{}, fmt.Errorf("%q is not an origin such as https://example.com", s)
	}
	host, port := cutPort([]byte(rest), scheme)
	o := origin{scheme: scheme + "://", host: string(host), port: string(port)}
	switch {
	case o.host == "*":
		o.any = true
	case strings.HasPrefix(o.host, "*."):
		o.suffix, o.host = true, o.host[1:]
	}
	if o.host == "" || strings.ContainsAny(o.host, "/?#@") || strings.Contains(o.host, "*") && !o.any {
		return origin{}, fmt.Errorf("%q is not an origin such as https://example.com or https://*.example.com", s)
	}
	return o, nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// cutPort splits host and port; the scheme's own port counts as none.
func cutPort(s []byte, scheme string) (host, port []byte) {
	i := bytes.LastIndexByte(s, ':')
	if i <= bytes.LastIndexByte(s, ']') {
		return s, nil
	}
	if host, port = s[:i], s[i+1:]; string(port) == defaultPort(scheme) {
		port = nil
	}
	return host, port
}

// matches compares with the Origin field of a request, which browsers write in lower case and without a default port.
func (o *origin) matches(from []byte) bool {
	rest, ok := bytes.CutPrefix(from, []byte(o.scheme))
	if !ok {
		return false
	}
	host, port := cutPort(rest, strings.TrimSuffix(o.scheme, "://"))
	if string(port) != o.port || len(host) == 0 || bytes.ContainsAny(host, "/?#@") {
		return false
	}
	switch {
	case o.any:
		return true
	case o.suffix:
		return len(host) > len(o.host) && string(host[len(host)-len(o.host):]) == o.host
	}
	return string(host) == o.host
}
