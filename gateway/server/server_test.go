package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/forward"
	"github.com/nantian-gw/nantian/gateway/observe"
	"github.com/nantian-gw/nantian/gateway/server"
	"github.com/nantian-gw/nantian/gateway/table"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// The bare proxy of the benchmark leaves goroutines of fasthttp's asleep.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*HostClient).connsCleaner"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*TCPDialer).tcpAddrsClean"))
}

// builder forwards, and serves no models. wrap, if set, changes the handlers.
type builder struct {
	wrap func(exchange.Handler) exchange.Handler
}

func (b builder) Cluster(c upstream.Config) *upstream.Cluster { return upstream.NewCluster(c) }

func (b builder) Session(*xdsv1.SessionPersistence, string) table.Session { return nil }

func (b builder) Forward(f table.Forward) exchange.Handler {
	h := newForward(f)
	if b.wrap != nil {
		return b.wrap(h)
	}
	return h
}

func newForward(f table.Forward) exchange.Handler {
	return forward.New(forward.Options{Cluster: f.Cluster, Name: f.Backend, BackendTimeout: f.BackendTimeout})
}

func (builder) Models(string, map[string]*xdsv1.Resource, *table.Clusters) (table.Models, error) {
	return nil, errors.New("no models here")
}

func (builder) Policies([]*xdsv1.Policy) (filter.Chain, error) { return filter.Chain{}, nil }

func (builder) Authorize(*xdsv1.ExternalAuth, *upstream.Cluster) filter.Authorizer {
	panic("none is here")
}

func (builder) Mirrored(string, filter.Outcome) {}

// gateway is a server with one HTTP listener whose every path leads to upstream.
type gateway struct {
	t        testing.TB
	server   *server.Server
	store    *config.Store
	observer *observe.Observer
	addr     string
	upstream string
	tls      *tls.Config // of clients; nil: plain text
}

func start(t *testing.T, upstream http.Handler) *gateway {
	t.Helper()
	srv := httptest.NewUnstartedServer(upstream)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	u, _ := url.Parse(srv.URL)
	return startAt(t, u.Host, xdsv1.BackendProtocol_HTTP1)
}

func startAt(t testing.TB, upstream string, protocol xdsv1.BackendProtocol) *gateway {
	t.Helper()
	g := startWith(t, builder{}, func(port int) config.Update { return oneRoute(port, upstream, protocol) })
	g.upstream = upstream
	return g
}

// startWith starts a gateway with the configuration that update makes for its port.
func startWith(t testing.TB, b table.Builder, update func(port int) config.Update) *gateway {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	g := &gateway{t: t, observer: &observe.Observer{Metrics: observe.NewMetrics(), Log: log}}
	var err error
	if g.server, err = server.New(server.Options{Bind: "127.0.0.1", Observer: g.observer, Log: log}); err != nil {
		t.Fatal(err)
	}
	g.store = config.New(b, func(tb *table.Table, _ map[string]*xdsv1.Resource) {
		if err := g.server.Update(tb); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(g.stop)
	port := freePort(t)
	if err := g.store.Apply(context.Background(), update(port)); err != nil {
		t.Fatal(err)
	}
	g.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return g
}

func (g *gateway) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := g.server.Shutdown(ctx); err != nil {
		g.t.Errorf("shutdown: %v", err)
	}
	g.store.Apply(context.Background(), config.Update{Full: true}) // closes the connections to upstreams
}

func freePort(t testing.TB) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func oneRoute(port int, upstream string, protocol xdsv1.BackendProtocol) config.Update {
	host, p, _ := net.SplitHostPort(upstream)
	upPort, _ := strconv.Atoi(p)
	listener, backend := xdsv1.ListenerKey("default", "gw", "http"), xdsv1.BackendKey("default", "echo", 80)
	route := xdsv1.RouteKey(xdsv1.RouteHTTP, "default", "all")
	return config.Update{
		Full: true,
		Set: map[string]*xdsv1.Resource{
			listener: {Kind: &xdsv1.Resource_Listener{Listener: &xdsv1.Listener{Key: listener, Gateway: "default/gw", Name: "http",
				Port: uint32(port), Protocol: xdsv1.Protocol_HTTP}}},
			backend: {Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{Key: backend, Protocol: protocol,
				Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}}}}},
			route: {Kind: &xdsv1.Resource_Route{Route: &xdsv1.Route{Key: route, Namespace: "default", Name: "all",
				Parents: []*xdsv1.Parent{{Listener: listener}},
				Rules: &xdsv1.Route_Http{Http: &xdsv1.HTTPRules{Rules: []*xdsv1.HTTPRule{{
					Backends: []*xdsv1.WeightedBackend{{Weight: 1, Target: &xdsv1.WeightedBackend_Backend{Backend: backend}}}}}}}}}},
		},
		Endpoints: map[string]*xdsv1.Endpoints{backend: {Key: backend, Endpoints: []*xdsv1.Endpoint{{Address: host, Port: uint32(upPort)}}}},
	}
}

// clients are an HTTP/1.1 and an HTTP/2 client of the same gateway.
func (g *gateway) clients() map[string]*http.Client {
	out := map[string]*http.Client{}
	for name, set := range map[string]func(*http.Protocols){
		"h1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"h2": func(p *http.Protocols) { p.SetUnencryptedHTTP2(g.tls == nil); p.SetHTTP2(g.tls != nil) },
	} {
		tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, TLSClientConfig: g.tls.Clone()}
		set(tr.Protocols)
		g.t.Cleanup(tr.CloseIdleConnections)
		out[name] = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return out
}

func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Path", r.URL.EscapedPath())
	fmt.Fprintf(w, "%s %s?%s %d", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, len(b))
}

func TestForward(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	for name, c := range g.clients() {
		for _, size := range []int{0, 10, 100 << 10, 20 << 20} {
			resp, err := c.Post("http://"+g.addr+"/a/./b%2f?x=1", "text/plain", bytes.NewReader(make([]byte, size)))
			if err != nil {
				t.Fatalf("%s %d: %v", name, size, err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if want := fmt.Sprintf("POST /a/b%%2F?x=1 %d", size); err != nil || string(b) != want || resp.StatusCode != 200 {
				t.Errorf("%s: got %d %q, %v, want %q", name, resp.StatusCode, b, err, want)
			}
		}
	}
}

func TestChunkedBothWays(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		w.(http.Flusher).Flush()
		w.Write(b)
		w.Header().Set("X-Sum", strconv.Itoa(len(b)))
	}))
	data := make([]byte, 1<<20)
	rand.Read(data)
	for name, c := range g.clients() {
		resp, err := c.Post("http://"+g.addr+"/", "", io.MultiReader(bytes.NewReader(data)))
		if err != nil {
			t.Fatal(name, err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(b, data) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
		if got := resp.Trailer.Get("X-Sum"); got != strconv.Itoa(len(data)) {
			t.Errorf("%s: trailer %q", name, got)
		}
	}
}

// Events must arrive one by one, each as soon as the upstream has sent it.
func TestStreamIsFlushed(t *testing.T) {
	step := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-step
		}
	}))
	for name, c := range g.clients() {
		resp, err := c.Get("http://" + g.addr + "/")
		if err != nil {
			t.Fatal(name, err)
		}
		r := bufio.NewReader(resp.Body)
		for i := range 3 {
			line, err := r.ReadString('\n')
			if want := fmt.Sprintf("data: %d\n", i); line != want || err != nil {
				t.Fatalf("%s: %q, %v", name, line, err)
			}
			r.ReadString('\n')
			step <- struct{}{}
		}
		resp.Body.Close()
	}
}

// A client that leaves ends the call upstream at once, whether something is being streamed or nothing has come yet.
func TestClientLeaves(t *testing.T) {
	asked, left := make(chan struct{}, 1), make(chan time.Time, 1)
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
		}
		asked <- struct{}{}
		<-r.Context().Done()
		left <- time.Now()
	}))
	for name, c := range g.clients() {
		for _, path := range []string{"/stream", "/silent"} {
			ctx, cancel := context.WithCancel(context.Background())
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+g.addr+path, nil)
			var gone atomic.Pointer[time.Time]
			go func() {
				<-asked
				time.Sleep(50 * time.Millisecond)
				now := time.Now()
				gone.Store(&now)
				cancel()
			}()
			resp, err := c.Do(req)
			if err == nil {
				io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			select {
			case at := <-left:
				t.Logf("%s %s: upstream was told after %v", name, path, at.Sub(*gone.Load()))
			case <-time.After(patience):
				t.Errorf("%s %s: upstream was not told", name, path)
			}
		}
	}
}

// raw sends bytes and returns all that comes back.
func (g *gateway) raw(request string) string {
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	b, _ := io.ReadAll(c)
	return string(b)
}

func TestRefused(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	f := func(request, status string) {
		t.Helper()
		got := g.raw(request)
		line, _, _ := strings.Cut(got, "\r\n")
		if !strings.HasPrefix(line, "HTTP/1.1 "+status) || strings.Count(got, "HTTP/1.1 ") != 1 {
			t.Errorf("%q: got %q, want one answer of status %s", request, got, status)
		}
	}
	const next = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
	f("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"+next, "400")
	f("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\nabcd"+next, "400")
	f("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"+next, "501")
	f("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"+next, "400")
	f("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\nHost: h\r\nX: a\nY: b\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"+next, "400")
	f("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"+next, "400")
	f("GET /a%00 HTTP/1.1\r\nHost: h\r\n\r\n"+next, "400")
	f("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"+next, "400")
	f("GET / HTTP/2.0\r\nHost: h\r\n\r\n"+next, "505")
	f("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"+next, "501")
	f("GET / HTTP/1.1\r\nHost: h\r\nExpect: something\r\nContent-Length: 1\r\n\r\na"+next, "417")
	f("GET / HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("a", 33<<10)+"\r\n\r\n"+next, "431")
	f("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"+next, "400")
	f("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n"+next, "400")
}

func TestLargeHead(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Big", strings.Repeat("b", 60<<10))
		fmt.Fprint(w, len(r.Header.Get("X-Big")))
	}))
	for name, c := range g.clients() {
		req, _ := http.NewRequest("GET", "http://"+g.addr, nil)
		req.Header.Set("X-Big", strings.Repeat("a", 30<<10))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(name, err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != strconv.Itoa(30<<10) || len(resp.Header.Get("X-Big")) != 60<<10 {
			t.Errorf("%s: %d %s, %d", name, resp.StatusCode, b, len(resp.Header.Get("X-Big")))
		}
	}
}

// Requests that follow each other on one connection do not mix, whatever the one before did with its body.
func TestPipelining(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/skip" {
			io.Copy(io.Discard, r.Body)
		}
		io.WriteString(w, "<"+r.URL.Path+">")
	}))
	got := g.raw("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
		"POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
		"HEAD /c HTTP/1.1\r\nHost: h\r\n\r\n" +
		"GET /d HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	for _, want := range []string{"</a>", "</b>", "</d>"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("no %s in %q", want, got)
		}
	}
	if strings.Contains(got, "</c>") || strings.Count(got, "HTTP/1.1 200 OK") != 4 {
		t.Errorf("got %q", got)
	}
}

func TestHTTP10(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "one ")
		w.(http.Flusher).Flush()
		io.WriteString(w, "two")
	}))
	got := g.raw("GET / HTTP/1.0\r\n\r\n")
	if !strings.HasSuffix(got, "\r\n\r\none two") || strings.Contains(got, "chunked") {
		t.Errorf("got %q", got)
	}
}

func TestExpectContinue(t *testing.T) {
	g := start(t, http.HandlerFunc(echo))
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	r := bufio.NewReader(c)
	if line, _ := r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("got %q", line)
	}
	r.ReadString('\n')
	io.WriteString(c, "abc")
	if b, _ := io.ReadAll(r); !strings.HasSuffix(string(b), "POST /? 3") {
		t.Errorf("got %q", b)
	}
}

// An answer that comes before the request body has been read reaches the client, and ends the upload.
func TestEarlyAnswer(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		http.Error(w, "too much", 413)
	}))
	for name, c := range g.clients() {
		pr, pw := io.Pipe()
		go func() {
			for {
				if _, err := pw.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}()
		resp, err := c.Post("http://"+g.addr, "", pr)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		pr.Close()
		if resp.StatusCode != 413 || string(b) != "too much\n" {
			t.Errorf("%s: %d %q", name, resp.StatusCode, b)
		}
	}
}

// An upstream that dies in the middle of a body must not look like a clean end, and its connection is not used again.
func TestUpstreamDies(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "partial")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	for name, c := range g.clients() {
		resp, err := c.Get("http://" + g.addr)
		if err != nil {
			t.Fatal(name, err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil || string(b) != "partial" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestWebSocketUpgrade(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, rw, _ := w.(http.Hijacker).Hijack()
		defer c.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\nhello ", r.Header.Get("Upgrade"))
		rw.Flush()
		io.Copy(c, rw)
	}))
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly ")
	time.Sleep(20 * time.Millisecond)
	io.WriteString(c, "late")
	c.(*net.TCPConn).CloseWrite()
	b, _ := io.ReadAll(c)
	if !strings.Contains(string(b), "Upgrade: websocket\r\n") || !strings.HasSuffix(string(b), "\r\n\r\nhello early late") {
		t.Errorf("got %q", b)
	}
}

// Requests and streams in flight end as they would; new connections are refused.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begin ")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "end")
	}))
	var wg sync.WaitGroup
	for name, c := range g.clients() {
		resp, err := c.Get("http://" + g.addr)
		if err != nil {
			t.Fatal(name, err)
		}
		wg.Go(func() {
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if string(b) != "begin end" || err != nil {
				t.Errorf("%s: %q, %v", name, b, err)
			}
		})
	}
	done := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- g.server.Shutdown(ctx)
	}()
	g.refuses()
	close(release)
	wg.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
