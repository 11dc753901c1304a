package llm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

func TestForwardUntouched(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	r := g.chat(`{"model":"smart","messages":[{"role":"user","content":"Say hello"}],"unknown_field":{"x":[1]}}`)
	r.want(t, 200)
	if r.body != completed {
		t.Errorf("the answer was changed: %s", r.body)
	}
	want := `{"model":"gpt-x","messages":[{"role":"user","content":"Say hello"}],"unknown_field":{"x":[1]}}`
	if v.bodies[0] != want || v.paths[0] != "/v1/chat/completions" {
		t.Errorf("the provider got %s %s", v.paths[0], v.bodies[0])
	}
	if u := r.x.LLM.Usage; !u.Known || u.Input != 7 || u.Output != 2 {
		t.Errorf("usage %+v", u)
	}
	if m := r.x.Model; m.Provider != "ai/a" || m.Model != "gpt-x" || m.Requested != "smart" || m.Attempts != 1 || m.Streamed {
		t.Errorf("model %+v", m)
	}
	if r.x.Backend != "ai/a" {
		t.Errorf("backend %q", r.x.Backend)
	}
}

func TestTranslateAndFallBack(t *testing.T) {
	a := newVendor(t, status(500))
	b := newVendor(t, jsonBody(anthropicDone))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", a), g.anthropic("b", b)))
	r := g.chat(hello)
	r.want(t, 200, `"object":"chat.completion"`, "Hello there", `"prompt_tokens":7`)
	if !strings.Contains(a.bodies[0], `"messages"`) || !strings.Contains(b.bodies[0], `"max_tokens"`) || b.paths[0] != "/v1/messages" {
		t.Errorf("not translated for its target: %s %s", b.paths[0], b.bodies[0])
	}
	if r.x.Model.Attempts != 2 || r.x.Model.Provider != "ai/b" {
		t.Errorf("model %+v", r.x.Model)
	}
}

// TestFaults is the matrix of a first target that fails and a second that answers, or also fails.
func TestFaults(t *testing.T) {
	f := func(name string, fault http.HandlerFunc, stream bool, status int, text string) {
		t.Run(name, func(t *testing.T) {
			brief := func(p *xdsv1.Provider) {
				if status == 504 {
					p.Timeouts = &xdsv1.ProviderTimeouts{FirstByte: durationpb.New(60 * time.Millisecond), Idle: durationpb.New(60 * time.Millisecond)}
				}
			}
			body, good := hello, jsonBody(completed)
			if stream {
				body, good = streamed(hello), events(greeting...)
			}
			bad, fine := newVendor(t, fault), newVendor(t, good)
			g := newGateway(t, Options{})
			first := g.openAI("bad", bad, brief)
			g.serve(inOrder(first, g.openAI("fine", fine)))
			r := g.chat(body)
			r.want(t, 200, "Hello", "there")
			r.lacks(t, "error")
			if r.x.Model.Attempts != 2 || r.x.Model.Provider != "ai/fine" {
				t.Errorf("model %+v", r.x.Model)
			}
			g = newGateway(t, Options{})
			g.serve(inOrder(g.openAI("bad", bad, brief)))
			r = g.chat(body)
			r.want(t, status, `"error"`, text)
			r.lacks(t, bad.Listener.Addr().String(), "sk-gateway", "[DONE]")
			if ct := r.head["content-type"]; ct != "application/json" {
				t.Errorf("content type %q", ct)
			}
		})
	}
	for _, stream := range []bool{false, true} {
		kind := map[bool]string{false: "whole ", true: "stream "}[stream]
		f(kind+"429", status(429, "Retry-After", "7"), stream, 429, "because of 429")
		f(kind+"500", status(500), stream, 500, "because of 500")
		f(kind+"529", status(529), stream, 529, "because of 529")
		f(kind+"timeout", silent, stream, 504, "did not answer in time")
		f(kind+"reset", reset, stream, 502, "connection to the provider broke")
		f(kind+"nonsense", jsonBody(`{"choices":`), stream, 502, "cannot be understood")
		f(kind+"redirect", status(302, "Location", "http://10.1.2.3/"), stream, 502, "redirect")
	}
	f("error event", events(roleChunk, errChunk), true, 502, "stream broke")
	f("cut before content", events(roleChunk, "@cut"), true, 502, "before the answer was complete")
	f("ends before content", events(roleChunk), true, 502, "before the answer was complete")
	f("silent before content", events(roleChunk, "@hang"), true, 504, "did not answer in time")
	f("broken frame", events("data: {]"), true, 502, "cannot be understood")
}

func TestNoFallback(t *testing.T) {
	f := func(name string, fault http.HandlerFunc, status int, parts ...string) {
		t.Run(name, func(t *testing.T) {
			bad, fine := newVendor(t, fault), newVendor(t, jsonBody(completed))
			g := newGateway(t, Options{})
			g.serve(inOrder(g.openAI("bad", bad), g.openAI("fine", fine)))
			r := g.chat(hello)
			r.want(t, status, parts...)
			if fine.asked() != 0 {
				t.Error("another target was asked")
			}
		})
	}
	f("400", status(400), 400, "because of 400", "vendor_type", "vendor_code")
	f("403", status(403), 403, "because of 403")
	f("404", status(404), 404, "because of 404")
	f("401 speaks of the gateway's key", status(401), 401, "gateway's credentials")
}

func TestFallbackOn(t *testing.T) {
	f := func(code int, on xdsv1.Fallback_When, want int) {
		t.Helper()
		bad, fine := newVendor(t, status(code)), newVendor(t, jsonBody(completed))
		g := newGateway(t, Options{})
		m := inOrder(g.openAI("bad", bad), g.openAI("fine", fine))
		m.Fallback = &xdsv1.Fallback{When: []xdsv1.Fallback_When{on}}
		g.serve(m)
		g.chat(hello).want(t, want)
	}
	f(401, xdsv1.Fallback_AUTH_ERROR, 200)
	f(403, xdsv1.Fallback_AUTH_ERROR, 200)
	f(404, xdsv1.Fallback_MODEL_NOT_FOUND, 200)
	f(429, xdsv1.Fallback_RATE_LIMITED, 200)
	f(429, xdsv1.Fallback_SERVER_ERROR, 429)
	f(500, xdsv1.Fallback_RATE_LIMITED, 500)
	f(504, xdsv1.Fallback_TIMEOUT, 200)
}

func TestMaxAttempts(t *testing.T) {
	bad := newVendor(t, status(500))
	g := newGateway(t, Options{})
	m := inOrder(g.openAI("a", bad), g.openAI("b", bad), g.openAI("c", bad))
	m.Fallback = &xdsv1.Fallback{MaxAttempts: 2}
	g.serve(m)
	g.chat(hello).want(t, 500)
	if n := bad.asked(); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}

// TestFallbackWithinTheBudget: to whom it goes to a fallback is a retry. Where none may be made, the failure before is what is told.
func TestFallbackWithinTheBudget(t *testing.T) {
	bad, fine := newVendor(t, status(500)), newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	g.clusters.balancing = &xdsv1.LoadBalancing{RetryBudget: &xdsv1.RetryBudget{
		Interval: durationpb.New(time.Hour), MinRetries: 1, MinInterval: durationpb.New(time.Hour),
	}}
	m := inOrder(g.openAI("bad", bad), g.openAI("fine", fine))
	g.serve(m)
	g.chat(hello).want(t, 200)
	g.chat(hello).want(t, 500, "because of 500")
	if n := fine.asked(); n != 1 {
		t.Errorf("%d fallbacks, want 1", n)
	}
}

func TestErrorInTheClientsWords(t *testing.T) {
	v := newVendor(t, status(429, "Retry-After", "7", "X-Ratelimit-Remaining-Tokens", "0", "X-Internal", "secret", "X-Request-Id", "req_1"))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	r := g.ask("POST", "/v1/messages", `{"model":"smart","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`)
	r.want(t, 429, `"type":"error"`, `"rate_limit_error"`, "because of 429")
	for name, want := range map[string]string{
		"retry-after": "7", "x-ratelimit-remaining-tokens": "0", "x-request-id": "req_1", "x-internal": "",
	} {
		if r.head[name] != want {
			t.Errorf("%s: %q, want %q", name, r.head[name], want)
		}
	}
}

func TestUnknownModel(t *testing.T) {
	g := newGateway(t, Options{})
	v := newVendor(t, jsonBody(completed))
	p := g.openAI("a", v)
	g.serve(inOrder(p), &xdsv1.Model{Name: "gpt-*", Targets: []*xdsv1.ModelTarget{to(p, "", 1, 0)}})
	g.chat(strings.Replace(hello, "smart", "dumb", 1)).want(t, 404, "model_not_found", "smart", "gpt-*")
	g.ask("POST", "/v1/messages", `{"model":"dumb","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`).
		want(t, 404, `"not_found_error"`, "smart")
	g.ask("GET", "/v1/models/dumb", "").want(t, 404, "smart")
	g.ask("GET", "/v1/models/smart", "").want(t, 200, `"id":"smart"`)
	g.ask("GET", "/v1/models/gpt-9", "").want(t, 200, `"id":"gpt-9"`)
	g.ask("GET", "/v1/models", "").want(t, 200, `"smart"`)
	g.ask("GET", "/nowhere", "").want(t, 404, "/v1/chat/completions", "/v1/messages")
	g.ask("GET", "/v1/chat/completions", "").want(t, 405, "POST")
	if v.asked() != 0 {
		t.Error("the provider was asked")
	}
}

func TestBodies(t *testing.T) {
	g := newGateway(t, Options{MaxRequestBody: 100})
	g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(completed)))))
	g.chat(`{"model":"smart","messages":[{"role":"user","content":"`+strings.Repeat("x", 100)+`"}]}`).
		want(t, 413, "limit for requests that have to be read, 100 bytes")
	g.chat(`{"model":"smart","model":"other","messages":[]}`).want(t, 400)
	g.chat(`{"messages":[]}`).want(t, 400, "model")
	g.chat(`nonsense`).want(t, 400)
	g.ask("POST", "/v1/chat/completions", hello, "Content-Encoding", "gzip").want(t, 415)
}

func TestLargeAnswers(t *testing.T) {
	large := strings.Replace(completed, "Hello there", strings.Repeat("word ", 10<<20), 1)
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(large)))))
	if r := g.chat(hello); r.status != 200 || len(r.body) != len(large) {
		t.Errorf("status %d, %d of %d bytes", r.status, len(r.body), len(large))
	}
	g = newGateway(t, Options{MaxAnswer: 1 << 20})
	g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(large)))))
	g.chat(hello).want(t, 502, "larger than")
}

// TestCredentials: what clients send as theirs goes nowhere but to passthrough providers.
func TestCredentials(t *testing.T) {
	mine := []string{
		"Authorization", "Bearer sk-client", "X-Api-Key", "sk-client", "Api-Key", "sk-client", "X-Goog-Api-Key", "sk-client",
		"Cookie", "session=sk-client", "X-Forwarded-For", "sk-client", "Openai-Organization", "sk-client",
	}
	f := func(stream bool, edit func(*xdsv1.Provider)) (http.Header, string) {
		v := newVendor(t, jsonBody(completed))
		body := hello
		if stream {
			v.play(events(greeting...))
			body = streamed(hello)
		}
		g := newGateway(t, Options{})
		g.serve(inOrder(g.openAI("a", v, edit)))
		g.ask("POST", "/v1/chat/completions?key=sk-client&other=1", body, mine...).want(t, 200)
		return v.heads[0], v.paths[0]
	}
	for _, stream := range []bool{false, true} {
		head, path := f(stream, func(p *xdsv1.Provider) { p.Headers = map[string]string{"OpenAI-Project": "proj"} })
		for name, values := range head {
			if strings.Contains(strings.Join(values, " "), "sk-client") {
				t.Errorf("%s: %q reached the provider", name, values)
			}
		}
		if strings.Contains(path, "sk-client") || head.Get("Authorization") != "Bearer sk-gateway" || head.Get("Openai-Project") != "proj" {
			t.Errorf("path %s, head %v", path, head)
		}
		if head.Get("Accept-Encoding") != "identity" || head.Get("User-Agent") != "nantian" {
			t.Errorf("head %v", head)
		}
	}
	head, path := f(false, func(p *xdsv1.Provider) {
		p.Auth = &xdsv1.ProviderAuth{Kind: &xdsv1.ProviderAuth_Passthrough{Passthrough: &xdsv1.Passthrough{}}}
	})
	for _, name := range credentials {
		if !strings.Contains(head.Get(name), "sk-client") {
			t.Errorf("passthrough left out %s", name)
		}
	}
	if !strings.HasSuffix(path, "?key=sk-client") || head.Get("X-Forwarded-For") != "" {
		t.Errorf("passthrough: %s %v", path, head)
	}
}

func TestSecretInAMessage(t *testing.T) {
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(400)
		w.Write([]byte(`{"error":{"message":"bad key sk-gateway","type":"x"}}`))
	})
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	r := g.chat(hello)
	r.want(t, 400, "bad key")
	r.lacks(t, "sk-gateway")
}

func TestUnsupported(t *testing.T) {
	a := newVendor(t, jsonBody(anthropicDone))
	o := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	biased := strings.Replace(hello, "{", `{"logit_bias":{"1":2},`, 1)
	strict := g.anthropic("strict", a)
	g.serve(inOrder(strict))
	g.chat(biased).want(t, 400, "logit_bias", "unsupported_parameter")
	if a.asked() != 0 {
		t.Error("the provider was asked")
	}
	g.serve(inOrder(strict, g.openAI("o", o)))
	if r := g.chat(biased); r.status != 200 || r.x.Model.Provider != "ai/o" || r.x.Model.Attempts != 1 {
		t.Errorf("status %d, %+v", r.status, r.x.Model)
	}
	g.serve(inOrder(g.anthropic("lax", a, func(p *xdsv1.Provider) { p.OnUnsupported = xdsv1.Unsupported_DROP })))
	r := g.chat(biased)
	r.want(t, 200)
	if r.head["x-nantian-dropped-params"] != "logit_bias" {
		t.Errorf("head %v", r.head)
	}
}

func TestUsageIsEstimated(t *testing.T) {
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(unmeasured)))))
	r := g.chat(hello)
	if u := r.x.LLM.Usage; !u.Estimated || u.Output != 2 || u.Input < 4 || u.Input > 12 {
		t.Errorf("usage %+v", u)
	}
	if r.body != unmeasured {
		t.Errorf("the answer was changed: %s", r.body)
	}
}

func TestCountTokensHere(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	g.serve(&xdsv1.Model{Name: "smart", Targets: []*xdsv1.ModelTarget{to(g.openAI("a", v), "gpt-4o", 1, 0)}})
	g.ask("POST", "/v1/messages/count_tokens", `{"model":"smart","messages":[{"role":"user","content":"one two three four"}]}`).
		want(t, 200, `"input_tokens":11`)
	if v.asked() != 0 {
		t.Error("the provider was asked")
	}
	f := func(least, most int, body string) {
		t.Helper()
		r := g.ask("POST", "/v1/messages/count_tokens", `{"model":"smart",`+body+`}`)
		var got struct {
			N int `json:"input_tokens"`
		}
		if err := json.Unmarshal([]byte(r.body), &got); err != nil || got.N < least || got.N > most {
			t.Errorf("%s: %s, want from %d to %d", body, r.body, least, most)
		}
	}
	f(20, 60, `"messages":[{"role":"user","content":"Hi"}],"tools":[{"name":"weather","description":"The weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]`)
	f(500, 1500, `"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aaaa"}}]}]`)
	f(9, 20, `"system":"Be brief","messages":[{"role":"user","content":"Hi"}]`)
}

func TestEmbeddings(t *testing.T) {
	body := `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]}],"model":"e","usage":{"prompt_tokens":3,"total_tokens":3}}`
	v := newVendor(t, jsonBody(body))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	r := g.ask("POST", "/v1/embeddings", `{"model":"smart","input":"hello"}`)
	r.want(t, 200)
	if r.body != body || v.paths[0] != "/v1/embeddings" || r.x.LLM.Usage.Input != 3 {
		t.Errorf("%s %s %+v", v.paths[0], r.body, r.x.LLM.Usage)
	}
}

func TestLegacyCompletion(t *testing.T) {
	v := newVendor(t, jsonBody(anthropicDone))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.anthropic("a", v)))
	g.ask("POST", "/v1/completions", `{"model":"smart","prompt":"Say hello","max_tokens":5}`).
		want(t, 200, `"text_completion"`, `"text":"Hello there"`)
}

func TestProviderAlone(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	p := g.openAI("a", v, func(p *xdsv1.Provider) {
		p.Models = []*xdsv1.ProviderModel{{Name: "gpt-a", ContextWindow: 1000}}
		p.DefaultModel = "gpt-d"
	})
	g.compile(p.Key)
	f := func(model, want string) {
		t.Helper()
		n := v.asked()
		r := g.chat(`{` + model + `"messages":[{"role":"user","content":"Hi"}]}`)
		r.want(t, 200)
		if v.asked() != n+1 || !strings.Contains(v.bodies[n], `"model":"`+want+`"`) {
			t.Errorf("the provider got %s, want %s", v.bodies[n:], want)
		}
	}
	f(`"model":"anything",`, "anything")
	f(`"model":"gpt-a",`, "gpt-a")
	f("", "gpt-d")
	g.ask("GET", "/v1/models", "").want(t, 200, `"gpt-a"`)
}

func TestBackendEndpoint(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	key := xdsv1.BackendKey("ai", "vllm", 8000)
	direct := g.openAI("direct", v)
	g.serve(inOrder(direct))
	for _, c := range g.clusters.m {
		g.clusters.m = map[string]*upstream.Cluster{key: c}
	}
	p := g.openAI("a", v, func(p *xdsv1.Provider) {
		p.Endpoint = &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Backend{Backend: key}, Path: "/serving/v1/"}
	})
	g.serve(inOrder(p))
	g.chat(hello).want(t, 200)
	if v.paths[0] != "/serving/v1/chat/completions" {
		t.Errorf("path %s", v.paths[0])
	}
}

func TestDeadline(t *testing.T) {
	v := newVendor(t, silent)
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v), g.openAI("b", v)))
	x := request("POST", "/v1/chat/completions", hello)
	x.Deadline = time.Now().Add(50 * time.Millisecond)
	g.handler.Serve(x)
	read(x).want(t, 504)
	if v.asked() > 1 {
		t.Errorf("%d attempts after the deadline", v.asked())
	}
	exchange.Release(x)
}
