package limit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Subject is what keys are made of: the request, and what the body says of it.
type Subject struct {
	X *exchange.Exchange
	// Model is the name that the client asks for, User the end user that it names.
	Model, User string
	// Provider is "<ns>/<name>" of the AIProvider of an attempt.
	Provider string
}

// bucketKey names the subject's bucket. Values go into a hash, each with its length, so that no two lists of values are alike.
func (l *Limits) bucketKey(one *limit, s *Subject) (string, *Refusal) {
	if len(one.key) == 0 {
		return one.prefix, nil
	}
	var room [256]byte
	b := room[:0]
	for _, k := range one.key {
		at := len(b)
		b = append(b, 0, 0, 0, 0)
		var refused *Refusal
		if b, refused = l.appendValue(b, one, k, s); refused != nil {
			return "", refused
		}
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return one.hashed(b), nil
}

// hashed names the bucket of values. Half a SHA-256 is as good as unique.
func (l *limit) hashed(values []byte) string {
	sum := sha256.Sum256(values)
	var out [512]byte
	b := append(append(out[:0], l.prefix...), '|')
	return string(hex.AppendEncode(b, sum[:16]))
}

func (l *Limits) appendValue(b []byte, one *limit, k *xdsv1.LimitKey, s *Subject) ([]byte, *Refusal) {
	x := s.X
	switch k.GetSource() {
	case xdsv1.LimitKey_CLIENT_IP:
		return l.client(x).AppendTo(b), nil
	case xdsv1.LimitKey_MODEL:
		return append(b, s.Model...), nil
	case xdsv1.LimitKey_PROVIDER:
		return append(b, s.Provider...), nil
	case xdsv1.LimitKey_USER:
		return append(b, s.User...), nil
	case xdsv1.LimitKey_HEADER:
		for i, v := range x.Req.PeekAll(k.GetName()) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(b, v...)
		}
		return b, nil
	case xdsv1.LimitKey_ROUTE:
		if x.Route != nil {
			b = append(b, x.Route.Route...)
		}
		return b, nil
	case xdsv1.LimitKey_API_KEY:
		if x.Identity == nil || x.Identity.APIKey == "" {
			return nil, one.unknown(x, "an API key")
		}
		return append(b, x.Identity.APIKey...), nil
	case xdsv1.LimitKey_JWT_CLAIM:
		if x.Identity != nil {
			if out, ok := appendClaim(b, x.Identity.Claims, k.GetName()); ok {
				return append(append(append(out, 0), x.Identity.Issuer...), 0), nil
			}
		}
		return nil, one.unknown(x, "a token with the claim "+strconv.Quote(k.GetName()))
	}
	return nil, one.refuse(http.StatusServiceUnavailable, "its key is not known to this version")
}

// unknown refuses a request whose caller has not proved what a limit's key needs.
func (l *limit) unknown(x *exchange.Exchange, what string) *Refusal {
	status := http.StatusUnauthorized
	if x.Identity != nil {
		status = http.StatusForbidden
	}
	return l.refuse(status, "it is counted by "+what+", and the request has none that was verified")
}

// maxHops bounds how many proxies are looked through.
const maxHops = 32

// client is the address of the client: that of the connection, or what trusted proxies say. Of IPv6 it is the network of 64
// bits, which one client usually has to itself.
func (l *Limits) client(x *exchange.Exchange) netip.Addr {
	a := x.Client.Addr().Unmap()
	if l.Trusted.Trust(a) {
		fields := x.Req.PeekAll("X-Forwarded-For")
		for i, hops := len(fields)-1, 0; i >= 0; i-- {
			rest := fields[i]
			for len(rest) > 0 && hops < maxHops {
				at := bytes.LastIndexByte(rest, ',')
				hop, err := netip.ParseAddr(string(bytes.TrimSpace(rest[at+1:])))
				if err != nil {
					return network(a)
				}
				a = hop.Unmap()
				if !l.Trusted.Trust(a) {
					return network(a)
				}
				rest = rest[:max(at, 0)]
				hops++
			}
		}
	}
	return network(a)
}

func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// appendClaim appends the value of a claim. A name is first taken as it is, since names such as https://example.com/team hold
// dots, and then as a path.
func appendClaim(b []byte, claims map[string]any, name string) ([]byte, bool) {
	v, ok := claims[name]
	for at := claims; !ok; {
		first, rest, more := strings.Cut(name, ".")
		if v, ok = at[first]; !more || !ok {
			break
		}
		if at, ok = v.(map[string]any); !ok {
			return nil, false
		}
		name, ok = rest, false
	}
	if !ok || v == nil || v == "" {
		return nil, false
	}
	if s, is := v.(string); is {
		return append(b, s...), true
	}
	text, err := json.Marshal(v) // objects come out in the order of their keys
	if err != nil {
		return nil, false
	}
	return append(append(b, 1), text...), true
}

// given names the bucket of values that an operator writes down, in the order of the limit's key.
func (l *limit) given(values []string) (string, error) {
	if len(values) != len(l.key) {
		return "", fmt.Errorf("limit %s: %d values of its key, expected %d: %s", l.id(), len(values), len(l.key), l.parts())
	}
	if len(values) == 0 {
		return l.prefix, nil
	}
	var b []byte
	for i, v := range values {
		if l.key[i].GetSource() == xdsv1.LimitKey_JWT_CLAIM {
			at := strings.LastIndexByte(v, '@')
			if at < 0 {
				return "", fmt.Errorf("limit %s: %q, expected CLAIM@ISSUER", l.id(), v)
			}
			v = v[:at] + "\x00" + v[at+1:] + "\x00"
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	return l.hashed(b), nil
}

// parts names the parts of the key, as TokenPolicy does.
func (l *limit) parts() string {
	var out []string
	for _, k := range l.key {
		name := k.GetSource().String()
		if k.GetName() != "" {
			name += " " + k.GetName()
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}
