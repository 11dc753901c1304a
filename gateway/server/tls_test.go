package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
)

// startTLS is a gateway that clients reach by TLS, and that reaches its upstream by TLS.
func startTLS(t *testing.T, upstream http.Handler, upstreamH2 bool) *gateway {
	t.Helper()
	ca := newAuthority(t)
	srv := httptest.NewUnstartedServer(upstream)
	chain, key := ca.issue("upstream.test")
	cert, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.EnableHTTP2 = upstreamH2
	srv.StartTLS()
	t.Cleanup(srv.Close)
	g := startWith(t, builder{}, func(port int) config.Update {
		u := ca.secure(oneRoute(port, srv.Listener.Addr().String(), h1Backend))
		for _, r := range u.Set {
			if b := r.GetBackend(); b != nil {
				b.Tls = &xdsv1.BackendTLS{Hostname: "upstream.test", CaCertificates: [][]byte{ca.pem}, H2: upstreamH2}
			}
		}
		return u
	})
	g.tls = ca.config()
	return g
}

func TestTLSBothSides(t *testing.T) {
	for _, upstreamH2 := range []bool{false, true} {
		g := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%d %s %s", n, r.Proto, r.Header.Get("X-Forwarded-Proto"))
		}), upstreamH2)
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[upstreamH2]
		for name, c := range g.clients() {
			for _, size := range []int{0, 10, 5 << 20} {
				resp, err := c.Post("https://"+g.addr, "", strings.NewReader(strings.Repeat("x", size)))
				if err != nil {
					t.Fatal(name, err)
				}
				b, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(b) != fmt.Sprintf("%d %s https", size, want) || resp.Proto != map[string]string{"h1": "HTTP/1.1", "h2": "HTTP/2.0"}[name] {
					t.Errorf("%s %d: %s %q", name, size, resp.Proto, b)
				}
			}
		}
	}
}

// handshake connects and says which protocol was agreed on.
func (g *gateway) handshake(change func(*tls.Config)) (*tls.Conn, error) {
	cfg := g.tls.Clone()
	change(cfg)
	c, err := tls.Dial("tcp", g.addr, cfg)
	if err == nil {
		g.t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

func TestTLSVersionsAndALPN(t *testing.T) {
	g := startTLS(t, http.HandlerFunc(echo), false)
	f := func(version uint16, alpn []string, want string) {
		t.Helper()
		c, err := g.handshake(func(c *tls.Config) { c.MinVersion, c.MaxVersion, c.NextProtos = version, version, alpn })
		if err != nil {
			t.Errorf("%x %v: %v", version, alpn, err)
			return
		}
		if s := c.ConnectionState(); s.Version != version || s.NegotiatedProtocol != want {
			t.Errorf("%x %v: got %x %q", version, alpn, s.Version, s.NegotiatedProtocol)
		}
		if want == "h2" {
			return
		}
		io.WriteString(c, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), "GET /x? 0") {
			t.Errorf("%x %v: %q, %v", version, alpn, b, err)
		}
	}
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		f(v, nil, "")
		f(v, []string{"http/1.1"}, "http/1.1")
		f(v, []string{"h2", "http/1.1"}, "h2")
	}
	if _, err := g.handshake(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

// Under TLS as well a client that leaves is noticed at once, while a stream runs and while nothing has come for a moment.
func TestClientLeavesUnderTLS(t *testing.T) {
	asked, left := make(chan struct{}, 1), make(chan time.Time, 1)
	g := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
		}
		asked <- struct{}{}
		<-r.Context().Done()
		left <- time.Now()
	}), false)
	const soon = 5 * time.Millisecond
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, path := range []string{"/stream", "/silent"} {
			best := time.Hour
			for n := 0; n < 5 || best > soon && n < 100; n++ { // more often on a machine that is busy
				c, err := g.handshake(func(c *tls.Config) { c.MaxVersion = version })
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\nGET /pipelined HTTP/1.1\r\n", path)
				<-asked
				time.Sleep(40 * time.Millisecond) // calls that are answered sooner than that do without the watch
				gone := time.Now()
				c.Close()
				select {
				case at := <-left:
					best = min(best, at.Sub(gone))
				case <-time.After(patience):
					t.Fatalf("%x %s: the upstream was not told", version, path)
				}
			}
			if t.Logf("%x %s: told after %v", version, path, best); best > soon {
				t.Errorf("%x %s: told after %v at best", version, path, best)
			}
		}
	}
}

// wsUpstream accepts upgrades and sends back what it gets; /refuse answers as an ordinary server.
func wsUpstream(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/refuse" {
		http.Error(w, "no upgrade here", http.StatusForbidden)
		return
	}
	c, rw, _ := w.(http.Hijacker).Hijack()
	defer c.Close()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nhello ", r.Header.Get("Upgrade"))
	rw.Flush()
	io.Copy(c, rw)
}

const upgrade = "HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"

func TestWebSocketThroughTLS(t *testing.T) {
	g := startTLS(t, http.HandlerFunc(wsUpstream), false)
	c, err := g.handshake(func(*tls.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "GET /ws "+upgrade+"early ")
	time.Sleep(20 * time.Millisecond)
	io.WriteString(c, "late")
	c.CloseWrite()
	if b, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(b), "\r\n\r\nhello early late") {
		t.Errorf("%q, %v", b, err)
	}
}

// An upgrade that is refused is an ordinary answer, and what follows is an ordinary request.
func TestUpgradeRefused(t *testing.T) {
	g := start(t, http.HandlerFunc(wsUpstream))
	c := g.dial()
	for range 3 {
		c.send("GET /refuse " + upgrade)
		if resp, body := c.answer("GET"); resp.StatusCode != 403 || body != "no upgrade here\n" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
	}
}

// Only what the gateway can pass on is asked for; a 101 that nobody asked for is an error.
func TestOtherUpgrades(t *testing.T) {
	seen := make(chan http.Header, 1)
	s := scripted(t, func(n int64, c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		seen <- req.Header
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	})
	g := startScript(t, s)
	for _, head := range []string{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc"} {
		c := g.dial()
		c.send(head)
		if resp, _ := c.answer("GET"); resp.StatusCode != 502 {
			t.Errorf("%q: %d", head, resp.StatusCode)
		}
		if h := <-seen; h.Get("Upgrade") != "" || h.Get("Connection") != "" || h.Get("Http2-Settings") != "" {
			t.Errorf("%q: the upstream saw %v", head, h)
		}
	}
}

// A tunnel in use holds a drain up until its deadline, and is then cut.
func TestDrainCutsTunnels(t *testing.T) {
	g := start(t, http.HandlerFunc(wsUpstream))
	c := g.dial()
	c.send("GET /ws " + upgrade)
	if _, err := c.r.ReadString('h'); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := g.server.Shutdown(ctx); err == nil {
		t.Error("the drain ended before the tunnel")
	}
	if _, err := io.Copy(io.Discard, c.r); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the tunnel is still open")
	}
}
