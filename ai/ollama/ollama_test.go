package ollama_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/ollama"
)

// client asks for what a test says, in OpenAI's words.
type client struct {
	ai.Dialect
	chat *ai.Chat
}

func (client) Schema() ai.Schema                            { return ai.OpenAI }
func (c client) DecodeChat(ai.Op, []byte) (*ai.Chat, error) { return c.chat, nil }

func exchange(c ai.Chat) *ai.Exchange {
	return &ai.Exchange{Op: ai.OpChat, Client: client{chat: &c}, Target: ai.Target{Provider: ollama.Provider{}, Model: "qwen3"}}
}

func ptr[T any](v T) *T { return &v }

func say(r ai.Role, parts ...ai.Part) ai.Message { return ai.Message{Role: r, Parts: parts} }

func text(s string) ai.Part { return ai.Part{Kind: ai.PartText, Text: s} }

// member is what the request for c says under a key.
func member(t *testing.T, c ai.Chat, key string) string {
	t.Helper()
	var out ai.HTTPRequest
	if err := (ollama.Provider{}).EncodeRequest(exchange(c), &out); err != nil {
		t.Fatalf("EncodeRequest: %v", err)
	}
	var v map[string]json.RawMessage
	if err := json.Unmarshal(out.Body, &v); err != nil {
		t.Fatalf("%s: %v", out.Body, err)
	}
	return string(v[key])
}

func TestThink(t *testing.T) {
	f := func(r *ai.Reasoning, want string) {
		t.Helper()
		if got := member(t, ai.Chat{Reasoning: r}, "think"); got != want {
			t.Errorf("%+v: %s, want %s", r, got, want)
		}
	}
	f(nil, "")
	f(&ai.Reasoning{Off: true}, "false")
	f(&ai.Reasoning{Effort: "none"}, "false")
	f(&ai.Reasoning{Adaptive: true}, "true")
	f(&ai.Reasoning{Effort: "minimal"}, `"low"`)
	f(&ai.Reasoning{Effort: "xhigh"}, `"high"`)
	f(&ai.Reasoning{Budget: 5000}, `"medium"`)
}

func TestMessages(t *testing.T) {
	f := func(want string, ms ...ai.Message) {
		t.Helper()
		if got := member(t, ai.Chat{Messages: ms}, "messages"); got != want {
			t.Errorf("messages\n%s, want\n%s", got, want)
		}
	}
	image := ai.Part{Kind: ai.PartImage, Media: &ai.Media{URL: "data:image/png;base64,AAAA"}}
	call := ai.Part{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: "1", Name: "see", Arguments: `{"a":1}`}}
	f(`[{"role":"system","content":"s"},{"role":"user","content":"a\nb","images":["AAAA"]}]`,
		say(ai.RoleDeveloper, text("s")), say(ai.RoleUser, text("a"), image, text("b")))
	f(`[{"role":"assistant","content":"","thinking":"hm","tool_calls":[{"id":"1","function":{"name":"see","arguments":{"a":1}}}]},`+
		`{"role":"tool","content":"it","tool_name":"see","tool_call_id":"1"}]`,
		say(ai.RoleAssistant, ai.Part{Kind: ai.PartReasoning, Text: "hm", Signature: "x"}, call),
		say(ai.RoleTool, ai.Part{Kind: ai.PartToolResult, Result: &ai.ToolResult{CallID: "1", Parts: []ai.Part{text("it")}}}))
}

func TestRefuses(t *testing.T) {
	f := func(c ai.Chat, want ...string) {
		t.Helper()
		x := exchange(c)
		err := (ollama.Provider{}).EncodeRequest(x, &ai.HTTPRequest{})
		var u *ai.Unsupported
		if !errors.As(err, &u) || !reflect.DeepEqual(u.Params, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		x.Target.Drop = true
		if err := (ollama.Provider{}).EncodeRequest(x, &ai.HTTPRequest{}); err != nil || !reflect.DeepEqual(x.Dropped, want) {
			t.Errorf("dropped %v (%v), want %v", x.Dropped, err, want)
		}
	}
	f(ai.Chat{N: 2, LogitBias: []byte(`{}`)}, "n", "logit_bias")
	f(ai.Chat{ToolChoice: ai.ToolChoice{Mode: ai.ToolsRequired}}, "tool_choice")
	f(ai.Chat{Tools: []ai.Tool{{Name: "f", Strict: ptr(true)}, {Raw: []byte(`{}`)}}, ParallelTools: ptr(false)},
		"parallel_tool_calls", "tools[0].function.strict", "tools[1]")
	f(ai.Chat{Messages: []ai.Message{say(ai.RoleUser, ai.Part{Kind: ai.PartImage, Media: &ai.Media{URL: "https://x/y.png"}})}},
		"messages[0].content[0].image_url")
}

func TestCountTokensIsRefusedEvenIfDropped(t *testing.T) {
	x := exchange(ai.Chat{})
	x.Op, x.Target.Drop = ai.OpCountTokens, true
	var u *ai.Unsupported
	if err := (ollama.Provider{}).EncodeRequest(x, &ai.HTTPRequest{}); !errors.As(err, &u) || u.Params[0] != "count_tokens" {
		t.Errorf("error %v, want count_tokens unsupported", err)
	}
}

func TestStream(t *testing.T) {
	x := exchange(ai.Chat{})
	d := (ollama.Provider{}).NewStream(x)
	var kinds []ai.EventKind
	var said strings.Builder
	f := func(line string, done bool) {
		t.Helper()
		evs, err := d.Decode(ai.Frame{Data: []byte(line)}, nil)
		if err != nil || d.Done() != done {
			t.Fatalf("%s: done %v, error %v", line, d.Done(), err)
		}
		for _, e := range evs {
			kinds = append(kinds, e.Kind)
			said.Write(e.Text)
		}
	}
	f(`{"model":"qwen3","created_at":"2026-01-02T03:04:05.6Z","message":{"role":"assistant","content":"","thinking":"hm "},"done":false}`, false)
	f(`{"model":"qwen3","message":{"role":"assistant","content":"So\n"},"done":false}`, false)
	f(`{"model":"qwen3","message":{"content":"","tool_calls":[{"function":{"name":"f","arguments":{"a": 1}}}]},"done":false}`, false)
	f(`{"model":"qwen3","message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":9,"eval_count":4}`, true)
	want := []ai.EventKind{ai.EventStart, ai.EventReasoning, ai.EventText, ai.EventToolStart, ai.EventToolDelta, ai.EventFinish}
	if !reflect.DeepEqual(kinds, want) || said.String() != "hm So\n{\"a\":1}" {
		t.Errorf("events %v %q, want %v", kinds, said.String(), want)
	}
	if x.Finish != ai.FinishTools || x.Usage != (ai.Usage{Input: 9, Output: 4, Known: true}) {
		t.Errorf("finish %s, usage %+v", x.Finish, x.Usage)
	}
}

func TestHiddenThoughts(t *testing.T) {
	c, err := (ollama.Provider{}).DecodeCompletion(exchange(ai.Chat{Reasoning: &ai.Reasoning{Hide: true}}),
		[]byte(`{"message":{"thinking":"secret","content":"a"},"done":true,"created_at":"2026-01-02T03:04:05Z"}`))
	if err != nil || len(c.Choices[0].Parts) != 1 || c.Created != 1767323045 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestFailures(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		_, err := (ollama.Provider{}).DecodeCompletion(exchange(ai.Chat{}), []byte(body))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", body, err, want)
		}
	}
	f(`{"message":{"content":"a"},"done":false}`, "not done")
	f(`{"error":"an error was encountered while running the model"}`, "502: an error was encountered")
	f(`nope`, "invalid JSON")
	f(`[]`, "expected an object")

	e := (ollama.Provider{}).DecodeError(404, func(string) string { return "" }, []byte(`{"error":"model 'x' not found"}`))
	if want := (ai.Error{Status: 404, Message: "model 'x' not found", Upstream: true}); *e != want {
		t.Errorf("%+v, want %+v", *e, want)
	}
}

func TestLogprobs(t *testing.T) {
	c, err := (ollama.Provider{}).DecodeCompletion(exchange(ai.Chat{}), []byte(`{"message":{"content":"a"},"done":true,
		"logprobs":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-2}]}]}`))
	want := `{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-2,"bytes":null}]}],"refusal":null}`
	if err != nil || string(c.Choices[0].Logprobs) != want {
		t.Errorf("%s, %v; want %s", c.Choices[0].Logprobs, err, want)
	}
}
