package gemini

import (
	"math"

	"github.com/nantian-gw/nantian/ai"
)

// maxStop is how many stop sequences Gemini takes.
const maxStop = 5

// config writes generationConfig (https://ai.google.dev/api/generate-content#generationconfig).
func (e *encoder) config() {
	c, before := e.c, len(e.B)
	e.Object("generationConfig")
	empty := len(e.B)
	if c.MaxOutput > 0 {
		e.Int("maxOutputTokens", c.MaxOutput)
	}
	e.Float("temperature", c.Temperature)
	e.Float("topP", c.TopP)
	if c.TopK != nil {
		e.Int("topK", *c.TopK)
	}
	e.Float("frequencyPenalty", c.FrequencyPenalty)
	e.Float("presencePenalty", c.PresencePenalty)
	if c.N > 1 {
		e.Int("candidateCount", c.N)
	}
	e.seed(c.Seed)
	e.stop(c.Stop)
	e.logprobs(c)
	e.format(c.Format)
	e.reasoning(c.Reasoning)
	if len(e.B) == empty {
		e.B = e.B[:before]
		return
	}
	e.Shut()
}

// seed is 32 bits at Gemini.
func (e *encoder) seed(s *int64) {
	switch {
	case s == nil:
	case *s < math.MinInt32 || *s > math.MaxInt32:
		e.gaps.Refuse("seed")
	default:
		e.Int("seed", int(*s))
	}
}

func (e *encoder) stop(stop []string) {
	if len(stop) > maxStop {
		e.gaps.Refuse("stop")
		return
	}
	if len(stop) == 0 {
		return
	}
	e.Array("stopSequences")
	for _, s := range stop {
		e.Element(s)
	}
	e.End()
}

func (e *encoder) logprobs(c *ai.Chat) {
	if c.Logprobs == nil || !*c.Logprobs {
		return
	}
	e.Bool("responseLogprobs", true)
	if c.TopLogprobs != nil {
		e.Int("logprobs", *c.TopLogprobs)
	}
}

func (e *encoder) format(f *ai.Format) {
	if f == nil || f.Kind == ai.FormatText {
		return
	}
	e.Text("responseMimeType", "application/json")
	if f.Kind == ai.FormatSchema && len(f.Schema) > 0 {
		e.Raw("responseJsonSchema", f.Schema)
	}
}

// serviceTier translates OpenAI's and Anthropic's tiers; auto is Gemini's own choice too.
func (e *encoder) serviceTier() {
	switch e.c.ServiceTier {
	case "", "auto":
	case "default", "standard_only":
		e.Text("serviceTier", "standard")
	case "flex", "priority":
		e.Text("serviceTier", e.c.ServiceTier)
	default:
		e.gaps.Refuse("service_tier")
	}
}

// rest writes and refuses what is left.
func (e *encoder) rest() {
	c := e.c
	if c.Store != nil {
		e.Bool("store", *c.Store)
	}
	if len(c.LogitBias) > 0 {
		e.gaps.Refuse("logit_bias")
	}
	if c.User != "" {
		e.gaps.Leave("user")
	}
	if len(c.Metadata) > 0 {
		e.gaps.Leave("metadata")
	}
	e.gaps.Extras(c.Extra)
}
