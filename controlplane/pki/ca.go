// Package pki owns the certificates between the planes: a CA that the controller issues and rotates, a client certificate
// for each group of data planes, and the server certificate of each replica of the controller. It decides by time and
// content alone; who writes Secrets is the Issuer.
//
// It uses the standard library's crypto/x509 only.
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// How long certificates are valid, and when they are replaced.
const (
	caLifetime = 365 * 24 * time.Hour
	// A CA has a successor in its last quarter. It is trusted for overlap before it signs: by then it has reached everybody.
	caRenewal = caLifetime / 4
	overlap   = 24 * time.Hour
	// Certificates of data planes and servers are replaced after two thirds of their time.
	leafLifetime = 7 * 24 * time.Hour
	// backdate allows for clocks that are behind.
	backdate = 5 * time.Minute
)

// Pair is a certificate with its private key. Its text is never logged.
type Pair struct {
	// Cert and Key are PEM; Cert has the chain up to the CA, without it.
	Cert, Key []byte

	leaf   *x509.Certificate
	signer crypto.Signer
}

// parsePair reads a certificate and its key.
func parsePair(cert, key []byte) (*Pair, error) {
	c, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	signer, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key cannot sign")
	}
	return &Pair{Cert: cert, Key: key, leaf: c.Leaf, signer: signer}, nil
}

// CA is what data planes and controllers trust: one certificate that signs, possibly one that will, and those of the past
// that are still valid.
type CA struct {
	signing, next *Pair
	// trusted are all that are trusted, newest first.
	trusted []*x509.Certificate
}

// Bundle is the PEM of all certificates that are trusted.
func (c *CA) Bundle() []byte {
	var b bytes.Buffer
	for _, t := range c.trusted {
		pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: t.Raw})
	}
	return b.Bytes()
}

// Pool is the same for package tls.
func (c *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	for _, t := range c.trusted {
		p.AddCert(t)
	}
	return p
}

// Rotate makes what is due: a CA where there is none, a successor in time, and the switch to it. The CA that it is given is
// not changed; changed is false when nothing was due.
func Rotate(c *CA, now time.Time) (next *CA, changed bool, err error) {
	if c == nil || c.signing == nil || now.After(c.signing.leaf.NotAfter) {
		p, err := newCA(now)
		if err != nil {
			return nil, false, err
		}
		next = &CA{signing: p}
		next.trust(c, now)
		return next, true, nil
	}
	n := *c
	switch {
	case n.next == nil && now.After(n.signing.leaf.NotAfter.Add(-caRenewal)):
		if n.next, err = newCA(now); err != nil {
			return nil, false, err
		}
		changed = true
	case n.next != nil && now.After(n.next.leaf.NotBefore.Add(backdate+overlap)):
		n.signing, n.next = n.next, nil
		changed = true
	}
	before := len(c.trusted)
	n.trust(c, now)
	return &n, changed || len(n.trusted) != before, nil
}

// trust fills trusted: the CA's own, and what was trusted before and is still valid.
func (c *CA) trust(old *CA, now time.Time) {
	var list []*x509.Certificate
	add := func(cert *x509.Certificate) {
		for _, t := range list {
			if t.Equal(cert) {
				return
			}
		}
		if now.Before(cert.NotAfter) {
			list = append(list, cert)
		}
	}
	if c.next != nil {
		add(c.next.leaf)
	}
	add(c.signing.leaf)
	if old != nil {
		for _, t := range old.trusted {
			add(t)
		}
	}
	c.trusted = list
}

func newCA(now time.Time) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Nantian Gateway control plane " + now.UTC().Format(time.DateOnly)},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(caLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return sign(t, t, key, key)
}

// sign makes a certificate for key, signed by a parent.
func sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey, by crypto.Signer) (*Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		return nil, err
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}),
		leaf: leaf, signer: key,
	}, nil
}

// serial is a random number of 127 bits (RFC 5280, 4.1.2.2).
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

// certificates reads all certificates of a PEM text.
func certificates(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(out), err)
		}
		out = append(out, c)
	}
}
