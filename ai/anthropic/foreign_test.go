package anthropic_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
)

// foreign is a client of OpenAI's schema that asks for what the test says.
type foreign struct {
	ai.Dialect
	chat *ai.Chat
}

func (foreign) Schema() ai.Schema                            { return ai.OpenAI }
func (f foreign) DecodeChat(ai.Op, []byte) (*ai.Chat, error) { return f.chat, nil }
func (foreign) DecodeEmbed([]byte) (*ai.EmbedRequest, error) { return &ai.EmbedRequest{}, nil }
func ptr[T any](v T) *T                                      { return &v }
func text(s string) []ai.Part                                { return []ai.Part{{Kind: ai.PartText, Text: s}} }
func user(parts ...ai.Part) ai.Message                       { return ai.Message{Role: ai.RoleUser, Parts: parts} }
func assistant(parts ...ai.Part) ai.Message                  { return ai.Message{Role: ai.RoleAssistant, Parts: parts} }
func call(id, name, args string) ai.Part {
	return ai.Part{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: id, Name: name, Arguments: args}}
}
func result(id, s string) ai.Message {
	return ai.Message{Role: ai.RoleTool, Parts: []ai.Part{{Kind: ai.PartToolResult, Result: &ai.ToolResult{CallID: id, Parts: text(s)}}}}
}

func from(c ai.Chat, model string) *ai.Exchange {
	c.Family = ai.OpenAI
	if c.Messages == nil {
		c.Messages = []ai.Message{user(text("Hi")...)}
	}
	x := exchange(foreign{chat: &c}, nil)
	x.Target.Model = model
	return x
}

// body is the request that goes to Anthropic, as a tree.
func body(t *testing.T, x *ai.Exchange) map[string]any {
	t.Helper()
	var out ai.HTTPRequest
	if err := (anthropic.Provider{}).EncodeRequest(x, &out); err != nil {
		t.Fatalf("EncodeRequest: %v", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(out.Body, &tree); err != nil {
		t.Fatalf("%s: %v", out.Body, err)
	}
	return tree
}

func compact(t *testing.T, v any) string {
	t.Helper()
	return strings.TrimSpace(strings.Join(strings.Fields(string(pretty(t, v))), " "))
}

func TestMessagesOfOthers(t *testing.T) {
	f := func(name string, ms []ai.Message, wantSystem, want string) {
		t.Helper()
		tree := body(t, from(ai.Chat{Messages: ms}, "claude-opus-5"))
		f := func(what string, got any, want string) {
			var w any
			if want != "" {
				if err := json.Unmarshal([]byte(want), &w); err != nil {
					t.Fatalf("%s: %v", want, err)
				}
			}
			if !reflect.DeepEqual(got, w) {
				t.Errorf("%s: %s is %s, want %s", name, what, compact(t, got), compact(t, w))
			}
		}
		f("system", tree["system"], wantSystem)
		f("messages", tree["messages"], want)
	}
	f("system and developer messages are hoisted, users merged", []ai.Message{
		{Role: ai.RoleSystem, Parts: text("A")}, user(text("1")...), {Role: ai.RoleDeveloper, Parts: text("B")},
		user(text("2")...), assistant(text("")...), user(text("  \n")...), user(text("3")...),
	}, `[{"type":"text","text":"A"},{"type":"text","text":"B"}]`,
		`[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"},{"type":"text","text":"3"}]}]`)
	f("tool messages become results of one user turn, ids stay paired", []ai.Message{
		user(text("Hi")...),
		assistant(ai.Part{Kind: ai.PartText, Text: "\n"}, call("call_1", "a", `{"x":1}`), call("functions.b:0", "b", "")),
		result("call_1", "one"), result("functions.b:0", ""), user(text("go on")...),
	}, "", `[{"role":"user","content":[{"type":"text","text":"Hi"}]},
		{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"a","input":{"x":1}},
			{"type":"tool_use","id":"functions_b_0_b10186c","name":"b","input":{}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":[{"type":"text","text":"one"}]},
			{"type":"tool_result","tool_use_id":"functions_b_0_b10186c"},{"type":"text","text":"go on"}]}]`)
	f("images and files", []ai.Message{user(
		ai.Part{Kind: ai.PartImage, Media: &ai.Media{URL: "data:image/gif;base64,R0lG", Detail: "high"}},
		ai.Part{Kind: ai.PartImage, Media: &ai.Media{URL: "https://example.com/a.png"}, CacheControl: json.RawMessage(`{"type":"ephemeral"}`)},
		ai.Part{Kind: ai.PartFile, Media: &ai.Media{MIME: "application/pdf", Data: "JVBERg==", Name: "a.pdf"}},
		ai.Part{Kind: ai.PartFile, Media: &ai.Media{URL: "data:text/csv;base64,YSxi"}},
		ai.Part{Kind: ai.PartFile, Media: &ai.Media{FileID: "file_1"}},
	)}, "", `[{"role":"user","content":[
		{"type":"image","source":{"type":"base64","media_type":"image/gif","data":"R0lG"}},
		{"type":"image","source":{"type":"url","url":"https://example.com/a.png"},"cache_control":{"type":"ephemeral"}},
		{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERg=="},"title":"a.pdf"},
		{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a,b"}},
		{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]`)
	f("thoughts go back with Anthropic's signatures alone", []ai.Message{
		user(text("Hi")...),
		assistant(
			ai.Part{Kind: ai.PartReasoning, Text: "mine", Signature: "sig"},
			ai.Part{Kind: ai.PartReasoning, Signature: "data", Redacted: true},
			ai.Part{Kind: ai.PartReasoning, Text: "of a model without signatures"},
			ai.Part{Kind: ai.PartReasoning, Text: "of Gemini", Signature: ai.GeminiSignature + "x"},
			ai.Part{Kind: ai.PartRefusal, Text: "No."},
		), user(text("Why?")...),
	}, "", `[{"role":"user","content":[{"type":"text","text":"Hi"}]},{"role":"assistant","content":[
		{"type":"thinking","thinking":"mine","signature":"sig"},{"type":"redacted_thinking","data":"data"},
		{"type":"text","text":"No."}]},{"role":"user","content":[{"type":"text","text":"Why?"}]}]`)
}

func TestParametersOfOthers(t *testing.T) {
	f := func(model string, c ai.Chat, want string) {
		t.Helper()
		tree := body(t, from(c, model))
		delete(tree, "model")
		delete(tree, "messages")
		var w map[string]any
		if err := json.Unmarshal([]byte(want), &w); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(tree, w) {
			t.Errorf("%s: got %s, want %s", model, compact(t, tree), want)
		}
	}
	schema := json.RawMessage(`{"type":"object"}`)
	effort := func(e string) *ai.Reasoning { return &ai.Reasoning{Effort: e} }
	const manual, both, adaptive = "claude-sonnet-4-5-20250929", "claude-opus-4-6", "eu.anthropic.claude-sonnet-5-v1:0"

	f(adaptive, ai.Chat{}, `{"max_tokens":4096}`)
	f(manual, ai.Chat{
		MaxOutput: 7, Temperature: ptr(0.5), TopK: ptr(3), Stop: []string{"a"}, User: "u", ServiceTier: "default", Stream: true,
		ParallelTools: ptr(false), Tools: []ai.Tool{{Name: "t", Strict: ptr(false)}, {Name: "s", Schema: schema, Strict: ptr(true)}},
		Format: &ai.Format{Kind: ai.FormatSchema, Name: "n", Schema: schema}, Store: ptr(false), Logprobs: ptr(false),
		FrequencyPenalty: ptr(0.0), N: 1,
	}, `{"max_tokens":7,"temperature":0.5,"top_k":3,"stop_sequences":["a"],"metadata":{"user_id":"u"},"service_tier":"standard_only",
		"stream":true,"tool_choice":{"type":"auto","disable_parallel_tool_use":true},
		"tools":[{"name":"t","input_schema":{"type":"object","properties":{}}},{"name":"s","input_schema":{"type":"object"},"strict":true}],
		"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}}`)
	f(adaptive, ai.Chat{Temperature: ptr(1.0), TopP: ptr(1.0)}, `{"max_tokens":4096}`)
	f(manual, ai.Chat{TopP: ptr(0.5), Temperature: ptr(1.0)}, `{"max_tokens":4096,"top_p":0.5}`)

	f(manual, ai.Chat{Reasoning: effort("medium")}, `{"max_tokens":12288,"thinking":{"type":"enabled","budget_tokens":8192}}`)
	f(manual, ai.Chat{Reasoning: effort("max")}, `{"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":27904}}`)
	f(manual, ai.Chat{Reasoning: effort("high"), MaxOutput: 5000}, `{"max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":4000}}`)
	f(manual, ai.Chat{Reasoning: &ai.Reasoning{Budget: 3000, Hide: true}, MaxOutput: 5000},
		`{"max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":3000,"display":"omitted"}}`)
	f(manual, ai.Chat{Reasoning: effort("none")}, `{"max_tokens":4096,"thinking":{"type":"disabled"}}`)
	f(both, ai.Chat{Reasoning: effort("minimal")}, `{"max_tokens":4096,"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"low"}}`)
	f(adaptive, ai.Chat{Reasoning: &ai.Reasoning{Budget: 9000, Hide: true}},
		`{"max_tokens":4096,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"high"}}`)
	f("my-claude", ai.Chat{Reasoning: effort("xhigh")}, `{"max_tokens":4096,"thinking":{"type":"adaptive","display":"summarized"},"output_config":{"effort":"xhigh"}}`)
	// A turn of tool calls keeps thinking as long as its thoughts came back.
	thought := ai.Part{Kind: ai.PartReasoning, Text: "t", Signature: "sig"}
	f(manual, ai.Chat{Reasoning: effort("low"), Messages: []ai.Message{
		user(text("Hi")...), assistant(thought, call("a", "f", "{}")), result("a", "1"), assistant(call("b", "f", "{}")), result("b", "2"),
	}}, `{"max_tokens":5120,"thinking":{"type":"enabled","budget_tokens":1024}}`)
}

func TestUnsupported(t *testing.T) {
	f := func(model string, c ai.Chat, want ...string) {
		t.Helper()
		x := from(c, model)
		var out ai.HTTPRequest
		err := anthropic.Provider{}.EncodeRequest(x, &out)
		var u *ai.Unsupported
		if !errors.As(err, &u) || !reflect.DeepEqual(u.Params, want) {
			t.Errorf("got %v, want %q", err, want)
		}
		x.Target.Drop = true
		for range 2 {
			body(t, x)
			if !reflect.DeepEqual(x.Dropped, want) {
				t.Errorf("dropped %q, want %q", x.Dropped, want)
			}
		}
	}
	const manual, adaptive = "claude-haiku-4-5", "claude-opus-4-8"
	f(manual, ai.Chat{
		N: 2, Seed: ptr(int64(1)), FrequencyPenalty: ptr(1.0), PresencePenalty: ptr(-1.0), Logprobs: ptr(true), TopLogprobs: ptr(2),
		LogitBias: json.RawMessage(`{"1":2}`),
	}, "n", "seed", "frequency_penalty", "presence_penalty", "logprobs", "top_logprobs", "logit_bias")
	f(manual, ai.Chat{Temperature: ptr(1.5)}, "temperature")
	f(manual, ai.Chat{Temperature: ptr(0.5), TopP: ptr(0.5)}, "top_p")
	f(adaptive, ai.Chat{Temperature: ptr(0.0), TopP: ptr(0.9), TopK: ptr(5)}, "temperature", "top_p", "top_k")
	f(manual, ai.Chat{Format: &ai.Format{Kind: ai.FormatJSON}}, "response_format")
	f(manual, ai.Chat{Stop: []string{"\n"}}, "stop")
	f(manual, ai.Chat{ServiceTier: "flex"}, "service_tier")
	f(manual, ai.Chat{Extra: []ai.Field{{Name: "verbosity", Value: json.RawMessage(`"low"`)}}}, "verbosity")
	f(manual, ai.Chat{Tools: []ai.Tool{{Raw: json.RawMessage(`{"type":"web_search"}`)}}}, "tools[0]")
	f(manual, ai.Chat{Reasoning: &ai.Reasoning{Effort: "low"}, MaxOutput: 1100}, "reasoning_effort")
	f("claude-3-5-haiku-latest", ai.Chat{Reasoning: &ai.Reasoning{Effort: "low"}}, "reasoning_effort")
	f(manual, ai.Chat{Reasoning: &ai.Reasoning{Effort: "low"}, Tools: []ai.Tool{{Name: "f"}}, ToolChoice: ai.ToolChoice{Mode: ai.ToolsRequired}}, "reasoning_effort")
	f(manual, ai.Chat{Reasoning: &ai.Reasoning{Effort: "low"}, Messages: []ai.Message{
		user(text("Hi")...), assistant(call("a", "f", "{}")), result("a", "1"),
	}}, "reasoning_effort")
	f(manual, ai.Chat{Reasoning: &ai.Reasoning{Effort: "low"}, Temperature: ptr(0.0), TopK: ptr(1)}, "temperature", "top_k")
	f(manual, ai.Chat{Messages: []ai.Message{
		{Role: ai.RoleUser, Name: "eve", Parts: []ai.Part{
			{Kind: ai.PartText, Text: "x"},
			{Kind: ai.PartAudio, Media: &ai.Media{MIME: "audio/wav", Data: "UklG"}},
			{Kind: ai.PartFile, Media: &ai.Media{MIME: "application/zip", Data: "UEs="}},
			{Kind: ai.PartImage, Media: &ai.Media{URL: "data:nonsense"}},
			{Kind: ai.PartOpaque, Raw: json.RawMessage(`{"type":"video_url"}`)},
		}},
		assistant(ai.Part{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: "1", Name: "c", Arguments: "free", Custom: true}}),
	}}, "messages[0].name", "messages[0].content[1].input_audio", "messages[0].content[2].file", "messages[0].content[3].image_url",
		"messages[0].content[4]", "messages[1].content[0]")
}

func TestLeftHints(t *testing.T) {
	x := from(ai.Chat{
		Store: ptr(true), Metadata: json.RawMessage(`{"a":"b"}`),
		Messages: []ai.Message{user(ai.Part{Kind: ai.PartImage, Media: &ai.Media{URL: "https://example.com/a", Detail: "low"}})},
	}, "claude-opus-5")
	body(t, x)
	want := []string{"messages[0].content[0].image_url.detail", "store", "metadata"}
	if !reflect.DeepEqual(x.Dropped, want) {
		t.Errorf("dropped %q, want %q", x.Dropped, want)
	}
}

func TestArgumentsMustBeAnObject(t *testing.T) {
	for _, args := range []string{`{"a":`, `[1]`, `x`, `{"a":1,"a":2}`} {
		x := from(ai.Chat{Messages: []ai.Message{user(text("Hi")...), assistant(call("1", "f", "{}"), call("2", "f", args))}}, "claude-opus-5")
		var out ai.HTTPRequest
		err := anthropic.Provider{}.EncodeRequest(x, &out)
		var e *ai.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != "messages[1].tool_calls[1].function.arguments" {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

func TestLimitOfTarget(t *testing.T) {
	x := from(ai.Chat{}, "claude-opus-5")
	x.Target.MaxOutput = 123
	if got := body(t, x)["max_tokens"]; got != 123.0 {
		t.Errorf("max_tokens is %v, want the target's 123", got)
	}
}

func TestOtherOperations(t *testing.T) {
	var out ai.HTTPRequest
	x := from(ai.Chat{}, "claude-opus-5")
	x.Op = ai.OpEmbeddings
	var u *ai.Unsupported
	if err := (anthropic.Provider{}).EncodeRequest(x, &out); !errors.As(err, &u) || !reflect.DeepEqual(u.Params, []string{"embeddings"}) {
		t.Errorf("embeddings: %v", err)
	}
	x = from(ai.Chat{MaxOutput: 9, Temperature: ptr(2.0), Seed: ptr(int64(1)), Stream: true}, "claude-opus-5")
	x.Op = ai.OpCountTokens
	if err := (anthropic.Provider{}).EncodeRequest(x, &out); err != nil {
		t.Fatal(err)
	}
	want := `{"model":"claude-opus-5","messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`
	if out.Path != "/v1/messages/count_tokens" || string(out.Body) != want {
		t.Errorf("count_tokens: %s %s", out.Path, out.Body)
	}
}
