package simulator

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// maxChatAllocs bounds the allocations of an answer that is not streamed: the identifier's buffer.
const maxChatAllocs = 2

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

func TestChatAllocations(t *testing.T) {
	serve := New(Options{}).Handler()
	ctx := chatRequest(hello)
	if n := testing.AllocsPerRun(200, func() { serve(ctx) }); n > maxChatAllocs {
		t.Errorf("%v allocations for an answer, want at most %d", n, maxChatAllocs)
	}
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
