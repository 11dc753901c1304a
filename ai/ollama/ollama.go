// Package ollama is the upstream side of Ollama's own API (https://docs.ollama.com/api): /api/chat and /api/embed. It
// knows no client dialect and imports no HTTP implementation. Ollama's OpenAI-compatible endpoint is reached by package
// openai.
//
// Ollama has no tool_choice, one answer a call, and images by value alone; what else a client may ask for is refused by
// name. Thoughts of earlier turns go back as text: local models read them whoever thought them.
package ollama

import (
	"fmt"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
)

// Provider speaks with an Ollama server. Its zero value is ready.
type Provider struct{}

var _ ai.Provider = Provider{}

// Schema implements ai.Provider.
func (Provider) Schema() ai.Schema { return ai.Ollama }

// Framing implements ai.Provider.
func (Provider) Framing() ai.Framing { return ai.NDJSON }

// EncodeRequest implements ai.Provider.
func (Provider) EncodeRequest(x *ai.Exchange, out *ai.HTTPRequest) error {
	out.Reset()
	out.Method = "POST"
	switch x.Op {
	case ai.OpChat, ai.OpCompletion:
		return encodeChat(x, out)
	case ai.OpEmbeddings:
		return encodeEmbed(x, out)
	case ai.OpCountTokens:
		return &ai.Unsupported{Provider: ai.Ollama, Params: []string{"count_tokens"}}
	}
	return fmt.Errorf("ollama: no call for the operation %s", x.Op)
}

// encoder writes one request.
type encoder struct {
	body.Writer
	c    *ai.Chat
	gaps ai.Gaps
}

func encodeChat(x *ai.Exchange, out *ai.HTTPRequest) error {
	c, err := x.Chat()
	if err != nil {
		return err
	}
	out.Path = "/api/chat"
	e := encoder{Writer: body.Writer{B: out.Body}, c: c, gaps: ai.NewGaps(x)}
	e.Open()
	e.Text("model", x.Target.Model)
	e.Array("messages")
	for i := range c.Messages {
		e.message(i)
	}
	e.End()
	e.tools()
	e.format(c.Format)
	e.options()
	e.Bool("stream", x.Request.Stream)
	e.think(c.Reasoning)
	e.logprobs()
	e.rest()
	e.Shut()
	out.Body = e.B
	return e.gaps.Err(x, ai.Ollama)
}

// options writes the parameters of sampling (https://docs.ollama.com/modelfile#valid-parameters-and-values).
func (e *encoder) options() {
	c := e.c
	e.Object("options")
	if c.MaxOutput > 0 {
		e.Int("num_predict", c.MaxOutput)
	}
	e.Float("temperature", c.Temperature)
	e.Float("top_p", c.TopP)
	if c.TopK != nil {
		e.Int("top_k", *c.TopK)
	}
	e.Float("frequency_penalty", c.FrequencyPenalty)
	e.Float("presence_penalty", c.PresencePenalty)
	if c.Seed != nil {
		e.Int("seed", int(*c.Seed))
	}
	if len(c.Stop) > 0 {
		e.Array("stop")
		for _, s := range c.Stop {
			e.Element(s)
		}
		e.End()
	}
	e.Shut()
}

func (e *encoder) format(f *ai.Format) {
	switch {
	case f == nil || f.Kind == ai.FormatText:
	case f.Kind == ai.FormatSchema && len(f.Schema) > 0:
		e.Raw("format", f.Schema)
	default:
		e.Text("format", "json")
	}
}

// think writes whether and how long to think: a boolean, or low, medium or high (https://docs.ollama.com/capabilities/thinking).
func (e *encoder) think(r *ai.Reasoning) {
	if r == nil {
		return
	}
	effort := r.Effort
	if effort == "" && r.Budget > 0 {
		effort = ai.Effort(r.Budget)
	}
	switch {
	case r.Off || effort == "none":
		e.Bool("think", false)
	case effort == "":
		e.Bool("think", true)
	case effort == "minimal":
		e.Text("think", "low")
	case effort == "low" || effort == "medium":
		e.Text("think", effort)
	default:
		e.Text("think", "high")
	}
}

func (e *encoder) logprobs() {
	if e.c.Logprobs == nil || !*e.c.Logprobs {
		return
	}
	e.Bool("logprobs", true)
	if n := e.c.TopLogprobs; n != nil && *n > 0 {
		e.Int("top_logprobs", *n)
	}
}

// rest refuses what is left.
func (e *encoder) rest() {
	c := e.c
	if c.N > 1 {
		e.gaps.Refuse("n")
	}
	if len(c.LogitBias) > 0 {
		e.gaps.Refuse("logit_bias")
	}
	switch c.ServiceTier {
	case "", "auto", "default", "standard_only":
	default:
		e.gaps.Refuse("service_tier")
	}
	if c.Store != nil && *c.Store {
		e.gaps.Leave("store")
	}
	if c.User != "" {
		e.gaps.Leave("user")
	}
	if len(c.Metadata) > 0 {
		e.gaps.Leave("metadata")
	}
	e.gaps.Extras(c.Extra)
}
