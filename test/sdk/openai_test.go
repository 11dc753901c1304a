package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

	"github.com/nantian-gw/nantian/test/rig"
)

// png is a red square of one pixel.
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

var (
	weather = map[string]any{
		"city": map[string]any{"type": "string"},
		"unit": map[string]any{"type": "string", "enum": []string{"celsius", "fahrenheit"}},
	}
	clock  = map[string]any{"zone": map[string]any{"type": "string"}}
	recipe = map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"name", "minutes"},
		"properties": map[string]any{"name": map[string]any{"type": "string"}, "minutes": map[string]any{"type": "integer"}},
	}
)

// openAI is the SDK as a client of a gateway.
type openAI struct {
	*world
	openai.Client
}

func TestOpenAI(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := &openAI{w, openai.NewClient(option.WithBaseURL(w.url+"/v1"), option.WithAPIKey("sk-of-the-client"), option.WithMaxRetries(0))}
	for _, s := range rig.Schemas {
		for name, test := range map[string]func(*testing.T, string){
			"chat": c.testChat, "stream": c.testStream, "tools": c.testTools, "structured output": c.testFormat,
			"embeddings": c.testEmbeddings, "image": c.testImage, "reasoning": c.testReasoning, "errors": c.testErrors,
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

func (c *openAI) ask(model, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

// chat makes a call that has to succeed, and gives its first choice.
func (c *openAI) chat(t *testing.T, p openai.ChatCompletionNewParams) openai.ChatCompletionChoice {
	t.Helper()
	r, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if r.Usage.PromptTokens == 0 || r.Usage.CompletionTokens == 0 {
		t.Errorf("usage %s", r.Usage.RawJSON())
	}
	return r.Choices[0]
}

// stream is chat for a streamed answer.
func (c *openAI) stream(t *testing.T, p openai.ChatCompletionNewParams) openai.ChatCompletionChoice {
	t.Helper()
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	s := c.Chat.Completions.NewStreaming(t.Context(), p)
	var acc openai.ChatCompletionAccumulator
	for s.Next() {
		if !acc.AddChunk(s.Current()) {
			t.Errorf("chunk %s does not fit", s.Current().RawJSON())
		}
	}
	if s.Err() != nil || len(acc.Choices) == 0 {
		t.Fatalf("%v, %d choices", s.Err(), len(acc.Choices))
	}
	if acc.Usage.PromptTokens == 0 || acc.Usage.CompletionTokens == 0 {
		t.Errorf("usage %+v", acc.Usage)
	}
	return acc.Choices[0]
}

func (c *openAI) testChat(t *testing.T, model string) {
	r := c.chat(t, c.ask(model, "How are you?"))
	if !strings.HasPrefix(r.Message.Content, "Hello, this is sim") || r.FinishReason != "stop" {
		t.Errorf("got %s", r.RawJSON())
	}
}

func (c *openAI) testStream(t *testing.T, model string) {
	whole, streamed := c.chat(t, c.ask(model, "How are you?")), c.stream(t, c.ask(model, "How are you?"))
	if whole.Message.Content != streamed.Message.Content || streamed.FinishReason != "stop" {
		t.Errorf("got %q %s, want %q", streamed.Message.Content, streamed.FinishReason, whole.Message.Content)
	}
}

var openAITools = []openai.ChatCompletionToolUnionParam{
	openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather", Parameters: shared.FunctionParameters{
		"type": "object", "properties": weather, "required": []string{"city", "unit"}}}),
	openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_time", Parameters: shared.FunctionParameters{
		"type": "object", "properties": clock, "required": []string{"zone"}}}),
}

func (c *openAI) testTools(t *testing.T, model string) {
	p := c.ask(model, "Call get_weather and get_time")
	p.Tools = openAITools
	for _, r := range []openai.ChatCompletionChoice{c.chat(t, p), c.stream(t, p)} {
		if r.FinishReason != "tool_calls" || len(r.Message.ToolCalls) != 2 || r.Message.ToolCalls[0].ID == r.Message.ToolCalls[1].ID {
			t.Fatalf("finish %s, calls %+v", r.FinishReason, r.Message.ToolCalls)
		}
		next := p
		next.Messages = append(p.Messages[:1:1], r.Message.ToParam())
		for _, call := range r.Message.ToolCalls {
			var arguments map[string]string
			if err := json.Unmarshal([]byte(call.Function.Arguments), &arguments); err != nil || len(arguments) == 0 {
				t.Errorf("%s: arguments %q: %v", call.Function.Name, call.Function.Arguments, err)
			}
			next.Messages = append(next.Messages, openai.ToolMessage("result of "+call.Function.Name, call.ID))
		}
		next.ToolChoice.OfAuto = openai.String("none")
		if r := c.stream(t, next); !strings.Contains(r.Message.Content, "result of") {
			t.Errorf("after the results: %q", r.Message.Content)
		}
	}
}

func (c *openAI) testFormat(t *testing.T, model string) {
	p := c.ask(model, "A recipe")
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "recipe", Strict: openai.Bool(true), Schema: recipe}}
	for _, r := range []openai.ChatCompletionChoice{c.chat(t, p), c.stream(t, p)} {
		var got struct {
			Name    *string
			Minutes *int
		}
		if err := json.Unmarshal([]byte(r.Message.Content), &got); err != nil || got.Name == nil || got.Minutes == nil {
			t.Errorf("%q: %v", r.Message.Content, err)
		}
	}
}

func (c *openAI) testEmbeddings(t *testing.T, model string) {
	r, err := c.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: model,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"river", "gateway"}}})
	if model == "sim-anthropic" { // it has none
		wantOpenAI(t, err, 400, "")
		return
	}
	if err != nil || len(r.Data) != 2 || len(r.Data[0].Embedding) < 2 || r.Usage.PromptTokens == 0 {
		t.Errorf("%v %+v", err, r)
	}
}

func (c *openAI) testImage(t *testing.T, model string) {
	p := openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{
		openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.TextContentPart("What is this?"),
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + png}),
		})}}
	want := "Attachments received: 1"
	if model == "sim-ollama" { // the simulator counts Ollama's images elsewhere
		want = "What is this?"
	}
	if r := c.chat(t, p); !strings.Contains(r.Message.Content, want) {
		t.Errorf("got %q", r.Message.Content)
	}
}

// testReasoning sends thoughts back with their signatures, which Anthropic and Gemini check.
func (c *openAI) testReasoning(t *testing.T, model string) {
	p := c.ask(model, "Think, then call get_weather")
	p.Tools, p.ReasoningEffort = openAITools, shared.ReasoningEffortHigh
	r := c.chat(t, p)
	if (model == "sim-anthropic" || model == "sim-gemini") && !strings.Contains(r.Message.RawJSON(), `"signature":"`) {
		t.Errorf("no signature in %s", r.Message.RawJSON())
	}
	p.Messages = append(p.Messages,
		param.Override[openai.ChatCompletionMessageParamUnion](json.RawMessage(r.Message.RawJSON())),
		openai.ToolMessage("sunny", r.Message.ToolCalls[0].ID))
	p.ToolChoice.OfAuto = openai.String("none")
	if r := c.stream(t, p); !strings.Contains(r.Message.Content, "sunny") {
		t.Errorf("got %q", r.Message.Content)
	}
}

// wantOpenAI checks an error of the SDK.
func wantOpenAI(t *testing.T, err error, status int, part string) {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) || e.StatusCode != status || e.Type == "" || !strings.Contains(e.Message, part) {
		t.Errorf("got %v, want status %d and %q", err, status, part)
	}
}

func (c *openAI) testErrors(t *testing.T, model string) {
	for _, status := range []int{400, 403, 404, 409, 422, 429, 500, 503} {
		p, part := c.ask(model, fmt.Sprintf("Hi [[simulate: status=%d]]", status)), fmt.Sprintf("asked to answer with status %d", status)
		_, err := c.Chat.Completions.New(t.Context(), p)
		wantOpenAI(t, err, status, part)
		s := c.Chat.Completions.NewStreaming(t.Context(), p)
		for s.Next() {
			t.Errorf("chunk %s", s.Current().RawJSON())
		}
		wantOpenAI(t, s.Err(), status, part)
	}
	_, err := c.Chat.Completions.New(t.Context(), c.ask(model, "Hi [[simulate: status=401]]"))
	wantOpenAI(t, err, 401, "credentials")
}

// testRetry: the SDK waits as Retry-After says and asks again.
func (c *openAI) testRetry(t *testing.T, model string) {
	mark, begun := "retry-go-openai-"+model, time.Now()
	_, err := c.Chat.Completions.New(t.Context(), c.ask(model, mark+" [[simulate: status=429 retry-after=1]]"), option.WithMaxRetries(1))
	wantOpenAI(t, err, 429, "")
	if took, n := time.Since(begun), c.calls(mark); took < time.Second || n != 2 {
		t.Errorf("%d calls in %v", n, took)
	}
}

// testBroken: what breaks off or fails midway is an error of the SDK, never the end of a stream.
func (c *openAI) testBroken(t *testing.T, model string) {
	for fault, part := range map[string]string{"error-after=9": "asked to break this stream", "cut-after=9": "ended before the answer was complete"} {
		s := c.Chat.Completions.NewStreaming(t.Context(), c.ask(model, "Hi [[simulate: tokens=40 "+fault+"]]"))
		for s.Next() {
		}
		if s.Err() == nil || !strings.Contains(s.Err().Error(), part) {
			t.Errorf("%s: got %v", fault, s.Err())
		}
	}
}

func (c *openAI) testCancel(t *testing.T, model string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := c.sim.Stats().OpenStreams
	s := c.Chat.Completions.NewStreaming(ctx, c.ask(model, "Go on [[simulate: tokens=4000 delay=50ms]]"))
	for range 4 {
		if !s.Next() {
			t.Fatal(s.Err())
		}
	}
	cancel()
	rig.Eventually(t, rig.Patience, "the provider sees that the client left", func() bool { return c.sim.Stats().OpenStreams <= open })
}

func (c *openAI) testModels(t *testing.T) {
	list, err := c.Models.List(t.Context())
	if err != nil || len(list.Data) != len(rig.Schemas) || list.Data[0].ID != "sim-openai" {
		t.Errorf("%v %+v", err, list)
	}
	if m, err := c.Models.Get(t.Context(), "sim-gemini"); err != nil || m.ID != "sim-gemini" {
		t.Errorf("%v %+v", err, m)
	}
	_, err = c.Models.Get(t.Context(), "nobody")
	wantOpenAI(t, err, 404, "sim-gemini")
	_, err = c.Chat.Completions.New(t.Context(), c.ask("nobody", "Hi"))
	wantOpenAI(t, err, 404, "sim-gemini")
}
