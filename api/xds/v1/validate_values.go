package xdsv1

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// enum says whether a value is set and known to this version.
func (v *validator) enum(field string, e interface {
	protoreflect.Enum
	Descriptor() protoreflect.EnumDescriptor
}) {
	n := e.Number()
	d := e.Descriptor().Values().ByNumber(n)
	if d == nil {
		v.fail(field, "%d is not known to this version", n)
	} else if strings.HasSuffix(string(d.Name()), "UNSPECIFIED") {
		v.fail(field, "is not set")
	}
}

func (v *validator) port(field string, p uint32) {
	if p == 0 || p > 65535 {
		v.fail(field, "%d is not a port from 1 to 65535", p)
	}
}

func (v *validator) optionalPort(field string, p uint32) {
	if p != 0 {
		v.port(field, p)
	}
}

func (v *validator) address(field, a string) {
	if _, err := netip.ParseAddr(a); err != nil {
		v.fail(field, "%q is not an IP address", a)
	}
}

func (v *validator) cidr(c string) {
	if _, err := netip.ParsePrefix(c); err != nil {
		v.fail("", "%q is not a CIDR such as 10.0.0.0/8", c)
	}
}

func (v *validator) duration(field string, d *durationpb.Duration) {
	if d == nil {
		return
	}
	if err := d.CheckValid(); err != nil || d.AsDuration() < 0 {
		v.fail(field, "is not a duration of zero or more")
	}
}

func (v *validator) regexp(field, re string) {
	if _, err := regexp.Compile(re); err != nil {
		v.fail(field, "%w", err)
	}
}

// host says whether h is a lower case DNS name; wildcard allows one leading "*.".
func (v *validator) host(field, h string, wildcard bool) {
	name := h
	if wildcard {
		name = strings.TrimPrefix(name, "*.")
	}
	if !isDNSName(name) {
		v.fail(field, "%q is not a lower case host name", h)
	}
}

// optionalHost is host for a field that may be empty.
func (v *validator) optionalHost(field, h string, wildcard bool) {
	if h != "" {
		v.host(field, h, wildcard)
	}
}

// hostOrAddress accepts a name of DNS or an IP address.
func (v *validator) hostOrAddress(field, h string) {
	if _, err := netip.ParseAddr(h); err != nil {
		v.host(field, h, false)
	}
}

// isDNSName follows RFC 1123 with the underscore that names in DNS have in practice.
func isDNSName(h string) bool {
	if h == "" || len(h) > 253 {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

func isLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		c := l[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// token says whether s is a token of RFC 9110 section 5.6.2: header names, methods, cookie names.
func (v *validator) token(field, s string) {
	if !isToken(s) {
		v.fail(field, "%q is not an HTTP token", s)
	}
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

// headerValue refuses what would end a header's line. The value is not quoted: it may be a credential.
func (v *validator) headerValue(field, s string) {
	if strings.ContainsAny(s, "\r\n\x00") {
		v.fail(field, "has a line break or a NUL")
	}
}

// certificates says whether a PEM bundle has at least one certificate and nothing unreadable.
func (v *validator) certificates(field string, bundle []byte) {
	if !x509.NewCertPool().AppendCertsFromPEM(bundle) {
		v.fail(field, "has no certificate in PEM")
		return
	}
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			v.fail(field, "%w", err)
		}
	}
}

// keyPair says whether a chain and its private key belong together.
func (v *validator) keyPair(field string, c *Certificate) {
	if _, err := tls.X509KeyPair(c.GetChain(), c.GetPrivateKey()); err != nil {
		v.fail(field, "%w", err)
	}
}

// baseURL says whether u is an absolute http or https URL without credentials, query and fragment.
func (v *validator) baseURL(field, u string) {
	if p := v.url(field, u); p != nil && (p.RawQuery != "" || p.ForceQuery) {
		v.fail(field, "%q has a query", p.Scheme+"://"+p.Host+p.Path)
	}
}

// url says whether u is an absolute http or https URL without credentials and fragment; nil: it is not.
func (v *validator) url(field, u string) *url.URL {
	p, err := url.Parse(u)
	switch {
	case err != nil:
		v.fail(field, "is not a URL")
	case p.Scheme != "http" && p.Scheme != "https":
		v.fail(field, "%q is not an http or https URL", p.Redacted())
	case p.Hostname() == "":
		v.fail(field, "%q has no host", p.Redacted())
	case p.User != nil:
		v.fail(field, "%q has credentials in it", p.Redacted())
	case p.Fragment != "":
		v.fail(field, "%q has a fragment", p.Scheme+"://"+p.Host+p.Path)
	default:
		return p
	}
	return nil
}
