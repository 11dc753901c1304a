package llm

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// TestHTTP2Provider: what holds over HTTP/1.1 holds over HTTP/2.
func TestHTTP2Provider(t *testing.T) {
	left := make(chan time.Time, 10)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		events(roleChunk, "@wait:300ms", textChunk("Hello"), "@wait:300ms", textChunk(" there"), stopChunk, usage, doneMark)(w, r)
		if r.ProtoMajor != 2 {
			t.Errorf("HTTP/%d", r.ProtoMajor)
		}
	})
	srv := httptest.NewUnstartedServer(v.Config.Handler)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, Options{})
	key := xdsv1.BackendKey("ai", "vllm", 80)
	g.clusters.m[key] = upstream.NewCluster(upstream.Config{Key: key, H2: true, Host: u.Hostname(), Port: uint32(port)})
	g.serve(inOrder(g.openAI("a", v, timeouts(50*time.Millisecond, time.Minute, time.Minute), func(p *xdsv1.Provider) {
		p.Endpoint = &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Backend{Backend: key}, Path: "/v1"}
	})))
	r := g.chat(streamed(hello))
	r.want(t, 200, "Hello", " there", doneMark)
	if n := strings.Count(r.body, ": keep-alive"); n < 2 {
		t.Errorf("%d keep-alives:\n%s", n, r.body)
	}
	v.play(func(w http.ResponseWriter, r *http.Request) {
		events(roleChunk, textChunk("Hello"), "@hang")(w, r)
		left <- time.Now()
	})
	leave(t, g, left, 1)
	v.play(events(roleChunk, textChunk("Hello"), "@cut"))
	r = g.chat(streamed(hello))
	r.want(t, 200, "Hello", `data: {"error":`)
	r.lacks(t, doneMark)
	v.play(status(429, "Retry-After", "3"))
	g.chat(streamed(hello)).want(t, 429)
	v.play(jsonBody(completed))
	g.chat(hello).want(t, 200, "Hello there")
}
