package llm

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

const (
	address = "jane.doe@example.org"
	apiKey  = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
)

func guardRule(name string, action xdsv1.GuardAction, builtin ...string) *xdsv1.GuardRule {
	return &xdsv1.GuardRule{Name: name, Builtin: builtin, Request: true, Response: true, Action: action}
}

func restoring(name string, builtin ...string) *xdsv1.GuardRule {
	r := guardRule(name, xdsv1.GuardAction_MASK, builtin...)
	r.Restore = true
	return r
}

// guard adds a PromptGuardPolicy at keys.
func (g *gateway) guard(name string, monitor bool, at []string, rules ...*xdsv1.GuardRule) {
	p := &xdsv1.Policy{
		Key: xdsv1.PolicyKey(xdsv1.PolicyGuard, "ai", name), Namespace: "ai", Name: name,
		Kind: &xdsv1.Policy_PromptGuard{PromptGuard: &xdsv1.PromptGuard{Monitor: monitor, Rules: rules}},
	}
	for _, key := range at {
		p.Targets = append(p.Targets, &xdsv1.Target{Key: key})
	}
	g.rs[p.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}}
}

var chatKey = []string{xdsv1.ModelsKey("ai", "chat")}

// everyPair serves all providers of a simulator, each as a model of its own.
func everyPair(t *testing.T, g *gateway) (names []string) {
	url := simulate(t)
	var ms []*xdsv1.Model
	for schema, path := range schemasAt {
		name := strings.ToLower(strings.ReplaceAll(schema.String(), "_", "-"))
		p := g.provider(name, schema, url+path)
		ms = append(ms, &xdsv1.Model{Name: name, Targets: []*xdsv1.ModelTarget{to(p, "sim", 1, 0)}})
		names = append(names, name)
	}
	g.serve(ms...)
	slices.Sort(names)
	return names
}

// TestGuardEveryPair: each client's schema with each provider's, whole and streamed: masked, restored, blocked, watched.
func TestGuardEveryPair(t *testing.T) {
	g := newGateway(t, Options{})
	g.guard("p", false, chatKey, restoring("pii", "Email"), guardRule("secrets", xdsv1.GuardAction_BLOCK, "Secrets"),
		guardRule("cards", xdsv1.GuardAction_MASK, "CreditCard"))
	names := everyPair(t, g)
	for path, form := range clientsOf {
		for _, name := range names {
			for _, stream := range []bool{false, true} {
				ask := func(text string) *reply {
					body := fmt.Sprintf(form, name, text)
					if stream {
						body = streamed(body)
					}
					return g.ask("POST", path, body)
				}
				t.Run(fmt.Sprint(path, name, stream), func(t *testing.T) {
					said := ask("Write to " + address + " about 4111 1111 1111 1111")
					said.want(t, 200)
					text := spokenText(t, said.body, stream)
					if !strings.Contains(text, address) || !strings.Contains(text, "[CREDIT_CARD_1]") || strings.Contains(text, "4111") {
						t.Errorf("the answer is %q", text)
					}
					if u := said.x.LLM.Usage; !u.Known || u.Estimated {
						t.Errorf("usage %+v", u)
					}
					refused := ask("my key is " + apiKey)
					refused.want(t, 400, `rule \"secrets\"`, "prompt_guard_blocked")
					refused.lacks(t, apiKey)
					if found := fmt.Sprint(refused.x.Model.Guard.Found()); found != "[{ai/p secrets Block request false 1}]" {
						t.Error(found)
					}
				})
			}
		}
	}
}

// spokenText is the text of an answer, put together.
func spokenText(t *testing.T, body string, stream bool) string {
	t.Helper()
	if !stream {
		return body
	}
	var out strings.Builder
	for line := range strings.Lines(body) {
		data, ok := strings.CutPrefix(line, "data: ")
		var v struct {
			Choices []struct{ Delta struct{ Content string } }
			Delta   struct{ Text string }
		}
		if !ok || json.Unmarshal([]byte(data), &v) != nil {
			continue
		}
		out.WriteString(v.Delta.Text)
		for _, c := range v.Choices {
			out.WriteString(c.Delta.Content)
		}
	}
	return out.String()
}

// TestGuardOfAProvider: its own guard looks at what it gets alone, and where it blocks another target takes over.
func TestGuardOfAProvider(t *testing.T) {
	first, second := newVendor(t, jsonBody(completed)), newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	p := g.openAI("first", first)
	q := g.openAI("second", second)
	g.guard("p", false, []string{p.Key}, guardRule("secrets", xdsv1.GuardAction_BLOCK, "Secrets"), restoring("pii", "Email"))
	g.serve(inOrder(p, q))
	body := func(text string) string {
		return fmt.Sprintf(`{"model":"smart","messages":[{"role":"user","content":%q}]}`, text)
	}
	g.chat(body("to "+address)).want(t, 200)
	if first.asked() != 1 || strings.Contains(first.bodies[0], address) || !strings.Contains(first.bodies[0], "[EMAIL_1]") {
		t.Errorf("the provider got %v", first.bodies)
	}
	g.chat(body(apiKey+" "+address)).want(t, 200)
	if first.asked() != 1 || second.asked() != 1 || !strings.Contains(second.bodies[0], apiKey+" "+address) {
		t.Errorf("the providers got %v and %v", first.bodies, second.bodies)
	}
	// What the guard of the first has masked is not masked for the second.
	first.play(status(503))
	r := g.chat(body("again to " + address))
	r.want(t, 200)
	if second.asked() != 2 || !strings.Contains(second.bodies[1], address) {
		t.Errorf("the second got %v", second.bodies)
	}
	g.guard("q", false, []string{q.Key}, guardRule("secrets", xdsv1.GuardAction_BLOCK, "Secrets"))
	g.compile(chatKey[0])
	g.chat(body(apiKey)).want(t, 400, "prompt_guard_blocked")
	if first.asked() != 2 || second.asked() != 2 {
		t.Error("a provider got what its guard blocks")
	}
}

// TestGuardOfAStream: what is blocked in an answer ends it, the call of the provider with it.
func TestGuardOfAStream(t *testing.T) {
	gone := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		events(roleChunk, textChunk("Your key is "), "@wait:50ms", textChunk(apiKey[:7]), textChunk(apiKey[7:]), textChunk(" ok?"), "@hang")(w, r)
	})
	g := newGateway(t, Options{})
	g.guard("p", false, chatKey, guardRule("secrets", xdsv1.GuardAction_BLOCK, "Secrets"))
	g.serve(inOrder(g.openAI("a", v)))
	r := g.chat(streamed(hello))
	r.want(t, 200, "Your key is ", `rule \"secrets\"`, "prompt_guard_blocked")
	r.lacks(t, apiKey, apiKey[:7], "[DONE]", "ok?")
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Error("the call of the provider goes on")
	}
	// Blocked before anything was said: a status, not an event.
	v.play(events(roleChunk[:0]+textChunk(apiKey+" "), stopChunk, doneMark))
	r = g.chat(streamed(hello))
	r.want(t, 400, "prompt_guard_blocked")
	r.lacks(t, apiKey)
	v.play(jsonBody(strings.Replace(completed, "Hello there", "it is "+apiKey, 1)))
	r = g.chat(hello)
	r.want(t, 400, "prompt_guard_blocked")
	r.lacks(t, apiKey)
	if u := r.x.LLM.Usage; u.Input != 7 || u.Output != 2 {
		t.Errorf("usage %+v", u)
	}
	r = g.chat(streamed(hello)) // answered whole
	r.want(t, 400, "prompt_guard_blocked")
	r.lacks(t, apiKey)
}

// TestGuardHoldsBackLittle: what cannot become a match flows on at once, and keep-alives do.
func TestGuardHoldsBackLittle(t *testing.T) {
	next := make(chan struct{})
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		events(roleChunk, textChunk("One thing is certain. "))(w, r)
		select {
		case <-next:
		case <-r.Context().Done():
		}
		events(textChunk("Another is not."), stopChunk, usage, doneMark)(w, r)
	})
	g := newGateway(t, Options{})
	g.guard("p", false, chatKey, guardRule("all", xdsv1.GuardAction_BLOCK, "Secrets", "Email", "CreditCard", "PhoneNumber", "PromptInjection"))
	g.serve(inOrder(g.openAI("a", v)))
	x := request("POST", "/v1/chat/completions", streamed(hello))
	g.handler.Serve(x)
	var first strings.Builder
	for !strings.Contains(first.String(), "certain") {
		p, err := x.RespBody.Stream.Next()
		if err != nil {
			t.Fatal(err, first.String())
		}
		first.Write(p)
	}
	close(next)
	if rest := read(x); !strings.Contains(rest.body, "not.") || !strings.Contains(rest.body, "[DONE]") {
		t.Error(rest.body)
	}
}

// TestGuardWatches: a policy in monitor mode changes nothing, not a byte.
func TestGuardWatches(t *testing.T) {
	body := strings.Replace(hello, "Say hello", apiKey+" "+address, 1)
	answer := strings.Replace(completed, "Hello there", apiKey, 1)
	v := newVendor(t, jsonBody(answer))
	g := newGateway(t, Options{})
	g.guard("p", true, chatKey, guardRule("secrets", xdsv1.GuardAction_BLOCK, "Secrets"), restoring("pii", "Email"))
	g.serve(inOrder(g.openAI("a", v)))
	r := g.chat(body)
	if r.status != 200 || r.body != answer || !strings.Contains(v.bodies[0], apiKey+" "+address) {
		t.Errorf("%d %s\n%v", r.status, r.body, v.bodies)
	}
	if found := fmt.Sprint(r.x.Model.Guard.Found()); found != "[{ai/p secrets Block request true 1} {ai/p pii Mask request true 1} {ai/p secrets Block response true 1}]" {
		t.Error(found)
	}
}

// TestGuardOfModelNames: a name that a client makes up is part of what leaves.
func TestGuardOfModelNames(t *testing.T) {
	v := newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	p := g.openAI("a", v)
	g.guard("p", false, chatKey, restoring("secrets", "Secrets"))
	g.serve(&xdsv1.Model{Name: "*", Targets: []*xdsv1.ModelTarget{to(p, "*", 1, 0)}})
	r := g.chat(`{"model":"` + apiKey + `","messages":[]}`)
	r.want(t, 400, "prompt_guard_blocked", "model")
	r.lacks(t, apiKey)
	if v.asked() != 0 || strings.Contains(r.x.Model.Requested, apiKey) {
		t.Error("the name was passed on", v.bodies, r.x.Model.Requested)
	}
	r = g.ask("POST", "/v1/messages", `{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`, "Anthropic-Beta", "a,"+apiKey)
	r.want(t, 400, "Anthropic-Beta")
}

// hook is a webhook of our contract that finds a word.
func hook(t *testing.T, word, action string) (string, func() []string) {
	var mu sync.Mutex
	var asked []string
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {})
	v.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Role, Content string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		mu.Lock()
		asked = append(asked, q.Role+": "+q.Content)
		mu.Unlock()
		if i := strings.Index(q.Content, word); i >= 0 {
			fmt.Fprintf(w, `{"action":%q,"findings":[{"rule":"x","kind":"Word","start":%d,"end":%d,"action":%q}]}`, action, i, i+len(word), action)
			return
		}
		fmt.Fprint(w, `{"action":"Allow"}`)
	})
	return v.URL + "/check", func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

func asking(name, url string) *xdsv1.GuardRule {
	return &xdsv1.GuardRule{Name: name, Request: true, Response: true, Action: xdsv1.GuardAction_BLOCK,
		Webhook: &xdsv1.GuardWebhook{Endpoint: &xdsv1.GuardWebhook_Url{Url: url}}}
}

// TestGuardAsksWebhooks: they see what the other rules left, and what they mask or block is masked or blocked.
func TestGuardAsksWebhooks(t *testing.T) {
	url, asked := hook(t, "there", "Mask")
	v := newVendor(t, jsonBody(strings.Replace(completed, "Hello there", "Hello there, [EMAIL_1]", 1)))
	g := newGateway(t, Options{})
	g.guard("p", false, chatKey, asking("service", url), restoring("pii", "Email"))
	g.serve(inOrder(g.openAI("a", v)))
	body := strings.Replace(hello, "Say hello", "who is there, "+address+"?", 1)
	g.chat(body).want(t, 200, "Hello [REDACTED_1], "+address)
	if !strings.Contains(v.bodies[0], "who is [REDACTED_1], [EMAIL_1]?") {
		t.Error(v.bodies)
	}
	for _, q := range asked() {
		if strings.Contains(q, address) {
			t.Errorf("the webhook was asked %q", q)
		}
	}
	v.play(events(roleChunk, textChunk("Hello the"), textChunk("re, [EMA"), textChunk("IL_1]. "), textChunk(strings.Repeat("And so on. ", 200)), textChunk("there"), stopChunk, usage, doneMark))
	r := g.chat(streamed(body))
	r.want(t, 200, "[DONE]")
	if text := spokenText(t, r.body, true); !strings.HasPrefix(text, "Hello [REDACTED_1], "+address+". And so on.") || !strings.HasSuffix(text, "And so on. [REDACTED_1]") {
		t.Errorf("%q", text)
	}
	url, _ = hook(t, "hello", "Block")
	g.guard("p", false, chatKey, asking("service", url))
	g.compile(chatKey[0])
	g.chat(hello).want(t, 400, `rule \"service\"`)
	// A service that is not there: closed, or open.
	rule := asking("service", "http://127.0.0.1:1/check")
	g.guard("p", false, chatKey, rule)
	g.compile(chatKey[0])
	g.chat(hello).want(t, 503, "prompt_guard_unavailable")
	rule = asking("service", "http://127.0.0.1:1/check")
	rule.Webhook.FailOpen = true
	g.guard("p", false, chatKey, rule)
	g.compile(chatKey[0])
	v.play(jsonBody(completed))
	g.chat(hello).want(t, 200, "Hello there")
}

// requests and answers are bodies of each schema, for secrets to be put into.
var requests = map[string]string{
	"/v1/chat/completions": `{"model":"smart","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]},
		{"role":"assistant","content":"c","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":\"b\"}"}}]},{"role":"tool","tool_call_id":"c1","content":"r"}],
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string","description":"x"}}}}}],"stop":["q"],"user":"u"}`,
	"/v1/messages": `{"model":"smart","max_tokens":9,"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"t"}]},
		{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"f","input":{"a":"b"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"r"}]}],
		"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}],"stop_sequences":["q"],"metadata":{"user_id":"u"}}`,
}

var answers = map[xdsv1.Schema]string{
	xdsv1.Schema_OPENAI: `{"id":"i","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"c","reasoning_content":"r",
		"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`,
	xdsv1.Schema_ANTHROPIC: `{"id":"i","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"t"},{"type":"thinking","thinking":"t","signature":"s"},
		{"type":"tool_use","id":"i","name":"f","input":{"a":"b"}}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`,
	xdsv1.Schema_GEMINI: `{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"t"},{"text":"u","thought":true},{"functionCall":{"name":"f","args":{"a":"b"}}}]},"finishReason":"STOP"}],
		"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2},"modelVersion":"m"}`,
	xdsv1.Schema_OLLAMA: `{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":"c","thinking":"t","tool_calls":[{"function":{"name":"f","arguments":{"a":"b"}}}]},
		"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":1}`,
}

// place puts a text at a random path of a JSON value.
func place(r *rand.Rand, v any, text string) any {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		if r.IntN(6) == 0 || len(keys) == 0 {
			v[[]string{"odd", text}[r.IntN(2)]] = text
			return v
		}
		k := keys[r.IntN(len(keys))]
		v[k] = place(r, v[k], text)
		return v
	case []any:
		if len(v) == 0 {
			return []any{text}
		}
		n := r.IntN(len(v))
		v[n] = place(r, v[n], text)
		return v
	case string:
		if strings.HasPrefix(v, "{") {
			inner, _ := json.Marshal(map[string]any{"in": []any{text}})
			return string(inner)
		}
	}
	return text
}

// FuzzGuardLeaks puts a secret at a random path of a request, or of an answer, of every pair of schemas. It never leaves.
func FuzzGuardLeaks(f *testing.F) {
	for seed := range uint64(100) {
		f.Add(seed)
	}
	answered := map[string]string{}
	var mu sync.Mutex
	v := newVendor(f, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		jsonBody(answered["now"])(w, r)
	})
	g := newGateway(f, Options{})
	g.guard("p", false, chatKey, restoring("secrets", "Secrets"))
	handlers := map[xdsv1.Schema]func(path, body string) *reply{}
	for schema, at := range schemasAt {
		p := g.provider(strings.ToLower(schema.String()[:4]), schema, v.URL+at)
		g.serve(inOrder(p))
		h := g.handler
		handlers[schema] = func(path, body string) *reply {
			x := request("POST", path, body)
			h.Serve(x)
			return read(x)
		}
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 7))
		secret := "key " + apiKey // in no form of an identifier
		for schema, ask := range handlers {
			for path, form := range requests {
				answer := answers[schema]
				if schema == xdsv1.Schema_AZURE_OPENAI {
					answer = answers[xdsv1.Schema_OPENAI]
				}
				body := form
				inRequest := r.IntN(2) == 0
				var value any
				if err := json.Unmarshal([]byte(map[bool]string{true: body, false: answer}[inRequest]), &value); err != nil {
					t.Fatal(err)
				}
				changed, _ := json.Marshal(place(r, value, secret))
				if inRequest {
					body = string(changed)
				} else {
					answer = string(changed)
				}
				mu.Lock()
				answered["now"] = answer
				mu.Unlock()
				v.mu.Lock()
				v.bodies, v.heads, v.paths = nil, nil, nil
				v.mu.Unlock()
				if r.IntN(2) == 0 {
					body = streamed(body)
				}
				got := ask(path, body)
				v.mu.Lock()
				sent := fmt.Sprint(v.bodies, v.heads, v.paths)
				v.mu.Unlock()
				if strings.Contains(sent, apiKey) {
					t.Errorf("%s to %s: the provider got\n%s\nof\n%s", path, schema, sent, body)
				}
				if !inRequest && strings.Contains(got.body+fmt.Sprint(got.head), apiKey) {
					t.Errorf("%s of %s: the client got\n%s\nof\n%s", path, schema, got.body, answer)
				}
			}
		}
	})
}

// TestClosedByAPolicy: an AIBackend or AIProvider whose policy cannot be run serves nothing; another target takes over.
func TestClosedByAPolicy(t *testing.T) {
	first, second := newVendor(t, jsonBody(completed)), newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{})
	p, q := g.openAI("first", first), g.openAI("second", second)
	broken := func(key string) {
		g.rs["policy/guard/ai/x"] = &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: &xdsv1.Policy{
			Key: "policy/guard/ai/x", Namespace: "ai", Name: "x", Targets: []*xdsv1.Target{{Key: key}}, Kind: &xdsv1.Policy_Invalid{Invalid: "because"},
		}}}
		g.serve(inOrder(p, q))
	}
	broken(p.Key)
	g.chat(hello).want(t, 200)
	if first.asked() != 0 || second.asked() != 1 {
		t.Error("a provider was asked whose policy cannot be run")
	}
	broken(chatKey[0])
	g.chat(hello).want(t, 503, "ai/x")
	g.chat(streamed(hello)).want(t, 503, "ai/x")
	if first.asked()+second.asked() != 1 {
		t.Error("a provider was asked under a policy that cannot be run")
	}
}
