package llm

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/limit"
)

// limited is a gateway whose limits can be looked at.
func limited(t testing.TB) *gateway {
	l, err := limit.New(limit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	return newGateway(t, Options{Limits: l})
}

func tokenLimit(name string, unit xdsv1.LimitUnit, amount int64, keys ...xdsv1.LimitKey_Source) *xdsv1.Limit {
	out := &xdsv1.Limit{Name: name, Unit: unit, Limit: amount, Window: &xdsv1.Limit_Sliding{Sliding: durationpb.New(time.Hour)}}
	for _, k := range keys {
		out.Key = append(out.Key, &xdsv1.LimitKey{Source: k})
	}
	return out
}

// policy adds a TokenPolicy that targets keys.
func (g *gateway) policy(name string, p *xdsv1.TokenLimit, targets ...string) *xdsv1.Policy {
	out := &xdsv1.Policy{Key: xdsv1.PolicyKey(xdsv1.PolicyToken, "ai", name), Namespace: "ai", Name: name, Kind: &xdsv1.Policy_TokenLimit{TokenLimit: p}}
	for _, key := range targets {
		out.Targets = append(out.Targets, &xdsv1.Target{Key: key})
	}
	g.rs[out.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: out}}
	return out
}

const chatModels = "models/ai/chat"

// used is what the buckets of a policy's limits have in them, by name.
func (g *gateway) used(policy string) map[string]string {
	g.t.Helper()
	r, err := g.llm.Limits.Look(context.Background(), limit.Query{Policy: "ai/" + policy})
	if err != nil {
		g.t.Fatal(err)
	}
	out := map[string]string{}
	for _, b := range r.Buckets {
		out[b.Limit] = b.Used
	}
	return out
}

// all has a limit of each unit, none of which is reached.
func all() *xdsv1.TokenLimit {
	return &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{
		tokenLimit("requests", xdsv1.LimitUnit_REQUESTS, 1000), tokenLimit("tokens", xdsv1.LimitUnit_TOKENS, 1e6),
		tokenLimit("input", xdsv1.LimitUnit_INPUT_TOKENS, 1e6), tokenLimit("output", xdsv1.LimitUnit_OUTPUT_TOKENS, 1e6),
		tokenLimit("cost", xdsv1.LimitUnit_COST, 1e12),
	}}
}

func priced1(p *xdsv1.Provider) {
	p.Models = []*xdsv1.ProviderModel{{Name: "gpt-x", Price: &xdsv1.Price{Input: 1_000_000_000, CachedInput: 100_000_000, Output: 10_000_000_000}}}
}

// What is charged is what was used, whatever became of the call.
func TestCharges(t *testing.T) {
	const cached = `"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":15}}`
	f := func(name, body string, script http.HandlerFunc, want string) {
		t.Helper()
		g := limited(t)
		p := g.openAI("a", newVendor(t, script), priced1)
		g.policy("p", all(), chatModels)
		g.serve(inOrder(p))
		g.chat(body).want(t, 200)
		u := g.used("p")
		if got := fmt.Sprint(u["requests"], " ", u["input"], "+", u["output"], "=", u["tokens"], " ", u["cost"]); got != want {
			t.Errorf("%s: charged %s, expected %s", name, got, want)
		}
	}
	f("whole", hello, jsonBody(completed), "1 7+2=9 0.000027")
	f("stream", streamed(hello), events(greeting...), "1 7+2=9 0.000027")
	f("cached and reasoning", hello, jsonBody(strings.Replace(completed, completed[strings.Index(completed, `"usage"`):strings.Index(completed, `,"odd"`)], cached, 1)), "1 100+20=120 0.000228")
	// Nobody reports: "Say hello" is counted as OpenAI's models count it, framing included.
	f("whole without usage", hello, jsonBody(unmeasured), "1 9+2=11 0.000029")
	f("stream without usage", streamed(hello), events(roleChunk, textChunk("Hello"), textChunk(" there"), stopChunk, doneMark), "1 9+2=11 0.000029")
	f("upstream dies", streamed(hello), events(roleChunk, textChunk("Hello"), textChunk(" there"), "@cut"), "1 9+2=11 0.000029")
}

func TestClientLeavesIsCharged(t *testing.T) {
	g := limited(t)
	p := g.openAI("a", newVendor(t, events(roleChunk, textChunk("Hello"), textChunk(" there"), "@hang")))
	g.policy("p", all(), chatModels)
	g.serve(inOrder(p))
	ctx, leave := context.WithCancel(context.Background())
	x := request("POST", "/v1/chat/completions", streamed(hello))
	base := exchange.Acquire(ctx, nil)
	base.Start, base.Path, base.ReqBody = x.Start, x.Path, x.ReqBody
	base.Req.SetMethod("POST")
	g.handler.Serve(base)
	for got := ""; !strings.Contains(got, "there"); {
		piece, err := base.RespBody.Stream.Next()
		if err != nil {
			t.Fatal(err)
		}
		got += string(piece)
	}
	leave()
	base.RespBody.Close()
	exchange.Release(base)
	if u := g.used("p"); u["input"] != "9" || u["output"] != "2" || u["requests"] != "1" {
		t.Errorf("charged %v", u)
	}
}

// Each attempt is charged what its provider says: the one that failed nothing but a request.
func TestFallbackIsChargedByAttempt(t *testing.T) {
	g := limited(t)
	a, b := g.openAI("a", newVendor(t, status(500))), g.openAI("b", newVendor(t, jsonBody(completed)))
	c := g.openAI("c", newVendor(t, reset))
	g.policy("whole", all(), chatModels)
	g.policy("a", all(), a.Key)
	g.policy("b", all(), b.Key)
	g.policy("c", all(), c.Key)
	keyed := all()
	for _, l := range keyed.Limits {
		l.Key = []*xdsv1.LimitKey{{Source: xdsv1.LimitKey_PROVIDER}}
	}
	g.policy("keyed", keyed, chatModels)
	g.serve(inOrder(a, c, b))
	g.chat(hello).want(t, 200)
	f := func(policy string, requests, tokens string) {
		t.Helper()
		if u := g.used(policy); u["requests"] != requests || u["tokens"] != tokens {
			t.Errorf("%s: %v, expected %s requests and %s tokens", policy, u, requests, tokens)
		}
	}
	f("whole", "1", "9")
	f("a", "1", "0")
	f("c", "0", "0") // it never answered
	f("b", "1", "9")
	r, err := g.llm.Limits.Look(context.Background(), limit.Query{Policy: "ai/keyed", Limit: "tokens", Values: []string{"ai/b"}})
	if err != nil || r.Buckets[0].Used != "9" {
		t.Errorf("%+v %v", r, err)
	}
}

func TestFullProviderIsPassedOver(t *testing.T) {
	g := limited(t)
	va, vb := newVendor(t, jsonBody(completed)), newVendor(t, jsonBody(completed))
	a, b := g.openAI("a", va), g.openAI("b", vb)
	g.policy("a", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{tokenLimit("r", xdsv1.LimitUnit_REQUESTS, 1)}}, a.Key)
	g.policy("b", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{tokenLimit("r", xdsv1.LimitUnit_REQUESTS, 2)}}, b.Key)
	g.serve(inOrder(a, b))
	for range 3 {
		g.chat(hello).want(t, 200)
	}
	if va.asked() != 1 || vb.asked() != 2 {
		t.Errorf("asked %d and %d times", va.asked(), vb.asked())
	}
	r := g.chat(hello)
	r.want(t, 429, `limit \"r\" of TokenPolicy ai/a`)
	if n, err := strconv.Atoi(r.head["retry-after"]); err != nil || n < 1 || n > 3720 {
		t.Errorf("Retry-After %q", r.head["retry-after"])
	}
}

func TestRefusedInTheClientsWords(t *testing.T) {
	g := limited(t)
	v := newVendor(t, jsonBody(completed))
	p := g.openAI("a", v)
	g.policy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{tokenLimit("r", xdsv1.LimitUnit_REQUESTS, 2), tokenLimit("t", xdsv1.LimitUnit_TOKENS, 10000)}}, chatModels)
	g.serve(inOrder(p))
	for i := range 2 {
		r := g.chat(hello)
		r.want(t, 200)
		for name, want := range map[string]string{
			"x-ratelimit-limit-requests": "2", "x-ratelimit-remaining-requests": strconv.Itoa(1 - i),
			"x-ratelimit-limit-tokens": "10000", "x-ratelimit-remaining-tokens": strconv.Itoa(10000 - 9*(i+1)),
		} {
			if r.head[name] != want {
				t.Errorf("%s: %q, expected %s", name, r.head[name], want)
			}
		}
		if d, err := time.ParseDuration(r.head["x-ratelimit-reset-requests"]); err != nil || d <= 0 {
			t.Errorf("reset %q", r.head["x-ratelimit-reset-requests"])
		}
	}
	r := g.chat(hello)
	r.want(t, 429, `"type":"rate_limit_error"`, `"code":"rate_limit_exceeded"`, `limit \"r\" of TokenPolicy ai/p`)
	if r.head["x-ratelimit-remaining-requests"] != "0" || r.head["retry-after"] == "" {
		t.Errorf("%v", r.head)
	}
	if m := r.x.Model; m.Limit != "ai/p/r" || m.LimitOutcome != "refused" || r.x.Note != "limit" {
		t.Errorf("%+v", m)
	}
	r = g.ask("POST", "/v1/messages", `{"model":"smart","max_tokens":10,"messages":[{"role":"user","content":"Hi"}]}`)
	r.want(t, 429, `"type":"rate_limit_error"`, `limit \"r\"`)
	if reset, err := time.Parse(time.RFC3339, r.head["anthropic-ratelimit-requests-reset"]); err != nil || time.Until(reset) <= 0 {
		t.Errorf("%v", r.head)
	}
	if v.asked() != 2 {
		t.Errorf("asked %d times", v.asked())
	}
	if u := g.used("p"); u["t"] != "18" {
		t.Errorf("refused calls are charged: %v", u)
	}
}

func TestTooLargeForEver(t *testing.T) {
	g := limited(t)
	g.policy("p", &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{tokenLimit("t", xdsv1.LimitUnit_TOKENS, 3)}}, chatModels)
	g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(completed)))))
	r := g.chat(hello)
	r.want(t, 429, "more than the 3 tokens")
	if r.head["x-should-retry"] != "false" || r.head["retry-after"] != "" {
		t.Errorf("%v", r.head)
	}
}

func TestFreeOperations(t *testing.T) {
	g := limited(t)
	p := g.anthropic("a", newVendor(t, jsonBody(`{"input_tokens":5}`)))
	closed := &xdsv1.TokenLimit{Limits: []*xdsv1.Limit{tokenLimit("r", xdsv1.LimitUnit_REQUESTS, 0)}}
	g.policy("p", closed, chatModels)
	g.policy("q", closed, p.Key)
	g.serve(inOrder(p))
	g.ask("GET", "/v1/models", "").want(t, 200, "smart")
	g.ask("POST", "/v1/messages/count_tokens", `{"model":"smart","messages":[{"role":"user","content":"Hi"}]}`).want(t, 200, `"input_tokens":5`)
	g.chat(hello).want(t, 429)
}

func TestEmbeddingsAreCharged(t *testing.T) {
	g := limited(t)
	v := newVendor(t, jsonBody(`{"object":"list","model":"e","data":[{"object":"embedding","index":0,"embedding":[1]}],"usage":{"prompt_tokens":4,"total_tokens":4}}`))
	p := all()
	p.Limits[3].Limit = 0 // no output: it does not matter
	g.policy("p", p, chatModels)
	g.serve(inOrder(g.openAI("a", v)))
	g.ask("POST", "/v1/embeddings", `{"model":"smart","input":"Say hello"}`).want(t, 200)
	if u := g.used("p"); u["tokens"] != "4" || u["input"] != "4" || u["output"] != "0" || u["requests"] != "1" {
		t.Errorf("%v", u)
	}
}

// A policy that cannot be run closes what it targets, and only that.
func TestInvalidPolicyCloses(t *testing.T) {
	f := func(target string, status int, answers string) {
		t.Helper()
		g := limited(t)
		a, b := g.openAI("a", newVendor(t, jsonBody(completed))), g.openAI("b", newVendor(t, jsonBody(completed)))
		p := g.policy("p", nil, target)
		p.Kind = &xdsv1.Policy_Invalid{Invalid: "because"}
		g.serve(inOrder(a, b))
		r := g.chat(hello)
		r.want(t, status)
		if status == 200 && r.x.Backend != answers {
			t.Errorf("%s answered", r.x.Backend)
		}
	}
	f(chatModels, 503, "")
	f("provider/ai/a", 200, "ai/b")
	f("provider/ai/c", 200, "ai/a")
}

// long is a stream of n words, one a chunk, that reports its usage if it gets to its end.
func long(n int) []string {
	list := []string{roleChunk}
	for range n {
		list = append(list, textChunk(" word"))
	}
	return append(list, stopChunk, usage, doneMark)
}

func TestCut(t *testing.T) {
	anthropicBody := `{"model":"smart","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"Say hello"}]}`
	withUsage := strings.Replace(hello, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1)
	f := func(name, path, body string, ends ...string) {
		t.Helper()
		gone := make(chan struct{})
		script := events(append(long(200)[:201], "@hang")...)
		v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
			defer close(gone)
			script(w, r)
		})
		g := limited(t)
		p := g.openAI("a", v)
		g.policy("p", &xdsv1.TokenLimit{OnStream: xdsv1.TokenLimit_CUT, Limits: []*xdsv1.Limit{tokenLimit("t", xdsv1.LimitUnit_OUTPUT_TOKENS, 50)}}, chatModels)
		g.serve(&xdsv1.Model{Name: "smart", Targets: []*xdsv1.ModelTarget{to(p, "gpt-4o", 1, 0)}})
		r := g.ask("POST", path, body)
		r.want(t, 200, ends...)
		if n := strings.Count(r.body, " word"); n != 50 {
			t.Errorf("%s: %d words came, expected 50", name, n)
		}
		if m := r.x.Model; m.LimitOutcome != "cut" || m.Limit != "ai/p/t" || r.x.LLM.Finish != "length" {
			t.Errorf("%s: %+v", name, m)
		}
		select {
		case <-gone:
		case <-time.After(30 * time.Second):
			t.Errorf("%s: the provider goes on", name)
		}
		if u := g.used("p"); u["t"] != "50" {
			t.Errorf("%s: charged %v", name, u)
		}
		if r = g.ask("POST", path, body); r.status != 429 {
			t.Errorf("%s: then %d", name, r.status)
		}
	}
	f("forwarded", "/v1/chat/completions", streamed(hello), `"finish_reason":"length"`, "data: [DONE]\n\n")
	f("with usage", "/v1/chat/completions", withUsage, `"finish_reason":"length"`, `"completion_tokens":50`, `"prompt_tokens":9`, "data: [DONE]\n\n")
	f("translated", "/v1/messages", anthropicBody, `"stop_reason":"max_tokens"`, `"output_tokens":50`, "event: message_stop")
}

func TestCutForwardedAnthropic(t *testing.T) {
	start := "event: message_start\ndata: " + `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":1}}}`
	block := "event: content_block_start\ndata: " + `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	word := "event: content_block_delta\ndata: " + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word"}}`
	list := []string{start, block}
	for range 200 {
		list = append(list, word)
	}
	g := limited(t)
	p := g.anthropic("a", newVendor(t, events(append(list, "@hang")...)))
	g.policy("p", &xdsv1.TokenLimit{OnStream: xdsv1.TokenLimit_CUT, Limits: []*xdsv1.Limit{tokenLimit("t", xdsv1.LimitUnit_TOKENS, 57)}}, p.Key)
	g.serve(inOrder(p))
	r := g.ask("POST", "/v1/messages", `{"model":"smart","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`)
	r.want(t, 200, `{"type":"content_block_stop","index":0}`, `"stop_reason":"max_tokens"`, "event: message_stop")
	n := strings.Count(r.body, `"text":" word"`)
	if u := g.used("p"); n < 20 || n > 60 || u["t"] != "57" {
		t.Errorf("%d words, charged %v", n, u)
	}
}

// A limit that only counts lets everything go on.
func TestWarnGoesOn(t *testing.T) {
	g := limited(t)
	g.policy("p", &xdsv1.TokenLimit{OnLimit: xdsv1.TokenLimit_WARN, Limits: []*xdsv1.Limit{tokenLimit("r", xdsv1.LimitUnit_REQUESTS, 1)}}, chatModels)
	g.serve(inOrder(g.openAI("a", newVendor(t, jsonBody(completed)))))
	g.chat(hello).want(t, 200)
	r := g.chat(hello)
	r.want(t, 200)
	if r.head["x-nantian-limit-exceeded"] != "ai/p/r" || r.x.Model.LimitOutcome != "warned" {
		t.Errorf("%v %+v", r.head, r.x.Model)
	}
}

// A target whose provider has no room is waited for when there is no other.
func TestQueueAtAProvider(t *testing.T) {
	g := limited(t)
	hold := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		<-hold
		jsonBody(completed)(w, r)
	})
	p := g.openAI("a", v)
	g.policy("p", &xdsv1.TokenLimit{OnLimit: xdsv1.TokenLimit_QUEUE, Queue: &xdsv1.LimitQueue{Timeout: durationpb.New(time.Minute)},
		Limits: []*xdsv1.Limit{tokenLimit("t", xdsv1.LimitUnit_TOKENS, 310)}}, p.Key)
	g.serve(inOrder(p))
	body := strings.Replace(hello, "{", `{"max_tokens":290,`, 1)
	done := make(chan *reply, 2)
	for range 2 {
		go func() { done <- g.chat(body) }()
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		r, err := g.llm.Limits.Look(context.Background(), limit.Query{})
		if err != nil || time.Now().After(deadline) {
			t.Fatal("nobody waits", err)
		}
		if r.Waiting == 1 {
			break
		}
	}
	close(hold)
	for range 2 {
		(<-done).want(t, 200)
	}
	if u := g.used("p"); u["t"] != "18" {
		t.Errorf("%v", u)
	}
}

func TestPrices(t *testing.T) {
	p := builtinPrices()
	f := func(model string, input, cached, write, output int64) {
		t.Helper()
		got := p.of(model)
		if got.GetInput() != input || got.GetCachedInput() != cached || got.GetCacheWrite() != write || got.GetOutput() != output {
			t.Errorf("%s: %v", model, got)
		}
	}
	f("gpt-5-2025-08-07", 1_250_000_000, 125_000_000, 1_250_000_000, 10_000_000_000)
	f("gpt-5-mini", 250_000_000, 25_000_000, 250_000_000, 2_000_000_000)
	f("claude-sonnet-4-5-20250929", 3_000_000_000, 300_000_000, 3_750_000_000, 15_000_000_000)
	f("text-embedding-3-small", 20_000_000, 20_000_000, 20_000_000, 0)
	if p.of("llama-4") != nil {
		t.Error("llama-4 has a price")
	}
	own := p.before([]*xdsv1.CataloguePrice{{Model: "gpt-5*", Price: &xdsv1.Price{Input: 1}}, {Model: "llama-4", Price: &xdsv1.Price{Input: 2}}})
	if own.of("gpt-5-mini").GetInput() != 1 || own.of("gpt-5").GetInput() != 1 || own.of("llama-4").GetInput() != 2 || own.of("o3").GetInput() != 2_000_000_000 {
		t.Error("the configuration's prices do not go before")
	}
	for text, want := range map[string]string{
		`{"prices":[{"model":"a","input":"1.x"}]}`: `prices[0].input: cost "1.x"`,
		`{"prices":[{"model":"**"}]}`:              `prices[0].model`,
		`{"price":[]}`:                             `unknown field`,
	} {
		if _, err := ParsePrices([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParsePrices(f *testing.F) {
	f.Add(builtin)
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := ParsePrices(text); err == nil {
			p.of("gpt-5")
		}
	})
}

// What a stream is told that it may have used at most is never less than what is counted, and near it after each count.
func TestTallyBoundsWhatItHasNotCounted(t *testing.T) {
	var y tally
	y.reset(tokens.ForModel("gpt-4o"))
	for n := range 400 {
		y.add([]byte(" river runs, über 日本"[:1+n%20]))
		most := y.most()
		if n%7 > 0 {
			continue
		}
		if got := y.peek(); got > most || y.most() != got {
			t.Fatalf("%d: %d tokens, %d at most before they were counted, %d after that", n, got, most, y.most())
		}
	}
}
