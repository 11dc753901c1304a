package xdstest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	control "github.com/nantian-gw/nantian/controlplane/xds"
	data "github.com/nantian-gw/nantian/gateway/xds"
)

const domain = "cluster.local"

// authority issues certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue makes a certificate with URIs (of a client) or for localhost (of a server), and its key, in PEM.
func (a *authority) issue(lives time.Duration, uris ...string) (cert, key []byte) {
	a.t.Helper()
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(lives),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, u := range uris {
		parsed, err := url.Parse(u)
		if err != nil {
			a.t.Fatal(err)
		}
		template.URIs = append(template.URIs, parsed)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) pair(lives time.Duration, uris ...string) tls.Certificate {
	a.t.Helper()
	pair, err := tls.X509KeyPair(a.issue(lives, uris...))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func spiffe(group string) string { return "spiffe://" + domain + "/group/" + group }

// serveTLS starts a control plane at a socket with mutual TLS.
func serveTLS(t testing.TB, a *authority, o control.Options) (p *plane, address string) {
	t.Helper()
	clientAuth := tls.RequireAndVerifyClientCert
	if o.Authenticator == nil {
		o.Authenticator = control.Certificates{TrustDomain: domain}
	} else {
		clientAuth = tls.NoClientCert
	}
	o.TLS = &tls.Config{Certificates: []tls.Certificate{a.pair(time.Hour)}, ClientCAs: a.pool(), ClientAuth: clientAuth}
	s, err := control.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return &plane{t: t, server: s}, l.Addr().String()
}

// openTLS opens a stream at a socket.
func openTLS(t testing.TB, address string, conf *tls.Config, opts ...grpc.DialOption) *raw {
	t.Helper()
	opts = append([]grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(conf)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		}),
	}, opts...)
	return open(t, nil, opts...)
}

func (a *authority) client(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: a.pool(), Certificates: certs, ServerName: "127.0.0.1"}
}

func ask(typeURL, cluster string) *discovery.DeltaDiscoveryRequest {
	return &discovery.DeltaDiscoveryRequest{TypeUrl: typeURL, Node: &core.Node{Id: "x", Cluster: cluster}}
}

// Whose configuration a stream gets follows from its certificate alone.
func TestOtherGroupCannotBeAskedFor(t *testing.T) {
	a := newAuthority(t)
	p, address := serveTLS(t, a, control.Options{})
	p.set(snap(t, listener(), secret("mine", "1")), nil)
	if err := p.server.SetGroup("prod/other", snap(t, secret("theirs", "hunter2")), nil); err != nil {
		t.Fatal(err)
	}
	mine := a.client(a.pair(time.Hour, spiffe(group)))

	c := openTLS(t, address, mine)
	c.send(ask(control.TypeResource, "")) // says nothing: its own
	if got := names(c.recv()); !slices.Equal(got, []string{"listener/prod/web/http", "secret/prod/mine"}) {
		t.Errorf("got %v", got)
	}
	c.send(ask(control.TypeEndpoints, "prod/other")) // on the second request, where the server would believe it
	c.refused(codes.PermissionDenied)

	c = openTLS(t, address, mine)
	c.send(ask(control.TypeResource, "prod/other"))
	c.refused(codes.PermissionDenied)

	c = openTLS(t, address, mine)
	c.send(ask(control.TypeResource, group))
	resp := c.recv()
	spoof := ask(control.TypeResource, "prod/other")
	spoof.ResponseNonce = resp.Nonce
	c.send(spoof)
	c.refused(codes.PermissionDenied)

	// A node whose other fields claim something is of the certificate's group all the same.
	c = openTLS(t, address, mine)
	req := ask(control.TypeResource, "")
	req.Node.Id = "prod/other"
	c.send(req)
	if got := names(c.recv()); !slices.Contains(got, "secret/prod/mine") {
		t.Errorf("got %v", got)
	}
}

func TestCertificates(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	p, address := serveTLS(t, a, control.Options{})
	p.set(snap(t, listener()), nil)
	f := func(want codes.Code, uris ...string) {
		t.Helper()
		c := openTLS(t, address, a.client(a.pair(time.Hour, uris...)))
		_ = c.stream.Send(ask(control.TypeResource, ""))
		c.refused(want)
	}
	f(codes.Unauthenticated)
	f(codes.Unauthenticated, "spiffe://other.domain/group/prod/web")
	f(codes.Unauthenticated, "https://cluster.local/group/prod/web")
	f(codes.Unauthenticated, "spiffe://cluster.local/sa/prod/web")
	f(codes.Unauthenticated, "spiffe://cluster.local/group/prod")
	f(codes.Unauthenticated, "spiffe://cluster.local/group/prod/web/more")
	f(codes.Unauthenticated, "spiffe://cluster.local/group//web")
	f(codes.Unauthenticated, "spiffe://cluster.local/group/prod/we%2Fb")
	f(codes.Unauthenticated, "spiffe://cluster.local/group/prod/web?x")
	f(codes.Unauthenticated, spiffe(group), spiffe("prod/other"))

	for _, conf := range []*tls.Config{a.client(), a.client(foreign.pair(time.Hour, spiffe(group))), a.client(a.pair(-time.Second, spiffe(group)))} {
		conn, err := tls.Dial("tcp", address, conf)
		if err == nil { // TLS 1.3: the server's refusal comes with the first read
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Error("a connection without a valid certificate was accepted")
		}
	}
}

// Bearer tokens stand for certificates where an Authenticator reviews them.
func TestTokens(t *testing.T) {
	a := newAuthority(t)
	review := func(_ context.Context, token string) (control.Identity, error) {
		if token != "good" {
			return control.Identity{}, errors.New("unknown token")
		}
		return control.Identity{Group: group}, nil
	}
	p, address := serveTLS(t, a, control.Options{Authenticator: control.Tokens{Review: review}})
	p.set(snap(t, listener()), nil)
	s := newSink()
	o := options(nil, s)
	o.Address, o.Dial = address, nil
	o.TLS = func() (*tls.Config, error) { return a.client(), nil }
	o.Token = func() (string, error) { return "good", nil }
	run(t, o)
	eventually(t, "it serves", func() bool { return len(s.keys()) == 1 })

	c := openTLS(t, address, a.client())
	c.refused(codes.Unauthenticated)
	c = openTLS(t, address, a.client(), grpc.WithPerRPCCredentials(token("bad")))
	c.refused(codes.Unauthenticated)
}

type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}
func (token) RequireTransportSecurity() bool { return true }

// A stream ends with its certificate, each at another moment; the data plane comes back with the new one and misses nothing.
// Writing a new certificate alone closes nothing.
func TestCertificateRotation(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	files := data.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "ca.crt")}
	write := func(lives time.Duration) {
		t.Helper()
		cert, key := a.issue(lives, spiffe(group))
		for name, b := range map[string][]byte{files.Cert: cert, files.Key: key, files.CA: a.pem} {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := newWatcher()
	p, address := serveTLS(t, a, control.Options{Observer: w})
	p.set(snap(t, listener()), nil)
	write(20 * time.Second)
	begin := time.Now()
	const clients = 10
	var sinks []*sink
	for range clients {
		s := newSink()
		sinks = append(sinks, s)
		o := options(nil, s)
		o.Address, o.Dial, o.TLS = address, nil, files.Config
		run(t, o)
	}
	eventually(t, "all serve", func() bool {
		return !slices.ContainsFunc(sinks, func(s *sink) bool { return len(s.keys()) != 1 })
	})
	write(time.Hour)
	var ends []time.Duration
	for range clients {
		<-w.gone
		ends = append(ends, time.Since(begin))
	}
	// A certificate's time is in whole seconds, so it had 19 to 20; streams end in its last tenth.
	if slices.Min(ends) < 17*time.Second {
		t.Errorf("streams ended %v to %v after certificates of 20 s", slices.Min(ends), slices.Max(ends))
	}
	if spread := slices.Max(ends) - slices.Min(ends); spread < 50*time.Millisecond {
		t.Errorf("all came back within %v", spread)
	}
	p.set(snap(t, listener(), secret("s", "1")), nil)
	eventually(t, "all have come back", func() bool {
		return !slices.ContainsFunc(sinks, func(s *sink) bool { return len(s.keys()) != 2 })
	})
	for _, s := range sinks {
		if n := len(s.updates); n != 2 {
			t.Errorf("%d updates, expected the first and the edit", n)
		}
	}
	if n := len(p.server.DataPlanes(group)); n != clients {
		t.Errorf("%d data planes", n)
	}
}

// A data plane that expects another group than its certificate's gets nothing.
func TestClientOfAnotherGroup(t *testing.T) {
	p, s, m := start(t, control.Options{}), newSink(), &counter{}
	p.set(snap(t, listener()), nil)
	o := options(&line{plane: p}, s)
	o.Node.Group, o.Metrics = "prod/other", m
	c, _ := run(t, o)
	eventually(t, "it is refused", func() bool { return m.failures() > 1 })
	if c.Ready() == nil || s.count() > 0 {
		t.Error("it got something")
	}
}
