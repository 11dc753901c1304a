package forward

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// backend answers its n-th request, from 1 on, as play says.
func backend(t *testing.T, play func(n int64, w http.ResponseWriter, r *http.Request)) *upstream.Cluster {
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { play(n.Add(1), w, r) }))
	t.Cleanup(srv.Close)
	return cluster(t, srv.Listener.Addr().String())
}

func cluster(t *testing.T, addr string) *upstream.Cluster {
	host, port, _ := net.SplitHostPort(addr)
	p, _ := strconv.Atoi(port)
	c := upstream.NewCluster(upstream.Config{Host: host, Port: uint32(p), ConnectTimeout: time.Minute})
	t.Cleanup(c.Close)
	return c
}

// stream is a request body of one piece.
type stream struct{ text string }

func (s *stream) Next() ([]byte, error) {
	if s.text == "" {
		return nil, io.EOF
	}
	b := []byte(s.text)
	s.text = ""
	return b, nil
}

func (s *stream) Close() error { return nil }

func request(t *testing.T, method, body string) *exchange.Exchange {
	x := exchange.Acquire(context.Background(), nil)
	t.Cleanup(func() { x.RespBody.Close(); exchange.Release(x) })
	x.Start, x.Proto, x.Minor, x.Scheme = time.Now(), 1, 1, "http"
	x.Client = netip.MustParseAddrPort("192.0.2.1:1234")
	x.Req.SetMethod(method)
	x.Req.SetHost("example.com")
	x.Path = append(x.Path, "/"...)
	if body != "" {
		x.ReqBody = exchange.StreamBody(&stream{body}, int64(len(body)))
	}
	return x
}

func content(t *testing.T, x *exchange.Exchange) string {
	t.Helper()
	if x.RespBody.Stream == nil {
		return string(x.RespBody.Bytes)
	}
	b, err := exchange.AppendStream(nil, &x.RespBody, 1<<20)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestRetry(t *testing.T) {
	f := func(method, body string, fails int64, o Options, status, asked int) {
		t.Helper()
		var n atomic.Int64
		o.Cluster = backend(t, func(k int64, w http.ResponseWriter, r *http.Request) {
			n.Store(k)
			b, _ := io.ReadAll(r.Body)
			if string(b) != body {
				t.Errorf("%s, attempt %d: body %q", method, k, b)
			}
			if k <= fails {
				w.WriteHeader(503)
			}
			io.WriteString(w, "answer")
		})
		x := request(t, method, body)
		x.Deadline = x.Start.Add(time.Minute)
		New(o).Serve(x)
		if got := x.Resp.StatusCode(); got != status || n.Load() != int64(asked) || content(t, x) != "answer" {
			t.Errorf("%s of %d bytes, %d failures: %d after %d attempts", method, len(body), fails, got, n.Load())
		}
	}
	three := Options{Retry: Retry{Attempts: 3, Codes: map[int]bool{503: true}, Backoff: time.Millisecond}}
	f("GET", "", 0, three, 200, 1)
	f("GET", "", 2, three, 200, 3)
	f("GET", "", 9, three, 503, 4)
	f("POST", "body", 2, three, 200, 3)
	f("POST", strings.Repeat("x", maxRetryBody+1), 9, three, 503, 1) // larger than what is kept
	f("GET", "", 9, Options{}, 503, 1)
	hour := Options{Retry: Retry{Attempts: 9, Codes: map[int]bool{503: true}, Backoff: time.Hour}}
	f("GET", "", 9, hour, 503, 1) // there is no time for that
}

func TestRetriesBeyondTheBudget(t *testing.T) {
	var n atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		w.WriteHeader(500)
	}))
	t.Cleanup(srv.Close)
	a := srv.Listener.Addr().(*net.TCPAddr)
	hour := durationpb.New(time.Hour)
	c := upstream.NewCluster(upstream.Config{Host: "127.0.0.1", Port: uint32(a.Port), LoadBalancing: &xdsv1.LoadBalancing{
		RetryBudget: &xdsv1.RetryBudget{Interval: hour, MinRetries: 1, MinInterval: hour},
	}})
	t.Cleanup(c.Close)
	x := request(t, "GET", "")
	New(Options{Cluster: c, Retry: Retry{Attempts: 5, Codes: map[int]bool{500: true}}}).Serve(x)
	if status := x.Resp.StatusCode(); status != 503 || n.Load() != 2 || x.Note != "upstream: overflow" {
		t.Errorf("%d after %d attempts, %q", status, n.Load(), x.Note)
	}
}

func TestFailures(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	f := func(o Options, status int, grpc string) {
		t.Helper()
		for _, asGRPC := range []bool{false, true} {
			o.GRPC = asGRPC
			x := request(t, "GET", "")
			New(o).Serve(x)
			got, code := x.Resp.StatusCode(), string(x.Resp.Peek("Grpc-Status"))
			if !asGRPC && got != status || asGRPC && (got != 200 || code != grpc) {
				t.Errorf("grpc %v: %d, grpc-status %q", asGRPC, got, code)
			}
			if strings.Contains(string(x.RespBody.Bytes), "127.0.0.1") || !strings.HasPrefix(x.Note, "upstream: ") {
				t.Errorf("the answer names an address, or the note is missing: %q, %q", x.RespBody.Bytes, x.Note)
			}
		}
	}
	none := upstream.NewCluster(upstream.Config{})
	f(Options{Cluster: none}, 503, "14")
	f(Options{Cluster: cluster(t, closed.Addr().String())}, 503, "14")
	silent := backend(t, func(_ int64, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	f(Options{Cluster: silent, BackendTimeout: 50 * time.Millisecond}, 504, "4")
	f(Options{Cluster: backend(t, func(int64, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })}, 502, "14")
	f(Options{Cluster: backend(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n")
		c.Close()
	})}, 502, "13")
}

// Each attempt has its own time, and all of them together the request's.
func TestBackendTimeoutIsRetried(t *testing.T) {
	t.Parallel()
	c := backend(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			<-r.Context().Done()
		}
		io.WriteString(w, "second")
	})
	x := request(t, "GET", "")
	New(Options{Cluster: c, BackendTimeout: 4 * time.Second, Retry: Retry{Attempts: 1}}).Serve(x)
	if got := content(t, x); got != "second" {
		t.Errorf("%d %q", x.Resp.StatusCode(), got)
	}
}

func TestForwardedFor(t *testing.T) {
	got := make(chan http.Header, 1)
	c := backend(t, func(_ int64, _ http.ResponseWriter, r *http.Request) { got <- r.Header })
	var trusted exchange.Proxies
	h := New(Options{Cluster: c, Forwarded: Forwarded{Trusted: &trusted}})
	f := func(wantFor, wantProto, wantHost string) {
		t.Helper()
		x := request(t, "GET", "")
		x.Req.Add("X-Forwarded-For", "a")
		x.Req.Add("X-Forwarded-For", "b")
		x.Req.Add("X-Forwarded-Proto", "https")
		x.Req.Add("X-Forwarded-Host", "outer")
		h.Serve(x)
		head := <-got
		for name, want := range map[string]string{"X-Forwarded-For": wantFor, "X-Forwarded-Proto": wantProto, "X-Forwarded-Host": wantHost} {
			if v := head.Values(name); len(v) != 1 || v[0] != want {
				t.Errorf("%s is %q, want %q", name, v, want)
			}
		}
	}
	f("192.0.2.1", "http", "example.com")
	trusted.Set([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	f("a, b, 192.0.2.1", "https", "outer")
	trusted.Set([]netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")})
	f("192.0.2.1", "http", "example.com")
}

// A limit of requests in flight counts a stream until its end.
func TestInFlightUntilTheEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na")
		}
	}()
	a := ln.Addr().(*net.TCPAddr)
	c := upstream.NewCluster(upstream.Config{Host: "127.0.0.1", Port: uint32(a.Port), LoadBalancing: &xdsv1.LoadBalancing{MaxInFlight: 1}})
	t.Cleanup(c.Close)
	h := New(Options{Cluster: c})
	f := func(want int) *exchange.Exchange {
		t.Helper()
		x := request(t, "GET", "")
		if h.Serve(x); x.Resp.StatusCode() != want {
			t.Errorf("%d, want %d", x.Resp.StatusCode(), want)
		}
		return x
	}
	first := f(200)
	f(503)
	first.RespBody.Close()
	f(200)
}
