package authz

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// counted notes results.
type counted struct {
	mu      sync.Mutex
	results []string
}

func (c *counted) Asked(result string, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, result)
}

// newFilter makes a filter of a message in text form, which asks at addr.
func newFilter(t testing.TB, addr, text string) (*Filter, *counted) {
	t.Helper()
	m := &xdsv1.ExternalAuth{}
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(addr)
	p, _ := strconv.Atoi(port)
	cl := upstream.NewCluster(upstream.Config{Name: "a/authz:80", Host: host, Port: uint32(p), H2: m.GetGrpc(), ConnectTimeout: time.Minute})
	t.Cleanup(cl.Close)
	c := &counted{}
	return New(m, Options{Cluster: cl, Meter: c}), c
}

// overHTTPServer starts an authorization server of HTTP.
func overHTTPServer(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// checker is an authorization server of gRPC.
type checker struct {
	authv3.UnimplementedAuthorizationServer
	check func(*authv3.CheckRequest) (*authv3.CheckResponse, error)
}

func (c *checker) Check(_ context.Context, r *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return c.check(r)
}

func overGRPCServer(t testing.TB, check func(*authv3.CheckRequest) (*authv3.CheckResponse, error)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, &checker{check: check})
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(ln) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return ln.Addr().String()
}

// answering is a server that gives one answer, in text form.
func answering(t testing.TB, text string) string {
	t.Helper()
	m := &authv3.CheckResponse{}
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return overGRPCServer(t, func(*authv3.CheckRequest) (*authv3.CheckResponse, error) { return m, nil })
}

// request makes an exchange for example.com; body is a stream where it is not empty.
func request(t testing.TB, method, target, body string, head ...string) *exchange.Exchange {
	x := exchange.Acquire(context.Background(), nil)
	t.Cleanup(func() { x.RespBody.Close(); exchange.Release(x) })
	x.Start, x.Proto, x.Minor, x.Scheme = time.Now(), 1, 1, "http"
	x.Client, x.Local = netip.MustParseAddrPort("192.0.2.1:1234"), netip.MustParseAddrPort("192.0.2.9:80")
	x.Req.SetMethod(method)
	x.Req.SetHost("example.com")
	var query string
	target, query, x.HasQuery = strings.Cut(target, "?")
	x.Path, x.Query = append(x.Path, target...), append(x.Query, query...)
	if body != "" {
		x.ReqBody = exchange.StreamBody(&stream{text: body}, int64(len(body)))
		x.Req.SetContentLength(len(body))
	}
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		x.Req.Add(name, value)
	}
	return x
}

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

// passes runs a filter that has to let a request pass.
func passes(t testing.TB, f *Filter, x *exchange.Exchange) {
	t.Helper()
	if f.OnRequest(x) != filter.Continue {
		t.Fatalf("refused: %d %s %s", x.Resp.StatusCode(), x.Note, x.RespBody.Bytes)
	}
}

// refuses runs a filter that has to refuse with a status.
func refuses(t testing.TB, f *Filter, x *exchange.Exchange, status int) string {
	t.Helper()
	if f.OnRequest(x) != filter.Reply || x.Resp.StatusCode() != status {
		t.Fatalf("status %d, want %d: %s", x.Resp.StatusCode(), status, x.Note)
	}
	return string(x.RespBody.Bytes)
}

func all(h filter.Header, name string) string {
	var s []string
	for key, v := range h.All() {
		if string(key) == name {
			s = append(s, string(v))
		}
	}
	return strings.Join(s, "|")
}

func has(t testing.TB, h filter.Header, name, want string) {
	t.Helper()
	if got := all(h, name); got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}
