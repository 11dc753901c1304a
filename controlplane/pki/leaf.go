package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/url"
	"slices"
	"time"
)

// Client is the template of a data plane's certificate: its SPIFFE ID says of which group it is.
func Client(trustDomain, group string) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: "data plane"},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: trustDomain, Path: "/group/" + group}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// Server is the template of a controller's certificate, for names and IP addresses.
func Server(hosts []string) *x509.Certificate {
	t := &x509.Certificate{Subject: pkix.Name{CommonName: "control plane"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}

// Issue signs a certificate with a new key. It ends before the CA does.
func (c *CA) Issue(template *x509.Certificate, now time.Time) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := *template
	t.SerialNumber, t.KeyUsage, t.BasicConstraintsValid = serial(), x509.KeyUsageDigitalSignature, true
	t.NotBefore, t.NotAfter = now.Add(-backdate), now.Add(leafLifetime)
	if end := c.signing.leaf.NotAfter; end.Before(t.NotAfter) {
		t.NotAfter = end
	}
	return sign(&t, c.signing.leaf, key, c.signing.signer)
}

// Fresh says whether a certificate can stay: it is what the template wants, is trusted, and has more than a third of its
// time left.
func (c *CA) Fresh(p *Pair, template *x509.Certificate, now time.Time) bool {
	if p == nil || now.After(renewal(p.leaf)) || !slices.Equal(p.leaf.DNSNames, template.DNSNames) {
		return false
	}
	if !slices.EqualFunc(p.leaf.URIs, template.URIs, func(a, b *url.URL) bool { return a.String() == b.String() }) ||
		!slices.EqualFunc(p.leaf.IPAddresses, template.IPAddresses, net.IP.Equal) {
		return false
	}
	_, err := p.leaf.Verify(x509.VerifyOptions{Roots: c.Pool(), CurrentTime: now, KeyUsages: template.ExtKeyUsage})
	return err == nil
}

// renewal is when a certificate is to be replaced.
func renewal(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 3)
}
