package upstream

import (
	"net"
	"net/http"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// A response that ends with its head has no body: a gRPC call that fails at once is answered by the head alone.
func TestResponsesThatEndWithTheirHeadHaveNoBody(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Grpc-Status", "5")
		w.Header()["Content-Length"] = nil // not 0 of net/http's own accord
		if r.URL.Path == "/body" {
			http.NewResponseController(w).Flush()
		}
	})}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(ln)
	defer srv.Close()
	addr := ln.Addr().(*net.TCPAddr)
	c := NewCluster(Config{Key: "test", Name: "test", H2: true, Host: addr.IP.String(), Port: uint32(addr.Port)})
	defer c.Close()

	f := func(path string, body bool) {
		t.Helper()
		x := exchange.Acquire(t.Context(), nil)
		defer exchange.Release(x)
		var header fasthttp.RequestHeader
		call := &Call{Method: []byte("POST"), Path: []byte(path), Host: []byte("h"), Header: &header, Resp: &x.Resp, RespTrailer: &x.RespTrailer}
		if err := c.Do(x, call); err != nil {
			t.Fatal(err)
		}
		defer call.RespBody.Close()
		if got := call.RespBody.Stream != nil; got != body {
			t.Errorf("%s: a body %t, want %t", path, got, body)
		}
		if s := string(x.Resp.Peek("Grpc-Status")); s != "5" {
			t.Errorf("%s: grpc-status %q", path, s)
		}
	}
	f("/head", false)
	f("/body", true)
}
