package table

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// listenerTLS makes the configuration of a listener that ends TLS.
func (c *compiler) listenerTLS(l *xdsv1.Listener) (*tls.Config, error) {
	t := l.GetTls()
	if t.GetMode() != xdsv1.ListenerTLS_TERMINATE {
		return nil, fmt.Errorf("tls.mode: %s is not known to this version for a listener of %s", t.GetMode(), l.GetProtocol())
	}
	var certs []*tls.Certificate
	for i, key := range t.GetCertificates() {
		cert, err := c.certificates.get(key)
		if err != nil {
			return nil, fmt.Errorf("tls.certificates[%d]: %w", i, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("tls.certificates: is empty")
	}
	cfg := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return choose(certs, hello), nil },
	}
	if l.GetProtocol() == xdsv1.Protocol_TLS {
		cfg.NextProtos = nil // what is spoken inside is the client's and the backend's affair
	}
	if t.GetMinVersion() == "1.3" {
		cfg.MinVersion = tls.VersionTLS13
	}
	if v := t.GetClientValidation(); v != nil {
		return cfg, validateClients(cfg, v)
	}
	return cfg, nil
}

// choose takes the first certificate that the client can use for the name that it asks for, else the first of all.
func choose(certs []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	if len(certs) > 1 {
		for _, cert := range certs {
			if hello.SupportsCertificate(cert) == nil {
				return cert
			}
		}
	}
	return certs[0]
}

func validateClients(cfg *tls.Config, v *xdsv1.ClientValidation) error {
	pool := x509.NewCertPool()
	for i, bundle := range v.GetCaCertificates() {
		if !pool.AppendCertsFromPEM(bundle) {
			return fmt.Errorf("tls.client_validation.ca_certificates[%d]: has no certificate in PEM", i)
		}
	}
	// A session of another listener, or from before the authorities changed, must not stand in for a certificate.
	cfg.SessionTicketsDisabled = true
	if v.GetAllowInsecureFallback() {
		cfg.ClientAuth = tls.RequestClientCert
		return nil
	}
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, pool
	return nil
}

// TLS makes the client side of TLS to a backend or provider. host is the server name where t names none. The error names
// the field of t.
func (c *Clusters) TLS(t *xdsv1.BackendTLS, host string) (*tls.Config, error) {
	cfg := &tls.Config{
		ServerName: cmp.Or(t.GetHostname(), host), MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if cfg.ServerName == "" {
		return nil, errors.New("hostname: is empty")
	}
	roots, err := roots(t)
	if err != nil {
		return nil, err
	}
	cfg.RootCAs = roots
	if t.GetH2() {
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	if len(t.GetSans()) > 0 {
		// The names are checked here instead of the server name, and the chain with them.
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(s tls.ConnectionState) error { return verifySANs(s, roots, t.GetSans()) }
	}
	if key := t.GetClientCertificate(); key != "" {
		cert, err := c.certificates.get(key)
		if err != nil {
			return nil, fmt.Errorf("client_certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{*cert}
	}
	return cfg, nil
}

// roots are the authorities that may sign a backend's certificate; nil: those of the machine. A backend for which nobody
// is named is trusted by nobody.
func roots(t *xdsv1.BackendTLS) (*x509.CertPool, error) {
	if t.GetSystemRoots() && len(t.GetCaCertificates()) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if t.GetSystemRoots() {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("system_roots: %w", err)
		}
	}
	for i, bundle := range t.GetCaCertificates() {
		if !pool.AppendCertsFromPEM(bundle) {
			return nil, fmt.Errorf("ca_certificates[%d]: has no certificate in PEM", i)
		}
	}
	return pool, nil
}

var errSAN = errors.New("the certificate has none of the subject alternative names that the policy asks for")

// verifySANs checks the chain, and that the certificate carries one of the names (Gateway API, BackendTLSPolicy).
func verifySANs(s tls.ConnectionState, roots *x509.CertPool, sans []*xdsv1.SAN) error {
	if len(s.PeerCertificates) == 0 {
		return errSAN
	}
	o := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	leaf := s.PeerCertificates[0]
	if _, err := leaf.Verify(o); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	for _, san := range sans {
		if hasSAN(leaf, san) {
			return nil
		}
	}
	return errSAN
}

func hasSAN(leaf *x509.Certificate, san *xdsv1.SAN) bool {
	if uri := san.GetUri(); uri != "" {
		for _, u := range leaf.URIs {
			if u.String() == uri {
				return true
			}
		}
		return false
	}
	suffix, wild := strings.CutPrefix(san.GetHostname(), "*")
	if !wild {
		return leaf.VerifyHostname(san.GetHostname()) == nil
	}
	for _, name := range leaf.DNSNames {
		if label, ok := strings.CutSuffix(strings.ToLower(name), suffix); ok && label != "" && !strings.Contains(label, ".") {
			return true
		}
	}
	return false
}
