package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
)

// script is an upstream that says what its script writes, byte by byte.
type script struct {
	addr  string
	conns atomic.Int64
}

// scripted starts an upstream that gives each connection to play, with its number from 1 on, and closes it afterwards.
func scripted(t *testing.T, play func(n int64, c net.Conn, r *bufio.Reader)) *script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				play(s.conns.Add(1), c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// say starts an upstream that answers every request with the same bytes, on connections that stay open.
func say(t *testing.T, answer string) *script {
	t.Helper()
	return scripted(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			io.Copy(io.Discard, req.Body)
			io.WriteString(c, answer)
		}
	})
}

// startScript is a gateway in front of a script.
func startScript(t *testing.T, s *script) *gateway {
	t.Helper()
	return startAt(t, s.addr, xdsv1.BackendProtocol_HTTP1)
}

// client is a raw connection.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (g *gateway) dial() *client {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{c, g.t, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one response to a request of the method, and skips a 100 before it.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	for err == nil && resp.StatusCode == 100 {
		resp, err = http.ReadResponse(c.r, &http.Request{Method: method})
	}
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("answer %q: %v", b, err)
	}
	return resp, string(b)
}

// ended wants the connection to be closed, without another byte.
func (c *client) ended() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 || err != nil {
		c.t.Errorf("%q and %v after the end", b, err)
	}
}

func (c *client) get(path string) (int, string) {
	c.t.Helper()
	c.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
	resp, body := c.answer("GET")
	return resp.StatusCode, body
}

// patience is how long anything may take: a machine that does much else stalls for seconds.
const patience = time.Minute

// eventually waits for something to come true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// refuses waits until the address takes no connections.
func (g *gateway) refuses() {
	g.t.Helper()
	eventually(g.t, "connections are refused", func() bool {
		c, err := net.Dial("tcp", g.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// metric is the value of a metric as the admin listener shows it; "" if it is not there.
func (g *gateway) metric(name string) string {
	w := httptest.NewRecorder()
	g.observer.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for line := range strings.Lines(w.Body.String()) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// authority is a certificate authority made for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	a.key = a.newKey()
	a.cert, a.pem = a.sign(template, template, &a.key.PublicKey)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, []byte) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// issue makes a certificate for a name, as chain and key in PEM.
func (a *authority) issue(name string) (chain, key []byte) {
	k := a.newKey()
	_, chain = a.sign(&x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}, a.cert, &k.PublicKey)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return chain, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// config is a client's, for a protocol by ALPN.
func (a *authority) config(alpn ...string) *tls.Config {
	return &tls.Config{RootCAs: a.pool(), ServerName: "gateway.test", NextProtos: alpn}
}

// secure makes the listener of an update HTTPS.
func (a *authority) secure(u config.Update) config.Update {
	chain, key := a.issue("gateway.test")
	secret := xdsv1.SecretKey("default", "cert")
	u.Set[secret] = &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: secret,
		Kind: &xdsv1.Secret_Certificate{Certificate: &xdsv1.Certificate{Chain: chain, PrivateKey: key}}}}}
	for _, r := range u.Set {
		if l := r.GetListener(); l != nil {
			l.Protocol = xdsv1.Protocol_HTTPS
			l.Tls = &xdsv1.ListenerTLS{Mode: xdsv1.ListenerTLS_TERMINATE, Certificates: []string{secret}}
		}
	}
	return u
}

// body is the content of a request or response that tells whose it is.
func bodyOf(id string, size int) []byte {
	return bytes.Repeat([]byte("<"+id+">"), size/(len(id)+2)+1)[:size]
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

const h1Backend = xdsv1.BackendProtocol_HTTP1

// withHints is a request that gathers the interim responses that come before its answer.
func withHints(t *testing.T, url string, hints *[]string) *http.Request {
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		*hints = append(*hints, strconv.Itoa(code), h.Get("Link"))
		return nil
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// noRoutes takes the route away.
func noRoutes() config.Update {
	return config.Update{Removed: []string{xdsv1.RouteKey(xdsv1.RouteHTTP, "default", "all")}}
}

func port(g *gateway) int {
	_, p, _ := net.SplitHostPort(g.addr)
	n, _ := strconv.Atoi(p)
	return n
}

// rules of the one route.
func rules(u config.Update) []*xdsv1.HTTPRule {
	return u.Set[xdsv1.RouteKey(xdsv1.RouteHTTP, "default", "all")].GetRoute().GetHttp().Rules
}

// setTimeout bounds the requests of the route.
func setTimeout(u config.Update, d time.Duration) {
	rules(u)[0].RequestTimeout = durationpb.New(d)
}
