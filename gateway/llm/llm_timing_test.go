package llm

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/guard"
	"github.com/nantian-gw/nantian/promptguard"
)

// endless is a body that repeats one piece.
type endless struct{ piece []byte }

func (e endless) Next() ([]byte, error) { return e.piece, nil }
func (e endless) Close() error          { return nil }
func (e endless) SetDeadline(time.Time) {}

// midway is a stream whose provider sends the same chunk for ever.
func midway(tb testing.TB, client ai.Dialect, bypass ai.Bypass) *stream {
	g := newGateway(tb, Options{})
	p := g.provider("a", xdsv1.Schema_OPENAI, "http://127.0.0.1:1/v1")
	g.serve(inOrder(p))
	h := g.handler.(*Handler)
	c := h.newCall(request("POST", "/v1/chat/completions", ""))
	c.ax.Client, c.ax.Op = client, ai.OpChat
	c.route, _ = h.models.find("smart")
	c.target, c.bypass = c.route.tiers[0][0], bypass
	c.ax.Target = ai.Target{Provider: openai.Provider{}, Model: "gpt-4o"}
	s := &stream{call: c, pipe: pipes.Get().(*pipe), state: frames, quiet: time.Now(), last: time.Now()}
	s.dec, s.enc = openai.Provider{}.NewStream(&c.ax), client.NewEncoder(&c.ax)
	s.tally.reset(tokens.ForModel("gpt-4o"))
	s.src.reset(exchange.StreamBody(endless{[]byte(textChunk(" word") + "\n\n")}, -1), ai.SSE)
	s.began = time.Now()
	for range 2000 { // so that buffers have grown and the vocabulary is there
		if _, err := s.Next(); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// guardedMidway is midway under all detectors.
func guardedMidway(tb testing.TB, client ai.Dialect, bypass ai.Bypass) *stream {
	s := midway(tb, client, bypass)
	p := &xdsv1.Policy{Key: "policy/guard/ai/p", Namespace: "ai", Name: "p", Kind: &xdsv1.Policy_PromptGuard{PromptGuard: &xdsv1.PromptGuard{
		Rules: []*xdsv1.GuardRule{restoring("all", promptguard.Builtins()...)},
	}}}
	c := &s.h.llm.guards
	st, err := c.Stage(guard.Response, []*xdsv1.Policy{p}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	s.guard = c.Session()
	s.shield = s.guard.Stream(tb.Context(), st, client.Schema())
	for range 2000 {
		if _, err := s.Next(); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func TestEventsDoNotAllocate(t *testing.T) {
	f := func(name string, s *stream) {
		t.Helper()
		if n := testing.AllocsPerRun(1000, func() { s.Next() }); n > 0 {
			t.Errorf("%s: %v allocations an event", name, n)
		}
	}
	f("forwarded", midway(t, openai.Dialect{}, openai.Provider{}))
	f("translated", midway(t, anthropic.Dialect{}, nil))
	f("guarded", guardedMidway(t, openai.Dialect{}, openai.Provider{}))
	f("translated and guarded", guardedMidway(t, anthropic.Dialect{}, nil))
}

func BenchmarkEvent(b *testing.B) {
	f := func(name string, client ai.Dialect, bypass ai.Bypass) {
		b.Run(name, func(b *testing.B) {
			s := midway(b, client, bypass)
			b.ReportAllocs()
			for b.Loop() {
				s.Next()
			}
		})
	}
	f("forwarded", openai.Dialect{}, openai.Provider{})
	f("translated", anthropic.Dialect{}, nil)
	b.Run("guarded", func(b *testing.B) {
		s := guardedMidway(b, openai.Dialect{}, openai.Provider{})
		b.ReportAllocs()
		for b.Loop() {
			s.Next()
		}
	})
}

// BenchmarkGuardedRequest is a request of 32 KiB through all detectors, and what its body costs without.
func BenchmarkGuardedRequest(b *testing.B) {
	words := strings.Repeat("All of this is what somebody says who wants to know something of no interest. ", 52)
	message := `{"role":"user","content":"` + words + `"}`
	body := `{"model":"smart","messages":[` + strings.Repeat(message+",", 7) + message + `]}`
	for _, guarded := range []bool{false, true} {
		g := newGateway(b, Options{})
		if guarded {
			g.guard("p", false, chatKey, restoring("all", promptguard.Builtins()...))
		}
		g.serve(inOrder(g.openAI("a", newVendor(b, jsonBody(completed)))))
		b.Run(map[bool]string{false: "without", true: "guarded"}[guarded], func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if r := g.chat(body); r.status != 200 {
					b.Fatal(r.status, r.body)
				}
			}
		})
	}
}

// constant answers every request of a connection with the same bytes, at no cost worth counting.
func constant(tb testing.TB, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	tb.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tb.Cleanup(func() { c.Close() })
			go func() {
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					io.WriteString(c, answer)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/v1"
}

func BenchmarkCall(b *testing.B) {
	f := func(name, body, contentType, answer string, policies ...*xdsv1.TokenLimit) {
		b.Run(name, func(b *testing.B) {
			g := limited(b)
			for _, p := range policies {
				g.policy("p", p, chatModels)
			}
			answer := "HTTP/1.1 200 OK\r\nContent-Type: " + contentType + "\r\nContent-Length: " + strconv.Itoa(len(answer)) + "\r\n\r\n" + answer
			g.serve(inOrder(g.provider("a", xdsv1.Schema_OPENAI, constant(b, answer))))
			b.ReportAllocs()
			for b.Loop() {
				x := request("POST", "/v1/chat/completions", body)
				g.handler.Serve(x)
				if s := x.RespBody.Stream; s != nil {
					for {
						if _, err := s.Next(); err != nil {
							break
						}
					}
					s.Close()
				}
				if x.Resp.StatusCode() != 200 {
					b.Fatal(x.Resp.StatusCode(), string(x.RespBody.Bytes))
				}
				exchange.Release(x)
			}
		})
	}
	f("whole", hello, "application/json", completed)
	f("stream", streamed(hello), "text/event-stream", strings.Join(greeting, "\n\n")+"\n\n")
	requests := &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{tokenLimit("r", xdsv1.LimitUnit_REQUESTS, 1<<50)}}
	tokens := &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{tokenLimit("t", xdsv1.LimitUnit_TOKENS, 1<<50), tokenLimit("c", xdsv1.LimitUnit_COST, 1<<50)}}
	f("whole/requests", hello, "application/json", completed, requests)
	f("whole/tokens", hello, "application/json", completed, tokens)
}
