package anthropic

import (
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

const (
	messagesPath = "/v1/messages"
	countPath    = "/v1/messages/count_tokens"
)

// EncodeRequest translates a chat. System and developer messages become the system prompt, consecutive messages of one
// role one turn, tool messages results in the user's turn. Text of nothing but white space, which Anthropic refuses, is
// left out, and so are thoughts without a signature of Anthropic's, which only Anthropic could check.
//
// Of structured output Anthropic has JSON schemas alone: OpenAI's json_object is not supported.
func (p Provider) EncodeRequest(x *ai.Exchange, out *ai.HTTPRequest) error {
	switch x.Op {
	case ai.OpChat, ai.OpCompletion, ai.OpCountTokens:
	default:
		return &ai.Unsupported{Provider: ai.Anthropic, Params: []string{x.Op.String()}}
	}
	c, err := x.Chat()
	if err != nil {
		return err
	}
	e := encoder{x: x, c: c, g: ai.NewGaps(x), b: out.Body[:0], count: x.Op == ai.OpCountTokens}
	if err := e.request(); err != nil {
		return err
	}
	if err := e.g.Err(x, ai.Anthropic); err != nil {
		return err
	}
	head(x, out)
	out.Body = e.b
	return nil
}

// head fills in all but the body.
func head(x *ai.Exchange, out *ai.HTTPRequest) {
	out.Reset()
	out.Method, out.Path = "POST", messagesPath
	if x.Op == ai.OpCountTokens {
		out.Path = countPath
	}
	out.Headers = append(out.Headers, ai.Header{Name: "anthropic-version", Value: Version})
	if x.Request.Beta != "" && x.Client.Schema() == ai.Anthropic {
		out.Headers = append(out.Headers, ai.Header{Name: "anthropic-beta", Value: x.Request.Beta})
	}
}

// encoder writes one request.
type encoder struct {
	x *ai.Exchange
	c *ai.Chat
	g ai.Gaps
	b []byte
	// count leaves out what count_tokens does not take.
	count bool
	// role is that of the turn which is open, "" if none is.
	role string
}

// own says whether the request came from a client of this schema.
func (e *encoder) own() bool { return e.c.Family == ai.Anthropic }

// has says whether the client gave a member that has no canonical form.
func (e *encoder) has(name string) bool {
	for i := range e.c.Extra {
		if e.c.Extra[i].Name == name {
			return true
		}
	}
	return false
}

func (e *encoder) key(name string) { e.b = jsonscan.AppendKey(e.b, name) }

func (e *encoder) raw(parts ...string) {
	for _, s := range parts {
		e.b = append(e.b, s...)
	}
}

// text appends a member with a string.
func (e *encoder) text(name, s string) {
	e.key(name)
	e.b = jsonscan.AppendQuoted(e.b, s)
}

// json appends a member as it came, if there is one.
func (e *encoder) json(name string, v []byte) {
	if len(v) > 0 {
		e.key(name)
		e.b = append(e.b, v...)
	}
}

func (e *encoder) request() error {
	e.raw("{")
	e.text("model", e.x.Target.Model)
	p := e.plan()
	if !e.count && !e.has("max_tokens") {
		e.key("max_tokens")
		e.b = jsonscan.AppendInt(e.b, p.maxOutput)
	}
	e.system()
	if err := e.messages(); err != nil {
		return err
	}
	e.tools()
	e.appendThinking(&p)
	e.outputConfig(&p)
	if !e.count {
		e.sampling(&p)
		e.account()
		e.absent()
		if e.c.Stream {
			e.key("stream")
			e.raw("true")
		}
	}
	e.extra()
	e.raw("}")
	return nil
}

func (e *encoder) outputConfig(p *plan) {
	f := e.c.Format
	schema := f != nil && f.Kind == ai.FormatSchema && len(f.Schema) > 0
	if f != nil && f.Kind != ai.FormatText && !schema {
		e.g.Refuse("response_format")
	}
	if !schema && p.effort == "" {
		return
	}
	e.key("output_config")
	e.raw("{")
	if p.effort != "" {
		e.text("effort", p.effort)
	}
	if schema {
		e.key("format")
		e.raw(`{"type":"json_schema","schema":`)
		e.b = append(e.b, f.Schema...)
		e.raw("}")
	}
	e.raw("}")
}

// sampling writes temperature, top_p, top_k and the stop sequences. The default of 1 is left out for clients of others, which
// send it without meaning anything by it, where Anthropic refuses the mere presence.
func (e *encoder) sampling(p *plan) {
	c := e.c
	if e.own() {
		e.number("temperature", c.Temperature)
		e.number("top_p", c.TopP)
		e.whole("top_k", c.TopK)
		e.stop()
		return
	}
	fixed := unsampled(e.x.Target.Model)
	warm := p.mode == "enabled"
	if t := c.Temperature; t != nil && *t != 1 {
		e.sample("temperature", t, fixed || warm || *t < 0 || *t > 1)
	}
	if t := c.TopP; t != nil && *t != 1 {
		both := c.Temperature != nil && *c.Temperature != 1 && generation(e.x.Target.Model) >= 4_005
		e.sample("top_p", t, fixed || both || warm && *t < 0.95 || *t < 0 || *t > 1)
	}
	if c.TopK != nil {
		if fixed || warm {
			e.g.Refuse("top_k")
		} else {
			e.whole("top_k", c.TopK)
		}
	}
	e.stop()
}

func (e *encoder) sample(name string, v *float64, refuse bool) {
	if refuse {
		e.g.Refuse(name)
		return
	}
	e.number(name, v)
}

func (e *encoder) number(name string, v *float64) {
	if v != nil {
		e.key(name)
		e.b = jsonscan.AppendFloat(e.b, *v)
	}
}

func (e *encoder) whole(name string, v *int) {
	if v != nil {
		e.key(name)
		e.b = jsonscan.AppendInt(e.b, *v)
	}
}

// stop writes the stop sequences. One of white space alone is refused by Anthropic.
func (e *encoder) stop() {
	open := false
	for _, s := range e.c.Stop {
		if strings.TrimSpace(s) == "" {
			e.g.Refuse("stop")
			continue
		}
		if !open {
			e.key("stop_sequences")
			e.raw("[")
			open = true
		}
		e.b = jsonscan.AppendQuoted(jsonscan.AppendComma(e.b), s)
	}
	if open {
		e.raw("]")
	}
}

// account writes who asks and on which tier.
func (e *encoder) account() {
	if e.c.User != "" {
		e.key("metadata")
		e.raw("{")
		e.text("user_id", e.c.User)
		e.raw("}")
	}
	switch e.c.ServiceTier {
	case "":
	case tierAuto:
		e.text("service_tier", tierAuto)
	case tierDefault:
		e.text("service_tier", tierStandardOnly)
	default:
		e.g.Refuse("service_tier")
	}
}

// absent names what Anthropic does not have at all.
func (e *encoder) absent() {
	c := e.c
	for _, p := range [...]struct {
		name  string
		given bool
	}{
		{"n", c.N > 1},
		{"seed", c.Seed != nil},
		{"frequency_penalty", c.FrequencyPenalty != nil && *c.FrequencyPenalty != 0},
		{"presence_penalty", c.PresencePenalty != nil && *c.PresencePenalty != 0},
		{"logprobs", c.Logprobs != nil && *c.Logprobs},
		{"top_logprobs", c.TopLogprobs != nil && *c.TopLogprobs > 0},
		{"logit_bias", jsonscan.Kind(c.LogitBias) == jsonscan.Object && !isEmpty(c.LogitBias)},
	} {
		if p.given {
			e.g.Refuse(p.name)
		}
	}
	if c.Store != nil && *c.Store {
		e.g.Leave("store")
	}
	if jsonscan.Kind(c.Metadata) == jsonscan.Object && !isEmpty(c.Metadata) {
		e.g.Leave("metadata")
	}
}

func isEmpty(obj []byte) bool {
	for range jsonscan.Fields(obj) {
		return false
	}
	return true
}

// extra forwards what has no canonical form to its own kind. Of what stood within a
// member, the extras of documents are in Part.Annotations.
func (e *encoder) extra() {
	if !e.own() {
		e.g.Extras(e.c.Extra)
		return
	}
	for i := range e.c.Extra {
		f := &e.c.Extra[i]
		switch {
		case !strings.ContainsAny(f.Name, ".["):
			e.json(f.Name, f.Value)
		case !strings.HasSuffix(f.Name, "].citations") && !strings.HasSuffix(f.Name, "].context"):
			e.g.Refuse(f.Name)
		}
	}
}
