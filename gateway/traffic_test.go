package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway"
	"github.com/nantian-gw/nantian/gateway/config"
)

// bounded starts a gateway with RoutePolicies, by key, in front of a service; its rule is called "shop".
func bounded(t *testing.T, service http.HandlerFunc, policies map[string]*xdsv1.Policy) (url string, g *gateway.Gateway) {
	t.Helper()
	s := httptest.NewServer(service)
	t.Cleanup(s.Close)
	at := s.Listener.Addr().(*net.TCPAddr)
	url, g = replica(t, pods{}, nil, key)
	update := config.Update{Set: map[string]*xdsv1.Resource{}, Endpoints: map[string]*xdsv1.Endpoints{}}
	for _, b := range backends {
		update.Endpoints[b] = &xdsv1.Endpoints{Key: b, Endpoints: []*xdsv1.Endpoint{{Address: at.IP.String(), Port: uint32(at.Port)}}}
	}
	for k, p := range policies {
		p.Key, p.Namespace, p.Name = k, "default", k[strings.LastIndexByte(k, '/')+1:]
		update.Set[k] = &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}}
	}
	if err := g.Apply(context.Background(), update); err != nil {
		t.Fatal(err)
	}
	return url, g
}

func trafficAt(target string, m *xdsv1.Traffic) *xdsv1.Policy {
	return &xdsv1.Policy{Targets: []*xdsv1.Target{{Key: target, Gateway: target == listener}}, Kind: &xdsv1.Policy_Traffic{Traffic: m}}
}

func echoLength(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d bytes, length %d", len(b), r.ContentLength)
}

func do(t *testing.T, method, url string, body io.Reader, header ...string) (status int, text string, h http.Header) {
	t.Helper()
	req, _ := http.NewRequest(method, url, body)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), resp.Header
}

func TestRequestSizes(t *testing.T) {
	url, _ := bounded(t, echoLength, map[string]*xdsv1.Policy{
		"policy/route/default/sizes": trafficAt(listener, &xdsv1.Traffic{MaxRequestBody: proto.Uint64(1000), MaxRequestHead: 2000}),
	})
	f := func(status int, want string, body io.Reader, header ...string) {
		t.Helper()
		got, text, _ := do(t, "POST", url, body, header...)
		if got != status || !strings.Contains(text, want) {
			t.Errorf("%d %s; want %d with %q", got, text, status, want)
		}
	}
	text := strings.Repeat("x", 1001)
	const large = "the request body is larger than RoutePolicy default/sizes allows, 1000 bytes"
	f(200, "1000 bytes, length 1000", strings.NewReader(text[1:]))
	f(413, large, strings.NewReader(text))
	f(200, "1000 bytes, length -1", chunked(text[1:]))
	f(413, large, chunked(text))
	f(413, large, chunked(strings.Repeat("x", 1<<20)))
	f(431, "the request head is larger than RoutePolicy default/sizes allows, 2000 bytes", nil, "X-Long", strings.Repeat("x", 2000))
	f(200, "0 bytes", nil, "X-Long", strings.Repeat("x", 1500))
}

// chunked is a body whose length net/http does not tell.
func chunked(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }

func TestBufferedRequests(t *testing.T) {
	url, _ := bounded(t, echoLength, map[string]*xdsv1.Policy{
		"policy/route/default/whole": trafficAt(route, &xdsv1.Traffic{BufferRequest: true, MaxRequestBody: proto.Uint64(1 << 20)}),
	})
	if _, text, _ := do(t, "POST", url, chunked("hello")); text != "5 bytes, length 5" {
		t.Error("the backend got", text)
	}
	if status, text, _ := do(t, "POST", url, chunked(strings.Repeat("x", 1<<20+1))); status != 413 {
		t.Error(status, text)
	}
}

// The narrowest policy holds as a whole: what a wider one says beside it does not.
func TestNarrowestPolicyHolds(t *testing.T) {
	url, g := bounded(t, echoLength, map[string]*xdsv1.Policy{
		"policy/route/default/wide":   trafficAt(listener, &xdsv1.Traffic{MaxRequestBody: proto.Uint64(10), MaxRequestHead: 1000}),
		"policy/route/default/narrow": trafficAt(route, &xdsv1.Traffic{MaxRequestBody: proto.Uint64(20)}),
	})
	if status, text, _ := do(t, "POST", url, strings.NewReader(strings.Repeat("x", 15)), "X-Long", strings.Repeat("x", 2000)); status != 200 {
		t.Error(status, text)
	}
	if status, _, _ := do(t, "POST", url, strings.NewReader(strings.Repeat("x", 21))); status != 413 {
		t.Error(status)
	}
	if err := g.Apply(context.Background(), config.Update{Removed: []string{"policy/route/default/narrow"}}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := do(t, "POST", url, strings.NewReader(strings.Repeat("x", 15))); status != 413 {
		t.Error("the wider policy does not hold when the narrower one is gone:", status)
	}
}

func TestTrafficTimeouts(t *testing.T) {
	stop := make(chan struct{})
	service := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/pause" {
			io.WriteString(w, "first")
			w.(http.Flusher).Flush()
		}
		<-stop
	}
	url, g := bounded(t, service, map[string]*xdsv1.Policy{
		"policy/route/default/times": trafficAt(route, &xdsv1.Traffic{RequestTimeout: durationpb.New(300 * time.Millisecond)}),
	})
	t.Cleanup(func() { close(stop) })
	if status, text, _ := do(t, "GET", url, nil); status != 504 {
		t.Error(status, text)
	}
	p := trafficAt(route, &xdsv1.Traffic{IdleTimeout: durationpb.New(300 * time.Millisecond)})
	p.Key = "policy/route/default/times"
	if err := g.Apply(context.Background(), config.Update{Set: map[string]*xdsv1.Resource{p.Key: {Kind: &xdsv1.Resource_Policy{Policy: p}}}}); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(url + "pause")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err == nil || string(b) != "first" {
		t.Errorf("an answer that pauses for ever ended with %q, %v", b, err)
	}
}

func TestConnectionsEnd(t *testing.T) {
	url, _ := bounded(t, echoLength, map[string]*xdsv1.Policy{
		"policy/route/default/life": trafficAt(listener, &xdsv1.Traffic{ConnectionRequests: 3}),
	})
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for n := 1; n <= 3; n++ {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.Close != (n == 3) {
			t.Errorf("response %d closes: %t", n, resp.Close)
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		t.Error("the connection is open after the last response:", err)
	}
	h2 := &http.Client{Transport: &http.Transport{Protocols: unencryptedHTTP2()}}
	seen := map[string]bool{}
	for range 9 {
		var used string
		req, _ := http.NewRequest("GET", url, nil)
		resp, err := h2.Do(req.WithContext(traced(&used)))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		seen[used] = true
	}
	if len(seen) < 3 {
		t.Errorf("9 requests over HTTP/2 took %d connections", len(seen))
	}
}

func TestRequestRates(t *testing.T) {
	url, g := bounded(t, echoLength, map[string]*xdsv1.Policy{
		"policy/route/default/rates": trafficAt(listener, &xdsv1.Traffic{Requests: &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{{
			Name: "hour", Unit: xdsv1.LimitUnit_REQUESTS, Limit: 2, Window: &xdsv1.Limit_Sliding{Sliding: durationpb.New(time.Hour)},
			Key: []*xdsv1.LimitKey{{Source: xdsv1.LimitKey_HEADER, Name: "X-Team"}},
		}}}}),
	})
	for _, team := range []string{"a", "b"} {
		for n := range 3 {
			status, text, h := do(t, "GET", url, nil, "X-Team", team)
			if n < 2 && status != 200 {
				t.Fatal(status, text)
			}
			if n < 2 {
				continue
			}
			if status != 429 || !strings.Contains(text, `limit "hour" of RoutePolicy default/rates: 0 requests of 2 requests per 1h`) {
				t.Errorf("%d %s", status, text)
			}
			if h.Get("Retry-After") == "" || h.Get("X-Ratelimit-Limit") != "2" || h.Get("X-Ratelimit-Remaining") != "0" {
				t.Errorf("%v", h)
			}
		}
	}
	req, _ := http.NewRequest("POST", url+"shop.Cart/Get", strings.NewReader("\x00\x00\x00\x00\x00"))
	req.Header = http.Header{"X-Team": {"a"}, "Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	resp, err := (&http.Transport{Protocols: unencryptedHTTP2()}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if got := resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status"); resp.StatusCode != 200 || got != "8" {
		t.Errorf("gRPC is told %d %v %v", resp.StatusCode, resp.Header, resp.Trailer)
	}
	rec := httptest.NewRecorder()
	g.Admin().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if !strings.Contains(rec.Body.String(), `policy="default/rates"`) {
		t.Error("no metric tells of the limit")
	}
}

func TestIdleConnections(t *testing.T) {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { service.Close() })
	at := service.Addr().(*net.TCPAddr)
	_, g := bounded(t, echoLength, nil)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	tcp, db, policy, shop := xdsv1.ListenerKey("default", "gw", "tcp"), xdsv1.RouteKey(xdsv1.RouteTCP, "default", "db"), "policy/route/default/idle", backends[0]
	p := trafficAt(db, &xdsv1.Traffic{IdleTimeout: durationpb.New(200 * time.Millisecond)})
	p.Key = policy
	u := config.Update{Set: map[string]*xdsv1.Resource{
		policy: {Kind: &xdsv1.Resource_Policy{Policy: p}},
		tcp:    {Kind: &xdsv1.Resource_Listener{Listener: &xdsv1.Listener{Key: tcp, Gateway: "default/gw", Name: "tcp", Port: uint32(port), Protocol: xdsv1.Protocol_TCP}}},
		db: {Kind: &xdsv1.Resource_Route{Route: &xdsv1.Route{Key: db, Namespace: "default", Name: "db", Parents: []*xdsv1.Parent{{Listener: tcp}},
			Rules: &xdsv1.Route_L4{L4: &xdsv1.L4Rules{Backends: []*xdsv1.WeightedBackend{{Weight: 1, Target: &xdsv1.WeightedBackend_Backend{Backend: shop}}}}}}}},
	}, Endpoints: map[string]*xdsv1.Endpoints{shop: {Key: shop, Endpoints: []*xdsv1.Endpoint{{Address: at.IP.String(), Port: uint32(at.Port)}}}}}
	if err := g.Apply(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(time.Minute)) // an hour without the policy
	if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Error("a silent connection ended with", err)
	}
}

// A policy that cannot be run closes what it targets.
func TestInvalidTrafficCloses(t *testing.T) {
	url, _ := bounded(t, echoLength, map[string]*xdsv1.Policy{
		"policy/route/default/broken": {Targets: []*xdsv1.Target{{Key: route}}, Kind: &xdsv1.Policy_Invalid{Invalid: "it is broken"}},
	})
	if status, text, _ := do(t, "GET", url, nil); status != 503 || strings.Contains(text, "broken") {
		t.Error(status, text)
	}
}

func unencryptedHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// traced notes the local address of the connection that a request takes.
func traced(used *string) context.Context {
	return httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { *used = i.Conn.LocalAddr().String() }})
}
