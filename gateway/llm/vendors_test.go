package llm

import (
	"io"
	"net/http"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// claude is a stream of Anthropic's.
var claude = []string{
	`event: message_start` + "\n" + `data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":1}}}`,
	`event: content_block_start` + "\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
	`event: ping` + "\n" + `data: {"type":"ping"}`,
	`event: content_block_delta` + "\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello there"}}`,
	`event: new_kind` + "\n" + `data: {"type":"new_kind","x":1}`,
	`event: content_block_stop` + "\n" + `data: {"type":"content_block_stop","index":0}`,
	`event: message_delta` + "\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}`,
	`event: message_stop` + "\n" + `data: {"type":"message_stop"}`,
}

const message = `{"model":"smart","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`

func TestAnthropicForwarded(t *testing.T) {
	v := newVendor(t, events(claude...))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.anthropic("a", v)))
	r := g.ask("POST", "/v1/messages", message, "Anthropic-Beta", "new-feature", "Anthropic-Version", "2023-06-01")
	r.want(t, 200)
	if want := strings.Join(claude, "\n\n") + "\n\n"; r.body != want {
		t.Errorf("got:\n%s\nwant:\n%s", r.body, want)
	}
	h := v.heads[0]
	if h.Get("Anthropic-Beta") != "new-feature" || h.Get("X-Api-Key") != "sk-gateway" || h.Get("Anthropic-Version") == "" {
		t.Errorf("head %v", h)
	}
	if u := r.x.LLM.Usage; u.Input != 7 || u.Output != 2 || u.Estimated {
		t.Errorf("usage %+v", u)
	}
}

// TestAnthropicDies: its first event has a usage, which is not what the call used.
func TestAnthropicDies(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.anthropic("a", newVendor(t, events(append(claude[:4:4], "@cut")...)))))
	r := g.ask("POST", "/v1/messages", message)
	r.want(t, 200, "Hello there", "event: error")
	if u := r.x.LLM.Usage; u.Input != 7 || u.Output < 2 || !u.Estimated {
		t.Errorf("usage %+v", u)
	}
}

func TestOllama(t *testing.T) {
	lines := []string{
		`{"model":"llama","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"Hello"},"done":false}`,
		`{"model":"llama","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":" there"},"done":false}`,
		`{"model":"llama","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":2}`,
	}
	v := newVendor(t, nil)
	v.play(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for _, l := range lines {
			io.WriteString(w, l+"\n")
			w.(http.Flusher).Flush()
		}
	})
	g := newGateway(t, Options{})
	g.serve(inOrder(g.provider("o", xdsv1.Schema_OLLAMA, v.URL)))
	r := g.chat(streamed(hello))
	r.want(t, 200, `"content":"Hello"`, `"content":" there"`, doneMark)
	if u := r.x.LLM.Usage; u.Input != 7 || u.Output != 2 {
		t.Errorf("usage %+v", u)
	}
	lines = lines[:2]
	r = g.chat(streamed(hello))
	r.want(t, 200, "Hello", `data: {"error":`)
	r.lacks(t, doneMark)
}

func TestGemini(t *testing.T) {
	answer := `{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello there"}]},"finishReason":"STOP","index":0}],` +
		`"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2,"totalTokenCount":9},"modelVersion":"gemini-x","responseId":"r"}`
	v := newVendor(t, jsonBody(answer))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.provider("g", xdsv1.Schema_GEMINI, v.URL)))
	g.chat(hello).want(t, 200, "Hello there", `"prompt_tokens":7`)
	v.play(events("data: " + answer))
	g.chat(streamed(hello)).want(t, 200, "Hello there", doneMark)
	if v.paths[0] != "/v1beta/models/gpt-x:generateContent" || !strings.HasSuffix(v.paths[1], "?alt=sse") || v.heads[0].Get("X-Goog-Api-Key") != "sk-gateway" {
		t.Errorf("paths %v, head %v", v.paths, v.heads[0])
	}
}

func TestAzure(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.provider("z", xdsv1.Schema_AZURE_OPENAI, v.URL, func(p *xdsv1.Provider) { p.ApiVersion = "2024-10-21" })))
	g.ask("POST", "/openai/deployments/smart/chat/completions?api-version=1", strings.Replace(hello, `"model":"smart",`, "", 1), "Api-Key", "sk-client").
		want(t, 200, "Hello there")
	if v.paths[0] != "/openai/deployments/gpt-x/chat/completions?api-version=2024-10-21" || v.heads[0].Get("Api-Key") != "sk-gateway" {
		t.Errorf("path %s, head %v", v.paths[0], v.heads[0])
	}
}

func TestNobodyListens(t *testing.T) {
	away := newVendor(t, nil)
	away.Close()
	g := newGateway(t, Options{})
	for _, body := range []string{hello, streamed(hello)} {
		g.serve(inOrder(g.openAI("away", away)))
		r := g.chat(body)
		r.want(t, 502, "no connection to the provider")
		r.lacks(t, away.Listener.Addr().String())
		v := newVendor(t, events(greeting...))
		if body == hello {
			v.play(jsonBody(completed))
		}
		g.serve(inOrder(g.openAI("away", away), g.openAI("b", v)))
		g.chat(body).want(t, 200, "Hello")
	}
}

// TestDefaultModelIsTranslated: a name that the body lacks is not missed by a provider of another schema either.
func TestDefaultModelIsTranslated(t *testing.T) {
	v := newVendor(t, jsonBody(anthropicDone))
	g := newGateway(t, Options{})
	g.compile(g.anthropic("a", v, func(p *xdsv1.Provider) { p.DefaultModel = "claude-d" }).Key)
	g.chat(strings.Replace(hello, `"model":"smart",`, "", 1)).want(t, 200, "Hello there")
	if !strings.Contains(v.bodies[0], `"model":"claude-d"`) {
		t.Errorf("the provider got %s", v.bodies[0])
	}
}

// TestGeneratedImage: a client of OpenAI's gets it in the field that compatible servers use, and may hand it back; Anthropic's
// schema has no place, so that its client gets an error, and no other target is paid for the same.
func TestGeneratedImage(t *testing.T) {
	const answer = `{"candidates":[{"content":{"role":"model","parts":[{"text":"Here:"},{"inlineData":{"mimeType":"image/png","data":"iVBO"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":2}}`
	const image = `"images":[{"type":"image_url","index":0,"image_url":{"url":"data:image/png;base64,iVBO"}}]`
	spare := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	v := newVendor(t, jsonBody(answer))
	g.serve(inOrder(g.provider("a", xdsv1.Schema_GEMINI, v.URL), g.openAI("b", spare)))
	g.chat(hello).want(t, 200, `"content":"Here:"`, image)
	v.play(events("data: " + answer))
	g.chat(streamed(hello)).want(t, 200, `"content":"Here:"`, image, doneMark)
	g.ask("POST", "/v1/messages", message).want(t, 200, "Here:", "event: error", "an image, which this API has no form for")
	v.play(jsonBody(answer))
	whole := strings.Replace(message, `"stream":true,`, "", 1)
	g.ask("POST", "/v1/messages", whole).want(t, 422, `"type":"invalid_request_error"`, "an image, which this API has no form for")
	g.chat(`{"model":"smart","messages":[{"role":"user","content":"Draw"},{"role":"assistant","content":"Here:",`+image+`},{"role":"user","content":"Bluer"}]}`).want(t, 200)
	if last := v.bodies[len(v.bodies)-1]; !strings.Contains(last, `{"inlineData":{"mimeType":"image/png","data":"iVBO"}}`) {
		t.Errorf("the provider got %s", last)
	}
	if spare.asked() != 0 {
		t.Error("another target was asked")
	}
}
