package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"github.com/nantian-gw/nantian/internal/simulator"
	"github.com/nantian-gw/nantian/test/rig"
)

const (
	mail   = "jane.doe@example.org"
	secret = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
)

// guarded is a gateway that masks and restores addresses, masks cards in answers, and blocks secrets on both sides.
func startGuarded(t *testing.T) *world {
	port := rig.Port(t)
	w := &world{sim: rig.Simulate(t, simulator.Options{Record: 1024}), url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	var providers strings.Builder
	var models []string
	for _, s := range rig.Schemas {
		providers.WriteString(rig.Provider(s.Name, s.Schema, w.sim.URL+s.Path))
		models = append(models, rig.Model("sim-"+s.Name, s.Name))
	}
	w.Gateway = rig.Start(t, rig.Files{"gateway.yaml": rig.Entrance(port) + providers.String() + rig.Models(models...) +
		rig.Guard("p", "Gateway, name: ai", "Enforce", "name: pii, builtin: [Email], action: Mask, restore: true",
			"name: secrets, builtin: [Secrets], action: Block", "name: words, keywords: [simulated model], scan: [Response], action: Mask",
			"name: forbidden, keywords: [forbidden fruit], scan: [Response], action: Block")})
	return w
}

// writes is a tool whose only possible argument is an address.
var writes = map[string]any{"to": map[string]any{"type": "string", "enum": []string{mail}}}

// TestGuard: masked for the provider and restored for the client, in text and in arguments of tools; blocked on both sides.
func TestGuard(t *testing.T) {
	t.Parallel()
	w := startGuarded(t)
	o := &openAI{w, openai.NewClient(option.WithBaseURL(w.url+"/v1"), option.WithAPIKey("sk-of-the-client"), option.WithMaxRetries(0))}
	a := &claude{w, anthropic.NewClient(anthropicoption.WithBaseURL(w.url), anthropicoption.WithAPIKey("sk-of-the-client"), anthropicoption.WithMaxRetries(0))}
	for _, s := range rig.Schemas {
		t.Run("openai "+s.Name, func(t *testing.T) { o.testGuard(t, "sim-"+s.Name) })
		t.Run("anthropic "+s.Name, func(t *testing.T) { a.testGuard(t, "sim-"+s.Name) })
	}
	if w.calls(mail) > 0 || w.calls(secret) > 0 || w.calls("[EMAIL_1]") == 0 {
		t.Error("the provider got what it must not, or nothing at all")
	}
}

func (c *openAI) testGuard(t *testing.T, model string) {
	p := c.ask(model, "Write to "+mail+", please")
	for _, r := range []openai.ChatCompletionChoice{c.chat(t, p), c.stream(t, p)} {
		if text := r.Message.Content; !strings.Contains(text, "Write to "+mail+", please") || !strings.Contains(text, "a [KEYWORD_1]") {
			t.Errorf("the answer is %q", text)
		}
	}
	p = c.ask(model, "Call write for "+mail)
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "write", Description: openai.String("Writes to " + mail), Parameters: shared.FunctionParameters{"type": "object", "properties": writes, "required": []string{"to"}},
	})}
	for _, r := range []openai.ChatCompletionChoice{c.chat(t, p), c.stream(t, p)} {
		var got struct{ To string }
		if len(r.Message.ToolCalls) != 1 || json.Unmarshal([]byte(r.Message.ToolCalls[0].Function.Arguments), &got) != nil || got.To != mail {
			t.Errorf("the calls are %+v", r.Message.ToolCalls)
		}
	}
	for _, text := range []string{"the key is " + secret, "a forbidden fruit"} {
		p = c.ask(model, text)
		_, err := c.Chat.Completions.New(t.Context(), p)
		c.blocked(t, err)
		s := c.Chat.Completions.NewStreaming(t.Context(), p)
		var said strings.Builder
		for s.Next() {
			for _, choice := range s.Current().Choices {
				said.WriteString(choice.Delta.Content)
			}
		}
		var refused *openai.Error // where nothing was said yet it is a status, else an event
		if errors.As(s.Err(), &refused) {
			c.blocked(t, s.Err())
		} else if s.Err() == nil || !strings.Contains(s.Err().Error(), "prompt_guard_blocked") || strings.Contains(said.String(), "fruit") {
			t.Errorf("%q, then %v", said.String(), s.Err())
		}
	}
}

func (c *openAI) blocked(t *testing.T, err error) {
	t.Helper()
	var e *openai.Error
	if !errors.As(err, &e) || e.StatusCode != 400 || e.Code != "prompt_guard_blocked" || strings.Contains(e.RawJSON(), secret) {
		t.Errorf("got %v", err)
	}
}

func (c *claude) testGuard(t *testing.T, model string) {
	p := c.ask(model, "Write to "+mail+", please")
	for _, m := range []*anthropic.Message{c.chat(t, p), c.stream(t, p)} {
		if text := m.Content[0].Text; !strings.Contains(text, "Write to "+mail+", please") || !strings.Contains(text, "a [KEYWORD_1]") {
			t.Errorf("the answer is %q", text)
		}
	}
	p = c.ask(model, "Call write for "+mail)
	p.Tools = []anthropic.ToolUnionParam{{OfTool: &anthropic.ToolParam{
		Name: "write", Description: anthropic.String("Writes to " + mail), InputSchema: anthropic.ToolInputSchemaParam{Properties: writes, Required: []string{"to"}},
	}}}
	for _, m := range []*anthropic.Message{c.chat(t, p), c.stream(t, p)} {
		var got struct{ To string }
		last := m.Content[len(m.Content)-1]
		if last.Type != "tool_use" || json.Unmarshal(last.Input, &got) != nil || got.To != mail {
			t.Errorf("the content is %+v", m.Content)
		}
	}
	for _, text := range []string{"the key is " + secret, "a forbidden fruit"} {
		p = c.ask(model, text)
		_, err := c.Messages.New(t.Context(), p)
		var e *anthropic.Error
		if !errors.As(err, &e) || e.StatusCode != 400 || !strings.Contains(e.RawJSON(), "prompt_guard_blocked") || strings.Contains(e.RawJSON(), secret) {
			t.Errorf("got %v", err)
		}
		s := c.Messages.NewStreaming(t.Context(), p)
		var said strings.Builder
		for s.Next() {
			said.WriteString(s.Current().Delta.Text)
		}
		if strings.Contains(said.String(), "fruit") || s.Err() == nil || !strings.Contains(s.Err().Error(), "prompt_guard_blocked") {
			t.Errorf("%q, then %v", said.String(), s.Err())
		}
	}
}
