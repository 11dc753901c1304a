package openai_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/openai"
)

// foreign is a client of Anthropic's schema that asks for what the test says.
type foreign struct {
	openai.Dialect
	chat *ai.Chat
}

func (foreign) Schema() ai.Schema                            { return ai.Anthropic }
func (f foreign) DecodeChat(ai.Op, []byte) (*ai.Chat, error) { return f.chat, nil }

func ptr[T any](v T) *T { return &v }

func text(s string) ai.Part { return ai.Part{Kind: ai.PartText, Text: s} }

func user(parts ...ai.Part) ai.Message { return ai.Message{Role: ai.RoleUser, Parts: parts} }

func from(c *ai.Chat, model string, drop bool) *ai.Exchange {
	c.Family = ai.Anthropic
	return &ai.Exchange{Op: ai.OpChat, Client: foreign{chat: c}, Target: ai.Target{Provider: openai.Provider{}, Model: model, Drop: drop}}
}

// TestForeign translates what a client of Anthropic's schema can say.
func TestForeign(t *testing.T) {
	f := func(name string, c *ai.Chat, model string) {
		t.Helper()
		var out ai.HTTPRequest
		x := from(c, model, false)
		if err := (openai.Provider{}).EncodeRequest(x, &out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		valid(t, out.Body)
		g := &golden{T: t, dir: filepath.Join("testdata", "foreign")}
		if err := os.MkdirAll(g.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		dropped, _ := json.Marshal(x.Dropped)
		g.want(name+".json", append(pretty(t, json.RawMessage(out.Body)), "dropped "+string(dropped)+"\n"...))
	}
	image := ai.Part{Kind: ai.PartImage, Media: &ai.Media{MIME: "image/png", Data: "iVBO"}}
	tools := func() *ai.Chat {
		return &ai.Chat{
			MaxOutput: 1024, Temperature: ptr(0.5), Stop: []string{"END"}, User: "u-1", Stream: true, ParallelTools: ptr(false),
			Reasoning:  &ai.Reasoning{Budget: 4000},
			ToolChoice: ai.ToolChoice{Mode: ai.ToolsRequired},
			Tools:      []ai.Tool{{Name: "look", Description: "Looks", Schema: json.RawMessage(`{"type":"object"}`), CacheControl: json.RawMessage(`{"type":"ephemeral"}`)}},
			Messages: []ai.Message{
				{Role: ai.RoleSystem, Parts: []ai.Part{{Kind: ai.PartText, Text: "Be kind.", CacheControl: json.RawMessage(`{"type":"ephemeral"}`)}, text("Be terse.")}},
				user(text("Look twice."), image),
				{Role: ai.RoleAssistant, Parts: []ai.Part{
					{Kind: ai.PartReasoning, Text: "I should look.", Signature: "sig"},
					{Kind: ai.PartReasoning, Signature: "data", Redacted: true},
					{Kind: ai.PartReasoning, Signature: "gemini:abc"},
					text("Looking."),
					{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: "toolu_1", Name: "look", Arguments: `{"at":1}`}},
					{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: "toolu_2", Name: "look", Arguments: `{}`}},
				}},
				{Role: ai.RoleTool, Parts: []ai.Part{
					{Kind: ai.PartToolResult, Result: &ai.ToolResult{CallID: "toolu_1", Parts: []ai.Part{text("a"), image, text("b")}}},
					{Kind: ai.PartToolResult, Result: &ai.ToolResult{CallID: "toolu_2", IsError: true, Parts: []ai.Part{text("not there")}}},
				}},
				user(text("And?")),
				{Role: ai.RoleAssistant, Parts: []ai.Part{{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: "toolu_3", Name: "look"}}}},
				{Role: ai.RoleTool, Parts: []ai.Part{{Kind: ai.PartToolResult, Result: &ai.ToolResult{CallID: "toolu_3", IsError: true, Parts: []ai.Part{image}}}}},
			},
		}
	}
	f("tools_own", tools(), "gpt-5")
	f("tools_compatible", tools(), "qwen3")
	f("files", &ai.Chat{
		Format: &ai.Format{Kind: ai.FormatSchema, Schema: json.RawMessage(`{"type":"object"}`)},
		Messages: []ai.Message{user(
			ai.Part{Kind: ai.PartFile, Media: &ai.Media{MIME: "application/pdf", Data: "JVBE"}},
			ai.Part{Kind: ai.PartFile, Media: &ai.Media{MIME: "text/plain", Data: "SGVsbG8=", Name: "a.txt"}},
			ai.Part{Kind: ai.PartImage, Media: &ai.Media{URL: "https://example.com/a.png"}},
		), {Role: ai.RoleAssistant, Parts: []ai.Part{{Kind: ai.PartReasoning, Text: "hm"}, text("ok")}}, user(text("x"))},
	}, "mistral")
}

func TestUnsupported(t *testing.T) {
	f := func(c *ai.Chat, want ...string) {
		t.Helper()
		if c.Messages == nil {
			c.Messages = []ai.Message{user(text("x"))}
		}
		var out ai.HTTPRequest
		var u *ai.Unsupported
		err := openai.Provider{}.EncodeRequest(from(c, "gpt-5", false), &out)
		if !errors.As(err, &u) || !slices.Equal(u.Params, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		x := from(c, "gpt-5", true)
		if err := (openai.Provider{}).EncodeRequest(x, &out); err != nil {
			t.Errorf("with Drop: %v", err)
		}
		valid(t, out.Body)
		for _, p := range want {
			if !slices.Contains(x.Dropped, p) {
				t.Errorf("dropped %v, want %v", x.Dropped, want)
			}
		}
	}
	f(&ai.Chat{TopK: ptr(5)}, "top_k")
	f(&ai.Chat{Tools: []ai.Tool{{Raw: json.RawMessage(`{"type":"web_search_20250305","name":"web_search"}`)}, {Name: "f"}}}, "tools[0]")
	f(&ai.Chat{Extra: []ai.Field{{Name: "mcp_servers", Value: json.RawMessage(`[]`)}}}, "mcp_servers")
	f(&ai.Chat{Messages: []ai.Message{user(text("x"), ai.Part{Kind: ai.PartOpaque, Raw: json.RawMessage(`{"type":"container_upload"}`)})}}, "messages[0].content[1]")
	f(&ai.Chat{Messages: []ai.Message{user(ai.Part{Kind: ai.PartFile, Media: &ai.Media{URL: "https://example.com/a.pdf"}})}}, "messages[0].content[0].document")
	f(&ai.Chat{Messages: []ai.Message{user(ai.Part{Kind: ai.PartImage, Media: &ai.Media{FileID: "file_1"}})}}, "messages[0].content[0].image")
	x := from(&ai.Chat{Messages: []ai.Message{user(text("x"))}}, "gpt-5", false)
	x.Op = ai.OpCountTokens
	var u *ai.Unsupported
	if err := (openai.Provider{}).EncodeRequest(x, &ai.HTTPRequest{}); !errors.As(err, &u) || u.Params[0] != "count_tokens" {
		t.Errorf("count_tokens: %v", err)
	}
}

// TestThoughtsComeBack plays a turn with signed thoughts to a client and reads what the client hands back.
func TestThoughtsComeBack(t *testing.T) {
	parts := []ai.Part{
		{Kind: ai.PartReasoning, Text: "first \"thought\"", Signature: "sig1"},
		{Kind: ai.PartReasoning, Signature: "data", Redacted: true},
		{Kind: ai.PartReasoning, Text: "second", Signature: "sig2"},
		text("answer"),
		{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: "a", Name: "f", Arguments: "{}"}},
	}
	x := &ai.Exchange{Op: ai.OpChat, Client: dialect}
	out, err := dialect.AppendCompletion(nil, x, &ai.Completion{ID: "x", Model: "m", Choices: []ai.Choice{{Parts: parts, Finish: ai.FinishTools}}})
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Choices []struct{ Message json.RawMessage }
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	next := `{"model":"m","messages":[{"role":"user","content":"x"},` + string(answer.Choices[0].Message) + `]}`
	c, err := dialect.DecodeChat(ai.OpChat, []byte(next))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := pretty(t, c.Messages[1].Parts), pretty(t, parts); string(got) != string(want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(c.Extra) > 0 {
		t.Errorf("unread: %v", c.Extra)
	}
}

func TestHiddenThoughts(t *testing.T) {
	x := &ai.Exchange{Op: ai.OpChat, Client: dialect}
	x.Request.Raw = []byte(`{"model":"m","reasoning":{"exclude":true},"messages":[{"role":"user","content":"x"}]}`)
	c := &ai.Completion{ID: "x", Model: "m", Choices: []ai.Choice{{Parts: []ai.Part{{Kind: ai.PartReasoning, Text: "secret"}, {Kind: ai.PartReasoning, Text: "secret", Signature: "sig"}, text("t")}}}}
	out, err := dialect.AppendCompletion(nil, x, c)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := dialect.NewEncoder(x).AppendEvents(nil, []ai.Event{
		{Kind: ai.EventReasoning, Text: []byte("secret")}, {Kind: ai.EventSignature, Text: []byte("sig")}, {Kind: ai.EventText, Part: 1, Text: []byte("t")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{out, stream} {
		if strings.Contains(string(b), "secret") || !strings.Contains(string(b), "sig") {
			t.Errorf("got %s", b)
		}
	}
}

func TestLongUser(t *testing.T) {
	f := func(model, want string) {
		t.Helper()
		x := from(&ai.Chat{User: strings.Repeat("u", 65), Messages: []ai.Message{user(text("x"))}}, model, false)
		var out ai.HTTPRequest
		if err := (openai.Provider{}).EncodeRequest(x, &out); err != nil {
			t.Fatal(err)
		}
		var got struct{ User string }
		if err := json.Unmarshal(out.Body, &got); err != nil || got.User != want {
			t.Errorf("%s: got %q, want %q", model, got.User, want)
		}
	}
	f("gpt-5", "f20e249d15fa4b9f44ba21d154f62e1efa76ddfdce5d25139a33a4787cee5a8b")
	f("qwen3", strings.Repeat("u", 65))
}

func TestStreamOfForeignEvents(t *testing.T) {
	x := &ai.Exchange{Op: ai.OpChat, Client: dialect, Request: ai.Request{Model: "smart"}}
	enc := dialect.NewEncoder(x)
	out, err := enc.AppendEvents(nil, []ai.Event{
		{Kind: ai.EventStart, ID: []byte("msg_1"), Name: []byte("claude")},
		{Kind: ai.EventReasoning, Part: 0, Text: []byte("a")},
		{Kind: ai.EventSignature, Part: 0, Text: []byte("sig")},
		{Kind: ai.EventText, Part: 1, Text: []byte("t")},
		{Kind: ai.EventReasoning, Part: 2, Text: []byte("b")},
		{Kind: ai.EventSignature, Part: 3, Text: []byte("data"), Redacted: true},
		{Kind: ai.EventPing},
		{Kind: ai.EventFinish, Finish: ai.FinishRefusal},
	})
	if err != nil {
		t.Fatal(err)
	}
	framesAreJSON(t, out)
	for _, want := range []string{
		`"id":"msg_1"`, `"model":"claude"`, `"delta":{"role":"assistant","content":""}`,
		`{"reasoning_content":"a","reasoning_details":[{"type":"reasoning.text","index":0,"text":"a"}]}`,
		`{"reasoning_details":[{"type":"reasoning.text","index":0,"signature":"sig"}]}`,
		`{"reasoning_content":"b","reasoning_details":[{"type":"reasoning.text","index":1,"text":"b"}]}`,
		`{"reasoning_details":[{"type":"reasoning.encrypted","index":2,"data":"data"}]}`,
		`"finish_reason":"content_filter"`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "usage") || strings.Contains(string(out), "DONE") {
		t.Errorf("usage or an end in\n%s", out)
	}
	bare := dialect.NewEncoder(x)
	out, _ = bare.AppendEvents(nil, []ai.Event{{Kind: ai.EventText, Text: []byte("x")}})
	if !strings.Contains(string(out), `"model":"smart"`) {
		t.Errorf("without a start: %s", out)
	}
	if got := string(bare.AppendKeepAlive(nil)); got != ": keep-alive\n\n" {
		t.Errorf("keep-alive: %q", got)
	}
}
