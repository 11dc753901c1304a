package pki

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The keys of Secrets beside tls.crt and tls.key.
const (
	// BundleKey has the CA certificates that are trusted.
	BundleKey = "ca.crt"
	// StorageKey has 32 random bytes that a data plane encrypts its last good configuration with. They do not change when
	// the certificate does.
	StorageKey = "storage.key"

	nextCert, nextKey = "next.crt", "next.key"
)

// ParseCA reads the data of the CA's Secret. A Secret that others wrote, of type kubernetes.io/tls, is read as well: its
// certificate signs, and is trusted together with what it has under ca.crt.
func ParseCA(data map[string][]byte) (*CA, error) {
	signing, err := parsePair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", corev1.TLSCertKey, err)
	}
	if !signing.leaf.IsCA {
		return nil, fmt.Errorf("%s is no CA certificate", corev1.TLSCertKey)
	}
	c := &CA{signing: signing}
	if len(data[nextCert]) > 0 {
		if c.next, err = parsePair(data[nextCert], data[nextKey]); err != nil {
			return nil, fmt.Errorf("%s: %w", nextCert, err)
		}
	}
	old, err := certificates(data[BundleKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", BundleKey, err)
	}
	c.trust(&CA{trusted: old}, time.Time{})
	return c, nil
}

// Data is the CA as ParseCA reads it.
func (c *CA) Data() map[string][]byte {
	d := map[string][]byte{corev1.TLSCertKey: c.signing.Cert, corev1.TLSPrivateKeyKey: c.signing.Key, BundleKey: c.Bundle()}
	if c.next != nil {
		d[nextCert], d[nextKey] = c.next.Cert, c.next.Key
	}
	return d
}

// ClientData is the data that the Secret of a group of data planes should have, made from what it has: what is fresh stays.
func (c *CA) ClientData(old map[string][]byte, trustDomain, group string, now time.Time) (data map[string][]byte, changed bool, err error) {
	t := Client(trustDomain, group)
	p, err := parsePair(old[corev1.TLSCertKey], old[corev1.TLSPrivateKeyKey])
	if err != nil || !c.Fresh(p, t, now) {
		if p, err = c.Issue(t, now); err != nil {
			return nil, false, err
		}
	}
	data = map[string][]byte{
		corev1.TLSCertKey: p.Cert, corev1.TLSPrivateKeyKey: p.Key, BundleKey: c.Bundle(), StorageKey: old[StorageKey],
	}
	if len(data[StorageKey]) != 32 {
		data[StorageKey] = make([]byte, 32)
		rand.Read(data[StorageKey])
	}
	return data, !maps.EqualFunc(data, old, bytes.Equal), nil
}
