package table

import (
	"bytes"
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
	"net"
	"net/url"
	"testing"
	"time"
)

// pair is a certificate and its key in PEM.
type pair struct {
	chain, key []byte
	cert       *x509.Certificate
	signer     *ecdsa.PrivateKey
}

// newPair makes a certificate for names, signed by ca; nil: a certificate authority.
func newPair(t testing.TB, ca *pair, names ...string) *pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: names,
		URIs: []*url.URL{{Scheme: "spiffe", Host: "test", Path: "/x"}},
	}
	issuer, signer := c, key
	if ca == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	} else {
		issuer, signer = ca.cert, ca.signer
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{signer: key}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.chain = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return p
}

// secret is the Secret infra/name with the pair.
func (p *pair) secret(name string) string {
	return fmt.Sprintf(`secret{key:"secret/infra/%s" certificate{chain:%q private_key:%q}}`, name, p.chain, p.key)
}

func httpsListener(name, hostname, more string) string {
	return fmt.Sprintf(`listener{key:"listener/infra/web/%s" gateway:"infra/web" name:"%s" port:443 protocol:HTTPS hostname:"%s"
		tls{mode:TERMINATE %s}}`, name, name, hostname, more)
}

// handshake connects client and server; it returns the client's state and what either end failed of.
func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	failed := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			// TLS 1.3: the client sees only when it reads that its certificate was refused.
			_, err = tls.Server(c, server).Write([]byte("x"))
		}
		failed <- err
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(time.Minute))
	c := tls.Client(raw, client)
	_, err = c.Read(make([]byte, 1))
	raw.Close()
	return c.ConnectionState(), errors.Join(err, <-failed)
}

func TestTLSByServerName(t *testing.T) {
	ca := newPair(t, nil)
	one, wild, rsa := newPair(t, ca, "one.example.com"), newPair(t, ca, "*.example.com"), newPair(t, ca, "other.org")
	port := compile(t, one.secret("one"), wild.secret("wild"), rsa.secret("other"),
		httpsListener("one", "one.example.com", `certificates:"secret/infra/one" min_version:"1.3"`),
		httpsListener("wild", "*.example.com", `certificates:"secret/infra/other" certificates:"secret/infra/wild"`),
		httpsListener("client", "client.org", fmt.Sprintf(`certificates:"secret/infra/other" client_validation{ca_certificates:%q}`, ca.chain)),
	).Ports()[0]
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	server := &tls.Config{GetConfigForClient: port.TLSConfig}
	connect := func(name string, change func(*tls.Config)) (tls.ConnectionState, error) {
		c := &tls.Config{ServerName: name, RootCAs: pool, InsecureSkipVerify: true, NextProtos: []string{"h2"}}
		if change != nil {
			change(c)
		}
		return handshake(t, server, c)
	}
	serves := func(name string, want *pair, version uint16) {
		t.Helper()
		s, err := connect(name, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if !s.PeerCertificates[0].Equal(want.cert) || s.Version != version || s.NegotiatedProtocol != "h2" {
			t.Errorf("%s: certificate of %v, version %x", name, s.PeerCertificates[0].DNSNames, s.Version)
		}
	}
	serves("one.example.com", one, tls.VersionTLS13)
	serves("ONE.example.com", one, tls.VersionTLS13)
	serves("two.example.com", wild, tls.VersionTLS13) // the second certificate matches the name
	serves("a.b.example.com", rsa, tls.VersionTLS13)  // none does: the first
	refused := func(name string, change func(*tls.Config)) {
		t.Helper()
		if _, err := connect(name, change); err == nil {
			t.Errorf("%s: was served", name)
		}
	}
	refused("unknown.org", nil)
	refused("", nil)
	old := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	refused("one.example.com", old)
	if _, err := connect("two.example.com", old); err != nil {
		t.Error(err)
	}
	refused("two.example.com", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	refused("client.org", nil)
	with := func(p *pair) func(*tls.Config) {
		return func(c *tls.Config) {
			cert, _ := tls.X509KeyPair(p.chain, p.key)
			c.Certificates = []tls.Certificate{cert}
		}
	}
	refused("client.org", with(newPair(t, newPair(t, nil), "me")))
	if _, err := connect("client.org", with(newClient(t, ca))); err != nil {
		t.Error(err)
	}
	cert, err := port.Certificate(&tls.ClientHelloInfo{ServerName: "one.example.com"})
	if err != nil || !bytes.Equal(cert.Certificate[0], one.cert.Raw) {
		t.Error(err)
	}
}

// newClient makes a client certificate.
func newClient(t *testing.T, ca *pair) *pair { return newPair(t, ca, "client") }

// The cases of the conformance test HTTPRouteHTTPSListenerDetectMisdirectedRequests.
func TestMisdirectedRequests(t *testing.T) {
	cert := newPair(t, newPair(t, nil), "example.org")
	certs := `certificates:"secret/infra/c"`
	match := `matches{path{kind:PREFIX value:"/x"}}`
	p := compile(t, cert.secret("c"), backend("v1"), backend("v2"), backend("v3"), backend("v4"),
		httpsListener("https", "", certs), httpsListener("second", "second-example.org", certs),
		httpsListener("wild", "*.wildcard.org", certs), httpsListener("fourth", "fourth-example.wildcard.org", certs),
		httpRoute("r1", "https", "example.org", rule(match, "v1")), httpRoute("r2", "second", "", rule(match, "v2")),
		httpRoute("r3", "wild", "", rule(match, "v3")), httpRoute("r4", "fourth", "", rule(match, "v4")),
	).Ports()[0]
	f := func(serverName, host, want string) {
		t.Helper()
		x := request(t, "GET "+host+"/x")
		x.TLS = &tls.ConnectionState{ServerName: serverName}
		if got := serve(p, x); got != want {
			t.Errorf("%s over %s: %s, want %s", host, serverName, got, want)
		}
	}
	f("example.org", "example.org", "v1")
	f("example.org", "second-example.org", "421")
	f("example.org", "unknown-example.org", "404")
	f("second-example.org", "second-example.org", "v2")
	f("second-example.org", "second-example.org.:443", "v2")
	f("second-example.org", "example.org", "421")
	f("second-example.org", "unknown-example.org", "421")
	f("third-example.wildcard.org", "third-example.wildcard.org", "v3")
	f("third-example.wildcard.org", "fith-example.wildcard.org", "v3")
	f("third-example.wildcard.org", "fourth-example.wildcard.org", "421")
	f("third-example.wildcard.org", "second-example.org", "421")
	f("fourth-example.wildcard.org", "fourth-example.wildcard.org", "v4")
	f("fourth-example.wildcard.org", "fith-example.wildcard.org", "421")
	f("unknown-example.org", "example.org", "v1")
	f("unknown-example.org", "unknown-example.org", "404")
	f("", "example.org", "v1")
	f("", "second-example.org", "421")
}

func TestBackendTLS(t *testing.T) {
	ca, other := newPair(t, nil), newPair(t, nil)
	serverPair := newPair(t, ca, "db.example.com", "*.apps.example.com")
	serverCert, err := tls.X509KeyPair(serverPair.chain, serverPair.key)
	if err != nil {
		t.Fatal(err)
	}
	server := &tls.Config{Certificates: []tls.Certificate{serverCert}, ClientAuth: tls.RequestClientCert}
	f := func(ok bool, config string) {
		t.Helper()
		rs := resources(t, newClient(t, ca).secret("me"), `backend{key:"backend/a/s/443" protocol:HTTP1 endpoints{} tls{`+config+`}}`)
		cl, err := newClusters(rs, nil).For("backend/a/s/443")
		if err != nil {
			t.Errorf("%s: %v", config, err)
			return
		}
		if _, err := handshake(t, server, cl.TLS); (err == nil) != ok {
			t.Errorf("%s: %v", config, err)
		}
	}
	trust := func(p *pair) string { return fmt.Sprintf(`ca_certificates:%q `, p.chain) }
	f(true, trust(ca)+`hostname:"db.example.com"`)
	f(true, trust(ca)+`hostname:"db.example.com" client_certificate:"secret/infra/me"`)
	f(true, trust(other)+trust(ca)+`hostname:"x.apps.example.com" h2:true`)
	f(false, trust(ca)+`hostname:"other.example.com"`)
	f(false, trust(other)+`hostname:"db.example.com"`)
	f(false, `system_roots:true hostname:"db.example.com"`)
	f(false, `hostname:"db.example.com"`)
	f(true, trust(ca)+`hostname:"sni" sans{hostname:"db.example.com"}`)
	f(true, trust(ca)+`hostname:"sni" sans{hostname:"x"} sans{uri:"spiffe://test/x"}`)
	f(true, trust(ca)+`hostname:"sni" sans{hostname:"*.example.com"}`)
	f(false, trust(ca)+`hostname:"db.example.com" sans{hostname:"x"} sans{uri:"spiffe://test/y"} sans{hostname:"*.org"}`)
	f(false, trust(other)+`hostname:"sni" sans{hostname:"db.example.com"}`)
	cl, err := newClusters(resources(t, `backend{key:"backend/a/s/443" protocol:HTTP1 hostname{name:"db.example.com" port:443}
		tls{system_roots:true h2:true}}`), nil).For("backend/a/s/443")
	if err != nil || cl.TLS.ServerName != "db.example.com" || !cl.H2 || cl.Host != "db.example.com" || !cl.Ready() {
		t.Errorf("%+v, %v", cl, err)
	}
}
