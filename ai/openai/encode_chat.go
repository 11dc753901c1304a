package openai

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// EncodeRequest translates x.Request. What OpenAI has no word for, as top_k, is refused in the client's words. Thoughts go to
// compatible servers alone, in the fields that the package comment names.
func (p Provider) EncodeRequest(x *ai.Exchange, out *ai.HTTPRequest) error {
	switch x.Op {
	case ai.OpChat, ai.OpCompletion:
		return p.encodeChat(x, out)
	case ai.OpEmbeddings:
		return p.encodeEmbed(x, out)
	case ai.OpListModels, ai.OpGetModel:
		out.Reset()
		p.route(x, out)
		return nil
	}
	return &ai.Unsupported{Provider: p.Schema(), Params: []string{x.Op.String()}}
}

func (p Provider) encodeChat(x *ai.Exchange, out *ai.HTTPRequest) error {
	c, err := x.Chat()
	if err != nil {
		return err
	}
	e := encoder{c: c, g: ai.NewGaps(x), b: append(out.Body[:0], '{'), own: p.own(x.Target.Model), completion: x.Op == ai.OpCompletion}
	e.text("model", x.Target.Model)
	if x.Op == ai.OpCompletion {
		e.prompt()
	} else {
		e.messages()
		e.tools()
		e.format()
		e.reasoning()
	}
	e.limits()
	e.sampling()
	e.account()
	e.extras()
	e.stream()
	e.b = append(e.b, '}')
	if err := e.g.Err(x, p.Schema()); err != nil {
		return err
	}
	out.Reset()
	p.route(x, out)
	out.Body = e.b
	return nil
}

// encoder writes one request.
type encoder struct {
	c *ai.Chat
	g ai.Gaps
	b []byte
	// completion: the call is a legacy one, which has fewer and older words.
	completion bool
	// own: OpenAI itself serves the model.
	own bool
	// media are images and files of tool results, which OpenAI takes from the user alone.
	media []ai.Part
}

// family says whether the request came in this schema.
func (e *encoder) family() bool { return e.c.Family == ai.OpenAI || e.c.Family == ai.AzureOpenAI }

func (e *encoder) key(name string) { e.b = jsonscan.AppendKey(e.b, name) }

func (e *encoder) raw(s string) { e.b = append(e.b, s...) }

func (e *encoder) text(name, s string) {
	e.key(name)
	e.b = jsonscan.AppendQuoted(e.b, s)
}

// json writes a member as it came, if there is one.
func (e *encoder) json(name string, v []byte) {
	if len(v) > 0 {
		e.key(name)
		e.b = append(e.b, v...)
	}
}

func (e *encoder) bool(name string, v *bool) {
	if v != nil {
		e.key(name)
		e.b = jsonscan.AppendBool(e.b, *v)
	}
}

func (e *encoder) float(name string, v *float64) {
	if v != nil {
		e.key(name)
		e.b = jsonscan.AppendFloat(e.b, *v)
	}
}

func (e *encoder) int(name string, v int64) {
	e.key(name)
	e.b = jsonscan.AppendInt(e.b, v)
}

// prompt writes the text of a legacy completion.
func (e *encoder) prompt() {
	e.key("prompt")
	e.b = append(e.b, '"')
	for _, m := range e.c.Messages {
		for _, p := range m.Parts {
			e.b = jsonscan.AppendEscaped(e.b, p.Text)
		}
	}
	e.b = append(e.b, '"')
}

// limits writes the limit of output under the name that the server knows: OpenAI's reasoning models refuse max_tokens, and
// many compatible servers ignore max_completion_tokens.
func (e *encoder) limits() {
	if e.c.MaxOutput > 0 {
		name := "max_tokens"
		if e.own && !e.completion {
			name = "max_completion_tokens"
		}
		e.int(name, int64(e.c.MaxOutput))
	}
	if e.c.N > 1 {
		e.int("n", int64(e.c.N))
	}
}

func (e *encoder) sampling() {
	c := e.c
	e.float("temperature", c.Temperature)
	e.float("top_p", c.TopP)
	if c.TopK != nil {
		e.g.Refuse("top_k")
	}
	e.float("frequency_penalty", c.FrequencyPenalty)
	e.float("presence_penalty", c.PresencePenalty)
	if c.Seed != nil {
		e.int("seed", *c.Seed)
	}
	e.bool("logprobs", c.Logprobs)
	if c.TopLogprobs != nil {
		e.int("top_logprobs", int64(*c.TopLogprobs))
	}
	e.json("logit_bias", c.LogitBias)
	if len(c.Stop) > 0 {
		e.key("stop")
		e.raw("[")
		for _, s := range c.Stop {
			e.b = jsonscan.AppendQuoted(jsonscan.AppendComma(e.b), s)
		}
		e.raw("]")
	}
}

func (e *encoder) account() {
	c := e.c
	if c.User != "" {
		e.text("user", e.user(c.User))
	}
	if len(c.Metadata) > 0 {
		if e.family() {
			e.json("metadata", c.Metadata)
		} else {
			e.g.Leave("metadata")
		}
	}
	e.bool("store", c.Store)
	if c.ServiceTier != "" {
		e.text("service_tier", c.ServiceTier)
	}
}

// maxUser is how long OpenAI lets the name of an end user be.
const maxUser = 64

// user is the name of the end user. Clients of other vendors have longer ones, of which OpenAI gets the SHA-256: as stable, and
// of just that length.
func (e *encoder) user(name string) string {
	if !e.own || e.family() || len(name) <= maxUser {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// extras forwards the top-level fields that nobody knows within the family. A nested one cannot be put back in its place.
func (e *encoder) extras() {
	if !e.family() {
		e.g.Extras(e.c.Extra)
		return
	}
	for _, f := range e.c.Extra {
		if nested(f.Name) {
			e.g.Refuse(f.Name)
			continue
		}
		e.b = jsonscan.AppendComma(e.b)
		e.b = append(jsonscan.AppendQuoted(e.b, f.Name), ':')
		e.b = append(e.b, f.Value...)
	}
}

func (e *encoder) stream() {
	if e.c.Stream {
		e.key("stream")
		e.raw(`true,"stream_options":{"include_usage":true}`)
	}
}

func (e *encoder) format() {
	f := e.c.Format
	if f == nil {
		return
	}
	e.key("response_format")
	switch f.Kind {
	case ai.FormatJSON:
		e.raw(`{"type":"json_object"}`)
	case ai.FormatSchema:
		e.raw(`{"type":"json_schema","json_schema":{`)
		e.schema(f)
		e.raw("}}")
	default:
		e.raw(`{"type":"text"}`)
	}
}

// schema writes a named schema. A client of another vendor was promised that its schema holds, which is strict here.
func (e *encoder) schema(f *ai.Format) {
	name, strict := f.Name, f.Strict
	if name == "" {
		name = "response"
	}
	if strict == nil && !e.family() {
		yes := true
		strict = &yes
	}
	e.text("name", name)
	if f.Description != "" {
		e.text("description", f.Description)
	}
	e.bool("strict", strict)
	e.json("schema", f.Schema)
}

// reasoning writes the effort. A budget becomes the effort that holds it, at most high, which all reasoning models know. To
// switch off is said only for clients of OpenAI: elsewhere off is the default, and models without reasoning refuse
// the field.
func (e *encoder) reasoning() {
	r := e.c.Reasoning
	if r == nil {
		return
	}
	effort := r.Effort
	if effort == "" && r.Budget > 0 {
		effort = ai.Effort(r.Budget)
	}
	if r.Off {
		effort = ""
		if e.family() {
			effort = effortNone
		}
	}
	if !e.family() && (effort == "xhigh" || effort == "max") {
		effort = "high"
	}
	if effort != "" {
		e.text("reasoning_effort", effort)
	}
}
