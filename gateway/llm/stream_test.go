package llm

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

func timeouts(keepAlive, firstByte, idle time.Duration) func(*xdsv1.Provider) {
	return func(p *xdsv1.Provider) {
		p.Timeouts = &xdsv1.ProviderTimeouts{
			KeepAliveAfter: durationpb.New(keepAlive), FirstByte: durationpb.New(firstByte), Idle: durationpb.New(idle),
		}
	}
}

func TestForwardStream(t *testing.T) {
	v := newVendor(t, events(greeting...))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	r := g.chat(streamed(hello))
	r.want(t, 200)
	want := strings.Join([]string{roleChunk, textChunk("Hello"), textChunk(" there"), stopChunk, doneMark}, "\n\n") + "\n\n"
	if r.body != want {
		t.Errorf("got:\n%s\nwant:\n%s", r.body, want)
	}
	if !strings.Contains(v.bodies[0], "include_usage") {
		t.Errorf("usage was not asked for: %s", v.bodies[0])
	}
	if u := r.x.LLM.Usage; !u.Known || u.Estimated || u.Input != 7 || u.Output != 2 {
		t.Errorf("usage %+v", u)
	}
	for name, want := range map[string]string{
		"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_vendor", "cache-control": "no-cache",
	} {
		if r.head[name] != want {
			t.Errorf("%s: %q", name, r.head[name])
		}
	}
	if m := r.x.Model; !m.Streamed || m.FirstToken <= 0 || m.Aborted {
		t.Errorf("model %+v", m)
	}
}

func TestUsageIsShownWhenAskedFor(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, events(greeting...)))))
	body := strings.Replace(hello, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1)
	g.chat(body).want(t, 200, `"prompt_tokens":7`)
}

// TestUsageThatNobodyReported: a client that asked for usage gets what was counted, under the stream's id and before its end.
func TestUsageThatNobodyReported(t *testing.T) {
	body := strings.Replace(hello, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1)
	f := func(list ...string) {
		t.Helper()
		g := newGateway(t, Options{})
		g.serve(inOrder(g.openAI("a", newVendor(t, events(list...)))))
		r := g.chat(body)
		r.want(t, 200, " there")
		rest, ok := strings.CutSuffix(r.body, doneMark+"\n\n")
		chunks := strings.Split(strings.TrimSuffix(rest, "\n\n"), "\n\n")
		last := chunks[len(chunks)-1]
		if !ok || strings.Count(r.body, `"usage":{`) != 1 || !strings.Contains(last, `"choices":[],"usage":{`) ||
			!strings.Contains(last, `"id":"chatcmpl-1"`) || !strings.Contains(last, `"model":"gpt-x"`) || !strings.Contains(last, `"completion_tokens":2,`) {
			t.Errorf("the stream ends with %s\n%s", last, r.body)
		}
	}
	f(greeting...)
	f(roleChunk, textChunk("Hello"), textChunk(" there"), stopChunk, doneMark)
	f(roleChunk, textChunk("Hello"), textChunk(" there"), stopChunk)
}

func TestTranslateStream(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, events(greeting...)))))
	r := g.ask("POST", "/v1/messages", `{"model":"smart","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`)
	r.want(t, 200, "event: message_start", `"text":"Hello"`, `"text":" there"`, `"output_tokens":2`, "event: message_stop")
}

// TestEachEventAtOnce: what comes is not held back for what follows.
func TestEachEventAtOnce(t *testing.T) {
	g := newGateway(t, Options{})
	seen := make(chan struct{})
	g.serve(inOrder(g.openAI("a", newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		events(roleChunk, textChunk("Hello"))(w, r)
		<-seen
		events(textChunk(" there"), stopChunk, doneMark)(w, r)
	}))))
	x := request("POST", "/v1/chat/completions", streamed(hello))
	g.handler.Serve(x)
	p, err := x.RespBody.Stream.Next()
	close(seen)
	if err != nil || !strings.Contains(string(p), "Hello") {
		t.Errorf("%q %v", p, err)
	}
	p, err = x.RespBody.Stream.Next()
	if err != nil || !strings.Contains(string(p), " there") {
		t.Errorf("%q %v", p, err)
	}
	x.RespBody.Close()
}

func TestUsageOfAStreamIsEstimated(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, events(roleChunk, textChunk("Hello"), textChunk(" there"), stopChunk, doneMark)))))
	r := g.chat(streamed(hello))
	r.want(t, 200, doneMark)
	if u := r.x.LLM.Usage; !u.Estimated || u.Output != 2 || u.Input < 4 {
		t.Errorf("usage %+v", u)
	}
}

// TestDeathMidStream: a stream that breaks off never looks like one that ended.
func TestDeathMidStream(t *testing.T) {
	f := func(name, note string, rest ...string) {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, events(append([]string{roleChunk, textChunk("Hello")}, rest...)...))
			spare := newVendor(t, events(greeting...))
			g := newGateway(t, Options{})
			idle := time.Minute
			if name == "silence" {
				idle = 50 * time.Millisecond
			}
			g.serve(inOrder(g.openAI("a", v, timeouts(time.Minute, time.Minute, idle)), g.openAI("b", spare)))
			r := g.chat(streamed(hello))
			r.want(t, 200, "Hello", `data: {"error":`)
			r.lacks(t, "[DONE]", " there")
			if !strings.Contains(r.x.Note, note) || spare.asked() != 0 {
				t.Errorf("note %q, spare asked %d", r.x.Note, spare.asked())
			}
			if u := r.x.LLM.Usage; !u.Estimated || u.Output != 1 {
				t.Errorf("usage %+v", u)
			}
			r = g.ask("POST", "/v1/messages", `{"model":"smart","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`)
			r.want(t, 200, "Hello", "event: error")
			r.lacks(t, "message_stop")
		})
	}
	f("cut", "reset", "@cut")
	f("clean end without a mark", "reset")
	f("silence", "timeout", "@hang")
	f("error event", "provider", errChunk)
	f("broken frame", "protocol", "data: {]")
}

func TestKeepAlive(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond) // the head comes late, as vLLM's may
		events(roleChunk, "@wait:300ms", textChunk("Hello"), "@wait:300ms", textChunk(" there"), stopChunk, doneMark)(w, r)
	})
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v, timeouts(50*time.Millisecond, time.Minute, time.Minute))))
	began := time.Now()
	r := g.chat(streamed(hello))
	took := time.Since(began)
	r.want(t, 200, roleChunk, "Hello", " there", doneMark)
	r.lacks(t, "error")
	head, rest, _ := strings.Cut(r.body, "Hello")
	if n := strings.Count(head, ": keep-alive"); n < 3 || n > int(took/(50*time.Millisecond)) {
		t.Errorf("%d keep-alives before the first token, %v in all:\n%s", n, took, r.body)
	}
	if n := strings.Count(rest, ": keep-alive"); n < 1 || n > int(took/(50*time.Millisecond)) {
		t.Errorf("%d keep-alives after the first token:\n%s", n, r.body)
	}
}

// TestFallbackAfterKeepAlive: the first target says nothing until it is given up; the second answers, or fails.
func TestFallbackAfterKeepAlive(t *testing.T) {
	quiet := newVendor(t, silent)
	f := func(script http.HandlerFunc, parts ...string) *reply {
		t.Helper()
		g := newGateway(t, Options{})
		g.serve(inOrder(g.openAI("a", quiet, timeouts(30*time.Millisecond, time.Second, time.Minute)), g.anthropic("b", newVendor(t, script))))
		r := g.chat(streamed(hello))
		r.want(t, 200, append(parts, ": keep-alive")...)
		return r
	}
	r := f(jsonBody(anthropicDone), "Hello there", doneMark)
	if r.x.Model.Attempts != 2 || r.x.Model.Provider != "ai/b" {
		t.Errorf("model %+v", r.x.Model)
	}
	f(status(503), `data: {"error":`, "because of 503").lacks(t, "[DONE]")
}

// TestWholeAnswerToAStream: some servers know no streams.
func TestWholeAnswerToAStream(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(completed)))))
	r := g.chat(streamed(hello))
	r.want(t, 200, "chat.completion.chunk", "Hello there", `"finish_reason":"stop"`, doneMark)
	if u := r.x.LLM.Usage; !u.Known || u.Output != 2 {
		t.Errorf("usage %+v", u)
	}
}

// leave closes the stream after n pieces and waits until the provider has seen it.
func leave(t *testing.T, g *gateway, left <-chan time.Time, n int) *exchange.Exchange {
	t.Helper()
	x := request("POST", "/v1/chat/completions", streamed(hello))
	g.handler.Serve(x)
	for range n {
		if _, err := x.RespBody.Stream.Next(); err != nil {
			t.Fatal(err)
		}
	}
	x.RespBody.Close()
	select {
	case <-left:
	case <-time.After(time.Minute):
		t.Error("the provider never saw it")
	}
	return x
}

func TestClientLeaves(t *testing.T) {
	left := make(chan time.Time, 1)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		events(roleChunk, textChunk("Hello"), textChunk(" there"), "@hang")(w, r)
		left <- time.Now()
	})
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	x := leave(t, g, left, 1)
	if u := x.LLM.Usage; !u.Estimated || u.Output < 1 || u.Input < 4 || !x.Model.Aborted {
		t.Errorf("usage %+v, model %+v", u, x.Model)
	}
	x.RespBody.Close()

	v.play(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		left <- time.Now()
	})
	g.serve(inOrder(g.openAI("b", v, timeouts(20*time.Millisecond, time.Minute, time.Minute))))
	if x := leave(t, g, left, 1); !x.Model.Aborted {
		t.Errorf("model %+v", x.Model)
	}
}

// TestClientLeavesBeforeTheHead: the request's context ends while a target is waited for.
func TestClientLeavesBeforeTheHead(t *testing.T) {
	for _, body := range []string{hello, streamed(hello)} {
		ctx, cancel := context.WithCancel(context.Background())
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
			cancel()
			silent(w, r)
		})
		g := newGateway(t, Options{})
		g.serve(inOrder(g.openAI("a", v), g.openAI("b", v)))
		x := request("POST", "/v1/chat/completions", body)
		y := exchange.Acquire(ctx, nil)
		y.Req.SetMethod("POST")
		y.Path, y.ReqBody, y.Start = x.Path, x.ReqBody, time.Now()
		g.handler.Serve(y)
		if y.Resp.StatusCode() != statusGone || v.asked() != 1 || y.Model.Attempts != 1 {
			t.Errorf("status %d, asked %d", y.Resp.StatusCode(), v.asked())
		}
	}
}

// TestConnections: the connection of a stream that was read to its end is used again, no other is.
func TestConnections(t *testing.T) {
	var conns atomic.Int32
	v := newVendor(t, events(greeting...))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	var seen sync.Map
	v.play(func(w http.ResponseWriter, r *http.Request) {
		if _, again := seen.LoadOrStore(r.RemoteAddr, true); !again {
			conns.Add(1)
		}
		events(greeting...)(w, r)
	})
	for range 5 {
		g.chat(streamed(hello)).want(t, 200)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 5 whole streams, want 1", n)
	}
	x := request("POST", "/v1/chat/completions", streamed(hello))
	g.handler.Serve(x)
	x.RespBody.Stream.Next()
	x.RespBody.Close()
	r := g.chat(streamed(hello))
	if r.want(t, 200, "Hello"); strings.Count(r.body, "Hello") != 1 {
		t.Errorf("the answer of another call: %s", r.body)
	}
}

func TestNextAfterTheEnd(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, events(greeting...)))))
	x := request("POST", "/v1/chat/completions", streamed(hello))
	g.handler.Serve(x)
	s := x.RespBody.Stream
	for {
		if _, err := s.Next(); err != nil {
			break
		}
	}
	if _, err := s.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	s.Close()
	s.Close()
	if _, err := s.Next(); err != exchange.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

// TestEndlessPreamble: events without content do not grow without bound.
func TestEndlessPreamble(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			io.WriteString(w, roleChunk+"\n\n")
		}
	})
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	g.chat(streamed(hello)).want(t, 502, "no content")
}

// TestSlowClient: a client that does not read for longer than the provider may be silent loses nothing.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	g := newGateway(t, Options{})
	v := newVendor(t, events(roleChunk, textChunk("Hello"), "@wait:10ms", textChunk(" there"), stopChunk, doneMark))
	g.serve(inOrder(g.openAI("a", v, timeouts(time.Minute, time.Minute, 5*time.Second))))
	x := request("POST", "/v1/chat/completions", streamed(hello))
	g.handler.Serve(x)
	if _, err := x.RespBody.Stream.Next(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(6 * time.Second)
	r := read(x)
	r.want(t, 200, " there", doneMark)
	r.lacks(t, "error")
}

// Servers that forget [DONE] are not cut short if every choice has ended.
func TestEndMarkForgotten(t *testing.T) {
	v := newVendor(t, events(textChunk("Hi"), `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	r := g.chat(streamed(hello))
	r.want(t, 200, "Hi", "stop")
	r.lacks(t, "error")
}
