package gemini_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/gemini"
)

// client asks for what a test says, in OpenAI's words.
type client struct {
	ai.Dialect
	chat  *ai.Chat
	embed *ai.EmbedRequest
}

func (client) Schema() ai.Schema                              { return ai.OpenAI }
func (c client) DecodeChat(ai.Op, []byte) (*ai.Chat, error)   { return c.chat, nil }
func (c client) DecodeEmbed([]byte) (*ai.EmbedRequest, error) { return c.embed, nil }

func exchange(c ai.Chat, model string) *ai.Exchange {
	return &ai.Exchange{Op: ai.OpChat, Client: client{chat: &c}, Target: ai.Target{Provider: gemini.Provider{}, Model: model}}
}

func ptr[T any](v T) *T { return &v }

func say(r ai.Role, parts ...ai.Part) ai.Message { return ai.Message{Role: r, Parts: parts} }

func text(s string) ai.Part { return ai.Part{Kind: ai.PartText, Text: s} }

func call(id, name, args string) ai.Part {
	return ai.Part{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: id, Name: name, Arguments: args}}
}

func result(id string, parts ...ai.Part) ai.Part {
	return ai.Part{Kind: ai.PartToolResult, Result: &ai.ToolResult{CallID: id, Parts: parts}}
}

// member is what the request for x says at a path of keys.
func member(t *testing.T, x *ai.Exchange, keys ...string) string {
	t.Helper()
	var out ai.HTTPRequest
	if err := (gemini.Provider{}).EncodeRequest(x, &out); err != nil {
		t.Fatalf("EncodeRequest: %v", err)
	}
	var v any
	if err := json.Unmarshal(out.Body, &v); err != nil {
		t.Fatalf("%s: %v", out.Body, err)
	}
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPaths(t *testing.T) {
	f := func(model string, op ai.Op, stream bool, want string) {
		t.Helper()
		x := exchange(ai.Chat{Messages: []ai.Message{say(ai.RoleUser, text("Hi"))}}, model)
		x.Op, x.Request.Stream = op, stream
		x.Client = client{chat: &ai.Chat{Messages: []ai.Message{say(ai.RoleUser, text("Hi"))}}, embed: &ai.EmbedRequest{}}
		var out ai.HTTPRequest
		if err := (gemini.Provider{}).EncodeRequest(x, &out); err != nil {
			t.Fatal(err)
		}
		if got := out.Method + " " + out.Path + "?" + out.Query; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	f("gemini-2.5-flash", ai.OpChat, false, "POST /v1beta/models/gemini-2.5-flash:generateContent?")
	f("models/gemini-2.5-flash", ai.OpChat, true, "POST /v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
	f("tunedModels/mine", ai.OpCountTokens, false, "POST /v1beta/tunedModels/mine:countTokens?")
	f("../../x?y", ai.OpEmbeddings, false, "POST /v1beta/models/..%2F..%2Fx%3Fy:batchEmbedContents?")
}

func TestThinking(t *testing.T) {
	f := func(model string, r ai.Reasoning, want string) {
		t.Helper()
		x := exchange(ai.Chat{Reasoning: &r}, model)
		if got := member(t, x, "generationConfig", "thinkingConfig"); got != want {
			t.Errorf("%s %+v: %s, want %s", model, r, got, want)
		}
	}
	f("gemini-2.5-flash", ai.Reasoning{Effort: "low"}, `{"includeThoughts":true,"thinkingBudget":1024}`)
	f("gemini-2.5-flash", ai.Reasoning{Effort: "max"}, `{"includeThoughts":true,"thinkingBudget":24576}`)
	f("gemini-2.5-pro", ai.Reasoning{Effort: "max"}, `{"includeThoughts":true,"thinkingBudget":32768}`)
	f("gemini-2.5-flash-lite", ai.Reasoning{Budget: 100}, `{"includeThoughts":true,"thinkingBudget":512}`)
	f("gemini-2.5-flash", ai.Reasoning{Off: true}, `{"thinkingBudget":0}`)
	f("gemini-2.5-flash", ai.Reasoning{Adaptive: true, Hide: true}, `{"thinkingBudget":-1}`)
	f("gemini-3-flash-preview", ai.Reasoning{Effort: "none"}, `{"thinkingLevel":"minimal"}`)
	f("gemini-3-pro-preview", ai.Reasoning{Effort: "medium"}, `{"includeThoughts":true,"thinkingLevel":"high"}`)
	f("gemini-3.1-pro", ai.Reasoning{Effort: "medium"}, `{"includeThoughts":true,"thinkingLevel":"medium"}`)
	f("gemini-flash-latest", ai.Reasoning{Budget: 2000}, `{"includeThoughts":true,"thinkingLevel":"medium"}`)
	f("gemini-3-pro", ai.Reasoning{Adaptive: true}, `{"includeThoughts":true}`)
	f("gemini-2.0-flash", ai.Reasoning{Off: true}, `null`)
}

func TestRefuses(t *testing.T) {
	f := func(c ai.Chat, model string, want ...string) {
		t.Helper()
		x := exchange(c, model)
		err := (gemini.Provider{}).EncodeRequest(x, &ai.HTTPRequest{})
		var u *ai.Unsupported
		if !errors.As(err, &u) || !reflect.DeepEqual(u.Params, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		x.Target.Drop = true
		if err := (gemini.Provider{}).EncodeRequest(x, &ai.HTTPRequest{}); err != nil || !reflect.DeepEqual(x.Dropped, want) {
			t.Errorf("dropped %v (%v), want %v", x.Dropped, err, want)
		}
	}
	f(ai.Chat{Reasoning: &ai.Reasoning{Off: true}}, "gemini-2.5-pro", "reasoning_effort")
	f(ai.Chat{Reasoning: &ai.Reasoning{Effort: "high"}}, "gemini-2.0-flash", "reasoning_effort")
	f(ai.Chat{Reasoning: &ai.Reasoning{Off: true}}, "gemini-3-pro", "reasoning_effort")
	f(ai.Chat{Seed: ptr[int64](1 << 40), LogitBias: []byte(`{"1":2}`)}, "gemini-2.5-pro", "seed", "logit_bias")
	f(ai.Chat{Stop: strings.Split("abcdef", "")}, "gemini-2.5-pro", "stop")
	f(ai.Chat{Extra: []ai.Field{{Name: "prediction"}}}, "gemini-2.5-pro", "prediction")
	f(ai.Chat{Messages: []ai.Message{say(ai.RoleUser, text("a"), ai.Part{Kind: ai.PartFile, Media: &ai.Media{FileID: "file-1"}})}},
		"gemini-2.5-pro", "messages[0].content[1].file")
	f(ai.Chat{Messages: []ai.Message{say(ai.RoleUser, ai.Part{Kind: ai.PartImage, Media: &ai.Media{URL: "https://x/a.png"}})}},
		"gemini-2.0-flash", "messages[0].content[0].image_url")
}

func TestContents(t *testing.T) {
	f := func(model, want string, ms ...ai.Message) {
		t.Helper()
		if got := member(t, exchange(ai.Chat{Messages: ms}, model), "contents"); got != want {
			t.Errorf("contents\n%s, want\n%s", got, want)
		}
	}
	f("gemini-3-pro", `[{"parts":[{"text":"alone"}],"role":"user"}]`, say(ai.RoleSystem, text("alone")))
	f("gemini-3-pro", `[{"parts":[{"text":""}],"role":"user"}]`, say(ai.RoleUser))
	image := ai.Part{Kind: ai.PartImage, Media: &ai.Media{MIME: "image/png", Data: "AAAA"}}
	f("gemini-3-pro", `[{"parts":[{"functionCall":{"args":{},"id":"1","name":"see"},"thoughtSignature":"skip_thought_signature_validator"},`+
		`{"functionCall":{"args":{"a":1},"id":"2","name":"do"}}],"role":"model"},`+
		`{"parts":[{"functionResponse":{"id":"1","name":"see","parts":[{"inlineData":{"data":"AAAA","mimeType":"image/png"}}],"response":{"output":"it"}}},`+
		`{"functionResponse":{"id":"2","name":"do","response":{"output":"ok"}}}],"role":"user"}]`,
		say(ai.RoleAssistant, call("1", "see", ""), call("2", "do", `{"a":1}`)),
		say(ai.RoleTool, result("1", text("it"), image)), say(ai.RoleTool, result("2", text("ok"))))
	f("gemini-2.5-pro", `[{"parts":[{"functionCall":{"args":{},"id":"1","name":"see"}}],"role":"model"},`+
		`{"parts":[{"functionResponse":{"id":"1","name":"see","response":{"output":""}}},{"inlineData":{"data":"AAAA","mimeType":"image/png"}}],"role":"user"}]`,
		say(ai.RoleAssistant, call("1", "see", "")), say(ai.RoleTool, result("1", image)))
}

func TestResultWithoutCall(t *testing.T) {
	x := exchange(ai.Chat{Messages: []ai.Message{say(ai.RoleTool, result("gone", text("x")))}}, "gemini-2.5-pro")
	err := (gemini.Provider{}).EncodeRequest(x, &ai.HTTPRequest{})
	var e *ai.Error
	if !errors.As(err, &e) || e.Status != 400 || !strings.Contains(e.Message, "gone") {
		t.Errorf("error %v, want a 400 that names the call", err)
	}
}

func stream(t *testing.T, x *ai.Exchange, frames ...string) ([]ai.Event, bool) {
	t.Helper()
	d := (gemini.Provider{}).NewStream(x)
	var all []ai.Event
	for _, f := range frames {
		evs, err := d.Decode(ai.Frame{Data: []byte(f)}, nil)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, e := range evs {
			e.Text, e.ID, e.Name = []byte(string(e.Text)), []byte(string(e.ID)), []byte(string(e.Name))
			all = append(all, e)
		}
	}
	return all, d.Done()
}

// TestSignaturesSurvive replays an answer as both client dialects give it back: in place, and with the reasoning first.
func TestSignaturesSurvive(t *testing.T) {
	x := exchange(ai.Chat{}, "gemini-3-pro")
	evs, done := stream(t, x,
		`{"candidates":[{"content":{"parts":[{"text":"Let me see","thought":true}]}}],"responseId":"r"}`,
		`{"candidates":[{"content":{"parts":[{"text":"I look."}]}}]}`,
		`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a": [1, "b c"]}},"thoughtSignature":"S1=="},
			{"functionCall":{"name":"g"}}]},"finishReason":"STOP"}]}`)
	c, err := ai.Collect(evs)
	if err != nil || !done {
		t.Fatalf("done %v, error %v", done, err)
	}
	parts := c.Choices[0].Parts
	f := func(parts []ai.Part, want string) {
		t.Helper()
		x := exchange(ai.Chat{Messages: []ai.Message{say(ai.RoleAssistant, parts...)}}, "gemini-3-pro")
		if got := member(t, x, "contents"); got != want {
			t.Errorf("contents\n%s, want\n%s", got, want)
		}
	}
	want := `[{"parts":[{"text":"I look."},{"functionCall":{"args":{"a":[1,"b c"]},"id":"call_r_0_0","name":"f"},"thoughtSignature":"S1=="},` +
		`{"functionCall":{"args":{},"id":"call_r_0_1","name":"g"}}],"role":"model"}]`
	f(parts, want)
	f([]ai.Part{parts[0], parts[2], parts[1], parts[3], parts[4]}, want)
	f([]ai.Part{{Kind: ai.PartReasoning, Text: "of Anthropic", Signature: "abc"}, parts[3]},
		`[{"parts":[{"functionCall":{"args":{"a":[1,"b c"]},"id":"call_r_0_0","name":"f"},"thoughtSignature":"skip_thought_signature_validator"}],"role":"model"}]`)
}

func TestFinish(t *testing.T) {
	f := func(body string, want ai.Finish) {
		t.Helper()
		x := exchange(ai.Chat{}, "gemini-2.5-pro")
		c, err := (gemini.Provider{}).DecodeCompletion(x, []byte(body))
		if err != nil || c.Choices[0].Finish != want || x.Finish != want {
			t.Errorf("%s: %+v, %v; want %s", body, c, err, want)
		}
	}
	f(`{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}`, ai.FinishStop)
	f(`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}]}`, ai.FinishTools)
	f(`{"candidates":[{"finishReason":"MAX_TOKENS"}]}`, ai.FinishLength)
	f(`{"candidates":[{"finishReason":"SAFETY"}]}`, ai.FinishFilter)
	f(`{"candidates":[{"finishReason":"RECITATION"}]}`, ai.FinishFilter)
	f(`{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}`, ai.FinishFilter)

	fail := func(body, want string) {
		t.Helper()
		_, err := (gemini.Provider{}).DecodeCompletion(exchange(ai.Chat{}, "gemini-2.5-pro"), []byte(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", body, err, want)
		}
	}
	fail(`{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"print(f("}]}`, "MALFORMED_FUNCTION_CALL: print(f(")
	fail(`{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}`, "no finished candidate")
	fail(`{}`, "no finished candidate")
	fail(`[`, "invalid JSON")
	fail(`{"candidates":[{"index":1000000,"finishReason":"STOP"}]}`, "out of range")
	fail(`{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"audio/wav","data":"AA"}}]},"finishReason":"STOP"}]}`, "media of type audio/wav")
	fail(`{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}`, "503: overloaded")
}

func TestUsage(t *testing.T) {
	x := exchange(ai.Chat{}, "gemini-2.5-pro")
	_, done := stream(t, x,
		`{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":10,"totalTokenCount":10}}`,
		`{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,
			"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":5,"toolUsePromptTokenCount":1,
			"promptTokensDetails":[{"modality":"TEXT","tokenCount":7},{"modality":"AUDIO","tokenCount":3}]}}`)
	want := ai.Usage{Input: 11, CachedInput: 4, Output: 7, Reasoning: 5, AudioInput: 3, Known: true}
	if x.Usage != want || !done {
		t.Errorf("usage %+v, done %v; want %+v", x.Usage, done, want)
	}
}

func TestDoneNeedsEveryCandidate(t *testing.T) {
	_, done := stream(t, exchange(ai.Chat{}, "m"),
		`{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":0},{"content":{"parts":[{"text":"b"}]},"index":1}]}`,
		`{"candidates":[{"finishReason":"STOP","index":1}]}`)
	if done {
		t.Error("done with a candidate that goes on")
	}
}

func TestDecodeError(t *testing.T) {
	f := func(status int, body string, want ai.Error) {
		t.Helper()
		want.Upstream = true
		if got := (gemini.Provider{}).DecodeError(status, func(string) string { return "" }, []byte(body)); *got != want {
			t.Errorf("%s: %+v, want %+v", body, *got, want)
		}
	}
	quota := `{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[
		{"@type":"type.googleapis.com/google.rpc.Help"},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}`
	want := ai.Error{Status: 429, Code: "RESOURCE_EXHAUSTED", Message: "quota", RetryAfter: 34500 * time.Millisecond}
	f(429, quota, want)
	f(429, "["+quota+"]", want)
	f(502, "<html>", ai.Error{Status: 502, Message: "the provider answered 502 without a message that can be read"})
	f(500, "[]", ai.Error{Status: 500, Message: "the provider answered 500 without a message that can be read"})
}
