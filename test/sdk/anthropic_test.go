package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/nantian-gw/nantian/test/rig"
)

// claude is Anthropic's SDK as a client of a gateway.
type claude struct {
	*world
	anthropic.Client
}

func TestAnthropic(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := &claude{w, anthropic.NewClient(option.WithBaseURL(w.url), option.WithAPIKey("sk-of-the-client"), option.WithMaxRetries(0))}
	for _, s := range rig.Schemas {
		for name, test := range map[string]func(*testing.T, string){
			"chat": c.testChat, "stream": c.testStream, "tools": c.testTools, "structured output": c.testFormat,
			"count tokens": c.testCount, "image": c.testImage, "thinking": c.testThinking, "errors": c.testErrors,
			"retry": c.testRetry, "broken stream": c.testBroken,
		} {
			t.Run(name+" "+s.Name, func(t *testing.T) {
				t.Parallel()
				test(t, "sim-"+s.Name)
			})
		}
		t.Run("cancel "+s.Name, func(t *testing.T) { c.testCancel(t, "sim-"+s.Name) })
	}
	t.Run("models", c.testModels)
}

func (c *claude) ask(model, text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{Model: model, MaxTokens: 5000,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}}
}

// chat makes a call that has to succeed.
func (c *claude) chat(t *testing.T, p anthropic.MessageNewParams) *anthropic.Message {
	t.Helper()
	m, err := c.Messages.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if m.Usage.InputTokens == 0 || m.Usage.OutputTokens == 0 {
		t.Errorf("usage %s", m.Usage.RawJSON())
	}
	return m
}

// stream is chat for a streamed answer.
func (c *claude) stream(t *testing.T, p anthropic.MessageNewParams) *anthropic.Message {
	t.Helper()
	s := c.Messages.NewStreaming(t.Context(), p)
	m := &anthropic.Message{}
	for s.Next() {
		if err := m.Accumulate(s.Current()); err != nil {
			t.Errorf("event %s: %v", s.Current().RawJSON(), err)
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	if m.Usage.InputTokens == 0 || m.Usage.OutputTokens == 0 {
		t.Errorf("usage %+v", m.Usage)
	}
	return m
}

func textOf(m *anthropic.Message) string {
	var b strings.Builder
	for _, block := range m.Content {
		b.WriteString(block.Text)
	}
	return b.String()
}

func (c *claude) testChat(t *testing.T, model string) {
	if m := c.chat(t, c.ask(model, "How are you?")); !strings.HasPrefix(textOf(m), "Hello, this is sim") || m.StopReason != "end_turn" {
		t.Errorf("got %s", m.RawJSON())
	}
}

func (c *claude) testStream(t *testing.T, model string) {
	whole, streamed := c.chat(t, c.ask(model, "How are you?")), c.stream(t, c.ask(model, "How are you?"))
	if textOf(whole) != textOf(streamed) || streamed.StopReason != "end_turn" || whole.Usage.OutputTokens != streamed.Usage.OutputTokens {
		t.Errorf("got %q %s, want %q", textOf(streamed), streamed.StopReason, textOf(whole))
	}
}

var claudeTools = []anthropic.ToolUnionParam{
	anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: weather, Required: []string{"city", "unit"}}, "get_weather"),
	anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: clock, Required: []string{"zone"}}, "get_time"),
}

// answered is the next turn after a message that calls tools.
func answered(t *testing.T, p anthropic.MessageNewParams, m *anthropic.Message, calls int) anthropic.MessageNewParams {
	t.Helper()
	var results []anthropic.ContentBlockParamUnion
	for _, block := range m.Content {
		if block.Type != "tool_use" {
			continue
		}
		var arguments map[string]string
		if err := json.Unmarshal(block.Input, &arguments); err != nil || len(arguments) == 0 {
			t.Errorf("%s: arguments %q: %v", block.Name, block.Input, err)
		}
		results = append(results, anthropic.NewToolResultBlock(block.ID, "result of "+block.Name, false))
	}
	if m.StopReason != "tool_use" || len(results) != calls {
		t.Fatalf("%s with %d calls, want %d", m.StopReason, len(results), calls)
	}
	p.Messages = append(p.Messages[:1:1], m.ToParam(), anthropic.NewUserMessage(results...))
	p.ToolChoice.OfNone = &anthropic.ToolChoiceNoneParam{}
	return p
}

func (c *claude) testTools(t *testing.T, model string) {
	p := c.ask(model, "Call get_weather and get_time")
	p.Tools = claudeTools
	for _, m := range []*anthropic.Message{c.chat(t, p), c.stream(t, p)} {
		if m := c.stream(t, answered(t, p, m, 2)); !strings.Contains(textOf(m), "result of") {
			t.Errorf("after the results: %q", textOf(m))
		}
	}
}

func (c *claude) testFormat(t *testing.T, model string) {
	p := c.ask(model, "A recipe")
	p.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: recipe}
	for _, m := range []*anthropic.Message{c.chat(t, p), c.stream(t, p)} {
		var got struct {
			Name    *string
			Minutes *int
		}
		if err := json.Unmarshal([]byte(textOf(m)), &got); err != nil || got.Name == nil || got.Minutes == nil {
			t.Errorf("%q: %v", textOf(m), err)
		}
	}
}

func (c *claude) testCount(t *testing.T, model string) {
	count := func(text string) int64 {
		n, err := c.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: model,
			Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))}})
		if err != nil {
			t.Fatal(err)
		}
		return n.InputTokens
	}
	if few, many := count("Hi"), count(strings.Repeat("Hi ", 100)); few <= 0 || many < few+50 {
		t.Errorf("%d and %d tokens", few, many)
	}
}

func (c *claude) testImage(t *testing.T, model string) {
	p := c.ask(model, "")
	p.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewImageBlockBase64("image/png", png), anthropic.NewTextBlock("What is this?"))}
	want := "Attachments received: 1"
	if model == "sim-ollama" { // the simulator counts Ollama's images elsewhere
		want = "What is this?"
	}
	if m := c.chat(t, p); !strings.Contains(textOf(m), want) {
		t.Errorf("got %q", textOf(m))
	}
}

// testThinking sends thoughts back with their signatures, which Anthropic and Gemini check.
func (c *claude) testThinking(t *testing.T, model string) {
	p := c.ask(model, "Think, then call get_weather")
	p.Tools, p.Thinking = claudeTools, anthropic.ThinkingConfigParamOfEnabled(2048)
	for _, m := range []*anthropic.Message{c.chat(t, p), c.stream(t, p)} {
		signed := false
		for _, block := range m.Content {
			signed = signed || block.Type == "thinking" && block.Signature != ""
		}
		if !signed && (model == "sim-anthropic" || model == "sim-gemini") {
			t.Errorf("no signature in %+v", m.Content)
		}
		if m := c.stream(t, answered(t, p, m, 1)); !strings.Contains(textOf(m), "result of get_weather") {
			t.Errorf("after the result: %q", textOf(m))
		}
	}
}

// wantClaude checks an error of the SDK.
func wantClaude(t *testing.T, err error, status int, kind, part string) {
	t.Helper()
	var e *anthropic.Error
	if !errors.As(err, &e) || e.StatusCode != status || string(e.Type()) != kind || !strings.Contains(e.RawJSON(), part) {
		t.Errorf("got %v, want status %d, %s and %q", err, status, kind, part)
	}
}

func (c *claude) testErrors(t *testing.T, model string) {
	for status, kind := range map[int]string{
		400: "invalid_request_error", 403: "permission_error", 404: "not_found_error",
		429: "rate_limit_error", 500: "api_error", 529: "overloaded_error",
	} {
		p, part := c.ask(model, fmt.Sprintf("Hi [[simulate: status=%d]]", status)), fmt.Sprintf("asked to answer with status %d", status)
		_, err := c.Messages.New(t.Context(), p)
		wantClaude(t, err, status, kind, part)
		s := c.Messages.NewStreaming(t.Context(), p)
		for s.Next() {
			t.Errorf("event %s", s.Current().RawJSON())
		}
		wantClaude(t, s.Err(), status, kind, part)
	}
	_, err := c.Messages.New(t.Context(), c.ask(model, "Hi [[simulate: status=401]]"))
	wantClaude(t, err, 401, "authentication_error", "credentials")
}

// testRetry: the SDK waits as Retry-After says and asks again.
func (c *claude) testRetry(t *testing.T, model string) {
	mark, begun := "retry-go-anthropic-"+model, time.Now()
	_, err := c.Messages.New(t.Context(), c.ask(model, mark+" [[simulate: status=429 retry-after=1]]"), option.WithMaxRetries(1))
	wantClaude(t, err, 429, "rate_limit_error", "")
	if took, n := time.Since(begun), c.calls(mark); took < time.Second || n != 2 {
		t.Errorf("%d calls in %v", n, took)
	}
}

// testBroken: what breaks off or fails midway is an error of the SDK, never the end of a stream.
func (c *claude) testBroken(t *testing.T, model string) {
	for fault, part := range map[string]string{"error-after=9": "asked to break this stream", "cut-after=9": "ended before the answer was complete"} {
		s := c.Messages.NewStreaming(t.Context(), c.ask(model, "Hi [[simulate: tokens=40 "+fault+"]]"))
		for s.Next() {
		}
		if s.Err() == nil || !strings.Contains(s.Err().Error(), part) {
			t.Errorf("%s: got %v", fault, s.Err())
		}
	}
}

func (c *claude) testCancel(t *testing.T, model string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := c.sim.Stats().OpenStreams
	s := c.Messages.NewStreaming(ctx, c.ask(model, "Go on [[simulate: tokens=4000 delay=50ms]]"))
	for range 6 {
		if !s.Next() {
			t.Fatal(s.Err())
		}
	}
	cancel()
	rig.Eventually(t, rig.Patience, "the provider sees that the client left", func() bool { return c.sim.Stats().OpenStreams <= open })
}

func (c *claude) testModels(t *testing.T) {
	list, err := c.Models.List(t.Context(), anthropic.ModelListParams{})
	if err != nil || len(list.Data) != len(rig.Schemas) || list.Data[0].ID != "sim-openai" {
		t.Errorf("%v %+v", err, list)
	}
	if m, err := c.Models.Get(t.Context(), "sim-gemini", anthropic.ModelGetParams{}); err != nil || m.ID != "sim-gemini" {
		t.Errorf("%v %+v", err, m)
	}
	_, err = c.Models.Get(t.Context(), "nobody", anthropic.ModelGetParams{})
	wantClaude(t, err, 404, "not_found_error", "sim-gemini")
	_, err = c.Messages.New(t.Context(), c.ask("nobody", "Hi"))
	wantClaude(t, err, 404, "not_found_error", "sim-gemini")
}
