package simulator

import (
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// chatRequest is a context that Handler can answer again and again.
func chatRequest(body string) *fasthttp.RequestCtx {
	ctx := new(fasthttp.RequestCtx)
	ctx.Request.Header.SetMethod(fasthttp.MethodPost)
	ctx.Request.SetRequestURI("/v1/chat/completions")
	ctx.Request.Header.SetContentType("application/json")
	ctx.Request.Header.Set("Authorization", "Bearer some-key")
	ctx.Request.SetBodyString(body)
	return ctx
}

func BenchmarkChat(b *testing.B) {
	f := func(name, content string) {
		b.Run(name, func(b *testing.B) {
			serve := New(Options{}).Handler()
			ctx := chatRequest(strings.Replace(hello, "Hi there", content, 1))
			b.SetBytes(int64(len(ctx.Request.Body())))
			b.ReportAllocs()
			for b.Loop() {
				serve(ctx)
			}
		})
	}
	f("short", "Hi there")
	f("32KiB", strings.Repeat("some words of a prompt, ", 32<<10/24))
	f("100tokens", "Hi [[simulate: tokens=100]]")
}

// BenchmarkSocket is a whole exchange over a connection: what a load test spends on its upstream and its client.
func BenchmarkSocket(b *testing.B) {
	f := func(name, body string) {
		b.Run(name, func(b *testing.B) {
			_, url := start(b, Options{})
			client := fasthttp.HostClient{Addr: strings.TrimPrefix(url, "http://"), Dial: func(addr string) (net.Conn, error) {
				return net.Dial("tcp", addr)
			}}
			defer client.CloseIdleConnections()
			var req fasthttp.Request
			var resp fasthttp.Response
			chatRequest(body).Request.CopyTo(&req)
			req.SetRequestURI(url + chatPath)
			b.ReportAllocs()
			for b.Loop() {
				if err := client.Do(&req, &resp); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("answer", hello)
	f("stream", streamed)
}
