package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway"
	"github.com/nantian-gw/nantian/gateway/config"
)

var (
	listener = xdsv1.ListenerKey("default", "gw", "http")
	route    = xdsv1.RouteKey(xdsv1.RouteHTTP, "default", "shop")
	backends = []string{xdsv1.BackendKey("default", "blue", 80), xdsv1.BackendKey("default", "green", 80)}
)

// pods are servers that tell their names, by backend.
type pods map[string][]*xdsv1.Endpoint

func newPods(t *testing.T) pods {
	p := pods{}
	for _, b := range backends {
		for i := range 3 {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "%s %d", b, i) }))
			t.Cleanup(s.Close)
			a := s.Listener.Addr().(*net.TCPAddr)
			p[b] = append(p[b], &xdsv1.Endpoint{Address: a.IP.String(), Port: uint32(a.Port)})
		}
	}
	return p
}

// replica starts a gateway and returns its URL.
func replica(t *testing.T, p pods, s *xdsv1.SessionPersistence, key string) (url string, g *gateway.Gateway) {
	return replicaWith(t, p, s, nil, key)
}

// replicaWith has sessions of the rule, or of each backend.
func replicaWith(t *testing.T, p pods, s, own *xdsv1.SessionPersistence, key string) (url string, g *gateway.Gateway) {
	g, err := gateway.New(gateway.Options{Bind: "127.0.0.1", SessionKey: []byte(key)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Shutdown(context.Background()) })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint32(ln.Addr().(*net.TCPAddr).Port)
	ln.Close()
	rule := &xdsv1.HTTPRule{SessionPersistence: s}
	u := config.Update{Full: true, Endpoints: map[string]*xdsv1.Endpoints{}, Set: map[string]*xdsv1.Resource{
		listener: {Kind: &xdsv1.Resource_Listener{Listener: &xdsv1.Listener{Key: listener, Gateway: "default/gw", Name: "http", Port: port, Protocol: xdsv1.Protocol_HTTP}}},
		route: {Kind: &xdsv1.Resource_Route{Route: &xdsv1.Route{Key: route, Namespace: "default", Name: "shop",
			Parents: []*xdsv1.Parent{{Listener: listener}}, Rules: &xdsv1.Route_Http{Http: &xdsv1.HTTPRules{Rules: []*xdsv1.HTTPRule{rule}}}}}},
	}}
	for _, b := range backends {
		rule.Backends = append(rule.Backends, &xdsv1.WeightedBackend{Weight: 1, Target: &xdsv1.WeightedBackend_Backend{Backend: b}})
		u.Set[b] = &xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{Key: b, Protocol: xdsv1.BackendProtocol_HTTP1, LoadBalancing: &xdsv1.LoadBalancing{SessionPersistence: own}, Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}}}}}
		u.Endpoints[b] = &xdsv1.Endpoints{Key: b, Endpoints: p[b]}
	}
	if err := g.Apply(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d/", port), g
}

func get(t *testing.T, url, header, value string) (body string, resp *http.Response) {
	t.Helper()
	req, _ := http.NewRequest("GET", url, nil)
	if value != "" {
		req.Header.Set(header, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b), resp
}

const key = "a key that replicas share"

func TestSessionsStayAtBackendAndEndpoint(t *testing.T) {
	p := newPods(t)
	cookies := &xdsv1.SessionPersistence{Kind: xdsv1.SessionPersistence_COOKIE, Name: "sid", AbsoluteTimeout: durationpb.New(time.Hour), Permanent: true}
	one, _ := replica(t, p, cookies, key)
	two, _ := replica(t, p, cookies, key)
	other, _ := replica(t, p, cookies, "another key than they have")
	first, resp := get(t, one, "", "")
	set := resp.Header.Get("Set-Cookie")
	if !strings.HasPrefix(set, "sid=") || !strings.HasSuffix(set, "; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600") {
		t.Fatalf("Set-Cookie: %s", set)
	}
	cookie, _, _ := strings.Cut(set, ";")
	for range 20 {
		for _, url := range []string{one, two} {
			body, resp := get(t, url, "Cookie", "theme=dark; "+cookie)
			if body != first || resp.Header.Get("Set-Cookie") != "" {
				t.Fatalf("%s after %s, Set-Cookie %q", body, first, resp.Header.Get("Set-Cookie"))
			}
		}
	}
	for _, bad := range []string{cookie + "A", strings.Replace(cookie, "sid=", "sid=A", 1), "sid=", "sid=!"} {
		if _, resp := get(t, one, "Cookie", bad); resp.Header.Get("Set-Cookie") == "" {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, resp := get(t, other, "Cookie", cookie); resp.Header.Get("Set-Cookie") == "" {
		t.Error("a token of another key is taken")
	}
}

func TestSessionsOfBackends(t *testing.T) {
	p := newPods(t)
	url, _ := replicaWith(t, p, nil, &xdsv1.SessionPersistence{Kind: xdsv1.SessionPersistence_COOKIE}, key)
	cookies, at := map[string]string{}, map[string]string{}
	for range 60 {
		var all []string
		for _, c := range cookies {
			all = append(all, c)
		}
		body, resp := get(t, url, "Cookie", strings.Join(all, "; "))
		b, _, _ := strings.Cut(body, " ")
		if set, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";"); set != "" {
			if cookies[b] != "" {
				t.Fatalf("another cookie of %s", b)
			}
			cookies[b], at[b] = set, body
		}
		if at[b] != body {
			t.Fatalf("%s after %s", body, at[b])
		}
	}
	if len(cookies) != 2 {
		t.Errorf("%d cookies of two backends", len(cookies))
	}
}

func TestSessionsInHeaders(t *testing.T) {
	p := newPods(t)
	url, _ := replica(t, p, &xdsv1.SessionPersistence{Kind: xdsv1.SessionPersistence_HEADER, Name: "X-Session"}, key)
	first, resp := get(t, url, "", "")
	token := resp.Header.Get("X-Session")
	if token == "" || resp.Header.Get("Set-Cookie") != "" {
		t.Fatal(resp.Header)
	}
	for range 20 {
		if body, _ := get(t, url, "X-Session", token); body != first {
			t.Fatalf("%s after %s", body, first)
		}
	}
}

func TestSessionsOfEndpointsThatAreGoneMove(t *testing.T) {
	p := newPods(t)
	url, g := replica(t, p, &xdsv1.SessionPersistence{Kind: xdsv1.SessionPersistence_COOKIE}, key)
	first, resp := get(t, url, "", "")
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(cookie, "nantian-session-") {
		t.Errorf("the cookie is %s", cookie)
	}
	b, n, _ := strings.Cut(first, " ")
	left := append(append([]*xdsv1.Endpoint(nil), p[b][:n[0]-'0']...), p[b][n[0]-'0'+1:]...)
	if err := g.Apply(context.Background(), config.Update{Endpoints: map[string]*xdsv1.Endpoints{b: {Key: b, Endpoints: left}}}); err != nil {
		t.Fatal(err)
	}
	second, resp := get(t, url, "Cookie", cookie)
	if second == first || !strings.HasPrefix(second, b+" ") || resp.Header.Get("Set-Cookie") == "" {
		t.Errorf("%s after %s, Set-Cookie %q", second, first, resp.Header.Get("Set-Cookie"))
	}
}

func TestKeysOfSessionsAreLong(t *testing.T) {
	if _, err := gateway.New(gateway.Options{SessionKey: []byte("short")}); err == nil {
		t.Error("a short key is taken")
	}
}
