package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
	"github.com/nantian-gw/nantian/gateway/l4"
)

// texts is an update of resources in text; %d stands for the port. Backends named "<name>" have the endpoints given.
func texts(t testing.TB, port int, endpoints map[string]string, list ...string) config.Update {
	t.Helper()
	u := config.Update{Full: true, Set: map[string]*xdsv1.Resource{}, Endpoints: map[string]*xdsv1.Endpoints{}}
	for _, text := range list {
		r := &xdsv1.Resource{}
		if err := prototext.Unmarshal([]byte(strings.ReplaceAll(text, "%d", strconv.Itoa(port))), r); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := xdsv1.Validate(r); err != nil {
			t.Fatal(err)
		}
		u.Set[xdsv1.KeyOf(r)] = r
	}
	for key, at := range endpoints {
		a := netip.MustParseAddrPort(at)
		u.Endpoints[key] = &xdsv1.Endpoints{Key: key, Endpoints: []*xdsv1.Endpoint{{Address: a.Addr().String(), Port: uint32(a.Port())}}}
	}
	return u
}

const (
	tcpListener = `listener{key:"listener/a/gw/tcp" gateway:"a/gw" name:"tcp" port:%d protocol:TCP}`
	tcpRoute    = `route{key:"route/tcp/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/tcp"} l4{backends{backend:"backend/a/s/1" weight:1}}}`
	tcpBackend  = `backend{key:"backend/a/s/1" protocol:HTTP1 endpoints{}}`
)

// greeter says which it is when a line comes, and ends with its client.
func greeter(t *testing.T, name string) *script {
	return scripted(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s: %s", name, line)
		}
	})
}

func (c *client) line(text string) string {
	c.t.Helper()
	c.send(text + "\n")
	got, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%q: %v", text, err)
	}
	return strings.TrimSuffix(got, "\n")
}

// tryDial is dial where the connection may be refused before it is seen; it is nil then.
func (g *gateway) tryDial() *client {
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		return nil
	}
	g.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{c, g.t, bufio.NewReader(c)}
}

// refused wants the connection to be broken off.
func (c *client) refused() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err == nil {
		c.t.Errorf("%q and an orderly end", b)
	}
}

func TestTCP(t *testing.T) {
	up := greeter(t, "db")
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/s/1": up.addr}, tcpListener, tcpRoute, tcpBackend)
	})
	c := g.dial()
	if got := c.line("hello"); got != "db: hello" {
		t.Error(got)
	}
	if g.metric(`nantian_open_sessions{gateway="a/gw",protocol="TCP",route="a/r"}`) != "1" {
		t.Error("no session is open")
	}
	c.Conn.(*net.TCPConn).CloseWrite()
	c.ended()
	eventually(t, "the session is recorded", func() bool {
		return g.metric(`nantian_sessions_total{backend="a/s:1",gateway="a/gw",outcome="ok",protocol="TCP",route="a/r"}`) == "1"
	})
	if got := g.metric(`nantian_session_bytes_total{direction="received",gateway="a/gw",route="a/r"}`); got != "6" {
		t.Errorf("%s bytes received", got)
	}
	if got := g.metric(`nantian_session_bytes_total{direction="sent",gateway="a/gw",route="a/r"}`); got != "10" {
		t.Errorf("%s bytes sent", got)
	}
}

// The share of a backend that is not valid is refused, the rest served.
func TestTCPWeights(t *testing.T) {
	up := greeter(t, "db")
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/s/1": up.addr}, tcpListener, tcpBackend,
			`route{key:"route/tcp/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/tcp"} l4{backends{backend:"backend/a/s/1" weight:1} backends{invalid:"no" weight:1}}}`)
	})
	served := 0
	for range 100 {
		if c := g.tryDial(); c != nil {
			c.Write([]byte("x\n"))
			if _, err := c.r.ReadString('\n'); err == nil {
				served++
			}
		}
	}
	if served < 25 || served > 75 {
		t.Errorf("%d of 100 were served", served)
	}
}

// Of two routes on one listener the older is used, then the first by name.
func TestOldestTCPRoute(t *testing.T) {
	older, newer := greeter(t, "older"), greeter(t, "newer")
	route := func(name, backend string, created int) string {
		return fmt.Sprintf(`route{key:"route/tcp/a/%s" namespace:"a" name:"%s" created{seconds:%d} parents{listener:"listener/a/gw/tcp"} l4{backends{backend:"backend/a/%s/1" weight:1}}}`, name, name, created, backend)
	}
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/o/1": older.addr, "backend/a/n/1": newer.addr}, tcpListener,
			`backend{key:"backend/a/o/1" protocol:HTTP1 endpoints{}}`, `backend{key:"backend/a/n/1" protocol:HTTP1 endpoints{}}`,
			route("a", "n", 2), route("b", "o", 1))
	})
	if got := g.dial().line("x"); got != "older: x" {
		t.Error(got)
	}
}

func TestTCPRefusals(t *testing.T) {
	closed := freePort(t)
	f := func(outcome string, endpoints map[string]string, list ...string) {
		t.Helper()
		g := startWith(t, builder{}, func(port int) config.Update {
			return texts(t, port, endpoints, append(list, tcpListener)...)
		})
		if c := g.tryDial(); c != nil {
			c.refused()
		}
		labels := `backend="",gateway="",outcome="` + outcome + `",protocol="TCP",route=""`
		if len(list) > 0 {
			labels = `backend="a/s:1",gateway="a/gw",outcome="` + outcome + `",protocol="TCP",route="a/r"`
		}
		eventually(t, outcome, func() bool { return g.metric("nantian_sessions_total{"+labels+"}") == "1" })
	}
	f("no_route", nil)
	f("no_endpoint", nil, tcpRoute, tcpBackend)
	f("connect", map[string]string{"backend/a/s/1": fmt.Sprintf("127.0.0.1:%d", closed)}, tcpRoute, tcpBackend)
}

// A session outlives changes of the configuration, and ends at a shutdown when its time is up.
func TestTCPDrain(t *testing.T) {
	up := greeter(t, "db")
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/s/1": up.addr}, tcpListener, tcpRoute, tcpBackend)
	})
	c := g.dial()
	c.line("x")
	if err := g.store.Apply(t.Context(), config.Update{Removed: []string{"listener/a/gw/tcp", "route/tcp/a/r", "backend/a/s/1"}}); err != nil {
		t.Fatal(err)
	}
	if got := c.line("y"); got != "db: y" {
		t.Error(got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	g.server.Shutdown(ctx)
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("the session goes on after the shutdown")
	}
	eventually(t, "the session is recorded as cut", func() bool {
		return g.metric(`nantian_sessions_total{backend="a/s:1",gateway="a/gw",outcome="cut",protocol="TCP",route="a/r"}`) == "1"
	})
}

// tlsGreeter is a greeter behind TLS with a certificate for name.
func tlsGreeter(t *testing.T, ca *authority, name string) *script {
	chain, key := ca.issue(name)
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	return scripted(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		tc := tls.Server(&bufferedConn{c, r}, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"mine"}})
		br := bufio.NewReader(tc)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprintf(tc, "%s by TLS: %s", name, line)
		}
	})
}

type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// byTLS is a client inside TLS.
func (g *gateway) byTLS(cfg *tls.Config) (*client, *tls.Conn, error) {
	raw := g.dial()
	tc := tls.Client(raw.Conn, cfg)
	return &client{tc, g.t, bufio.NewReader(tc)}, tc, tc.Handshake()
}

// startMixed has one port with a passed through name, an ended one, one of HTTPS, and one whose backend is encrypted again.
func startMixed(t *testing.T, ca *authority) *gateway {
	chain, key := ca.issue("*.gateway.test")
	secret := &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: "secret/a/c", Kind: &xdsv1.Secret_Certificate{
		Certificate: &xdsv1.Certificate{Chain: chain, PrivateKey: key}}}}}
	plain, secure := greeter(t, "plain"), tlsGreeter(t, ca, "pass.test")
	web := say(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nweb")
	return startWith(t, builder{}, func(port int) config.Update {
		u := texts(t, port, map[string]string{"backend/a/plain/1": plain.addr, "backend/a/secure/1": secure.addr, "backend/a/web/1": web.addr, "backend/a/again/1": secure.addr},
			`listener{key:"listener/a/gw/pass" gateway:"a/gw" name:"pass" port:%d protocol:TLS hostname:"pass.test" tls{mode:PASSTHROUGH}}`,
			`listener{key:"listener/a/gw/end" gateway:"a/gw" name:"end" port:%d protocol:TLS hostname:"*.gateway.test" tls{mode:TERMINATE certificates:"secret/a/c"}}`,
			`listener{key:"listener/a/gw/web" gateway:"a/gw" name:"web" port:%d protocol:HTTPS hostname:"web.gateway.test" tls{mode:TERMINATE certificates:"secret/a/c"}}`,
			`route{key:"route/tls/a/pass" namespace:"a" name:"pass" parents{listener:"listener/a/gw/pass" hostnames:"pass.test"} l4{backends{backend:"backend/a/secure/1" weight:1}}}`,
			`route{key:"route/tls/a/end" namespace:"a" name:"end" parents{listener:"listener/a/gw/end" hostnames:"end.gateway.test"} l4{backends{backend:"backend/a/plain/1" weight:1}}}`,
			`route{key:"route/tls/a/again" namespace:"a" name:"again" parents{listener:"listener/a/gw/end" hostnames:"again.gateway.test"} l4{backends{backend:"backend/a/again/1" weight:1}}}`,
			`route{key:"route/http/a/web" namespace:"a" name:"web" parents{listener:"listener/a/gw/web"} http{rules{backends{backend:"backend/a/web/1" weight:1}}}}`,
			`backend{key:"backend/a/plain/1" protocol:HTTP1 endpoints{}}`, `backend{key:"backend/a/secure/1" protocol:HTTP1 endpoints{}}`,
			`backend{key:"backend/a/web/1" protocol:HTTP1 endpoints{}}`,
		)
		u.Set["secret/a/c"] = secret
		u.Set["backend/a/again/1"] = &xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{Key: "backend/a/again/1", Protocol: h1Backend,
			Tls: &xdsv1.BackendTLS{Hostname: "pass.test", CaCertificates: [][]byte{ca.pem}}, Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}}}}}
		return u
	})
}

func TestOnePortOfTLS(t *testing.T) {
	ca := newAuthority(t)
	g := startMixed(t, ca)
	f := func(name, want string) {
		t.Helper()
		c, tc, err := g.byTLS(&tls.Config{RootCAs: ca.pool(), ServerName: name, NextProtos: []string{"mine", "http/1.1"}})
		if err != nil {
			t.Fatal(name, err)
		}
		if got := c.line("hello"); got != want {
			t.Errorf("%s: %s", name, got)
		}
		if alpn := tc.ConnectionState().NegotiatedProtocol; (alpn == "mine") != (name == "pass.test") {
			t.Errorf("%s: %q was agreed on", name, alpn)
		}
		tc.CloseWrite()
		c.ended()
	}
	f("pass.test", "pass.test by TLS: hello")
	f("end.gateway.test", "plain: hello")
	f("again.gateway.test", "pass.test by TLS: hello")
	c, _, err := g.byTLS(&tls.Config{RootCAs: ca.pool(), ServerName: "web.gateway.test"})
	if err != nil {
		t.Fatal(err)
	}
	c.send("GET / HTTP/1.1\r\nHost: web.gateway.test\r\n\r\n")
	if _, body := c.answer("GET"); body != "web" {
		t.Error(body)
	}
	// A host of the TLS listener does not come to HTTP by it.
	c.send("GET / HTTP/1.1\r\nHost: end.gateway.test\r\n\r\n")
	if resp, _ := c.answer("GET"); resp.StatusCode != 421 {
		t.Errorf("%d for the host of another listener", resp.StatusCode)
	}
	for _, name := range []string{"other.test", "nothing.gateway.test"} {
		if _, _, err := g.byTLS(&tls.Config{RootCAs: ca.pool(), ServerName: name}); err == nil || !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProxyProtocol(t *testing.T) {
	up := scripted(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		h, err := l4.ReadProxy(r)
		fmt.Fprintf(c, "%v %v %v\n", h.Client, h.Local, err)
	})
	for version, name := range map[int]string{1: "V1", 2: "V2"} {
		g := startWith(t, builder{}, func(port int) config.Update {
			return texts(t, port, map[string]string{"backend/a/s/1": up.addr}, strings.Replace(tcpListener, "protocol", "proxy_protocol:true protocol", 1), tcpRoute,
				strings.Replace(tcpBackend, "protocol", "proxy_protocol:"+name+" protocol", 1))
		})
		for _, in := range []int{1, 2} {
			c := g.dial()
			c.Write(l4.AppendProxy(nil, in, l4.Proxied{Client: netip.MustParseAddrPort("192.0.2.7:1234"), Local: netip.MustParseAddrPort("198.51.100.1:99")}))
			if got, _ := c.r.ReadString('\n'); got != "192.0.2.7:1234 198.51.100.1:99 <nil>\n" {
				t.Errorf("version %d, then %d: %q", in, version, got)
			}
		}
		c := g.dial()
		c.send("no header of any kind\n")
		c.refused()
	}
}

// Before HTTP the header says who the client is; connections to a backend that asks for one speak for themselves.
func TestProxyProtocolBeforeHTTP(t *testing.T) {
	up := scripted(t, func(_ int64, c net.Conn, r *bufio.Reader) {
		h, err := l4.ReadProxy(r)
		var head bytes.Buffer
		for {
			line, rerr := r.ReadString('\n')
			if rerr != nil || line == "\r\n" {
				break
			}
			head.WriteString(strings.ToLower(line))
		}
		_, forwarded, _ := strings.Cut(head.String(), "x-forwarded-for: ")
		forwarded, _, _ = strings.Cut(forwarded, "\r\n")
		text := fmt.Sprintf("%v %v %s", h.Client.IsValid(), err, forwarded)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text)
	})
	g := startWith(t, builder{}, func(port int) config.Update {
		return texts(t, port, map[string]string{"backend/a/s/1": up.addr},
			`listener{key:"listener/a/gw/http" gateway:"a/gw" name:"http" port:%d protocol:HTTP proxy_protocol:true}`,
			`route{key:"route/http/a/r" namespace:"a" name:"r" parents{listener:"listener/a/gw/http"} http{rules{backends{backend:"backend/a/s/1" weight:1}}}}`,
			`backend{key:"backend/a/s/1" protocol:HTTP1 proxy_protocol:V2 endpoints{}}`)
	})
	c := g.dial()
	c.Write(l4.AppendProxy(nil, 2, l4.Proxied{Client: netip.MustParseAddrPort("192.0.2.7:1234"), Local: netip.MustParseAddrPort("198.51.100.1:99")}))
	if code, body := c.get("/"); code != 200 || body != "false <nil> 192.0.2.7" {
		t.Errorf("%d %q", code, body)
	}
}
