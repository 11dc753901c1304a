package anthropic

import (
	"encoding/json"
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// chatDecoder fills in a Chat. Its methods name the parameter of an error relative to what they were given.
type chatDecoder struct {
	c ai.Chat
	// system comes before all messages, wherever it stands in the body.
	system []ai.Part
	// tools are the names of the calls so far, by id, for their results.
	tools map[string]string
}

// DecodeChat decodes a body that Peek has accepted. What has no canonical form stands in Extra, named as the client wrote
// it ("messages[0].content[1].citations"), so that a provider of another schema refuses it and none forgets it. Hints
// about how to cache, load and stream a tool are the exception.
func (Dialect) DecodeChat(op ai.Op, body []byte) (*ai.Chat, error) {
	d := chatDecoder{c: ai.Chat{Family: ai.Anthropic}}
	for k, v := range jsonscan.Fields(jsonscan.Trim(body)) {
		if jsonscan.IsNull(v) {
			continue
		}
		if err := d.field(string(k), v); err != nil {
			return nil, ai.Under(err, string(k))
		}
	}
	if len(d.c.Messages) == 0 {
		return nil, bad("messages", "at least one message is required")
	}
	if len(d.system) > 0 {
		d.c.Messages = append([]ai.Message{{Role: ai.RoleSystem, Parts: d.system}}, d.c.Messages...)
	}
	if op == ai.OpCountTokens {
		d.c.Stream = false
	}
	return &d.c, nil
}

// DecodeEmbed fails: Anthropic has no embeddings.
func (Dialect) DecodeEmbed([]byte) (*ai.EmbedRequest, error) {
	return nil, &ai.Error{Status: 404, Type: "not_found_error", Message: "Anthropic's API has no embeddings"}
}

func (d *chatDecoder) field(name string, v []byte) (err error) {
	switch name {
	case "model":
	case "messages":
		err = each(v, d.message)
	case "system":
		d.system, err = content(v, true)
	case "max_tokens":
		err = d.maxTokens(v)
	case "tools":
		err = each(v, d.tool)
	case "tool_choice":
		err = d.toolChoice(v)
	case "thinking":
		err = d.thinking(v)
	case "output_config":
		err = d.outputConfig(v)
	case "output_format":
		err = d.format(v)
	case "stream":
		d.c.Stream, err = flag(v)
	case "metadata":
		err = d.metadata(v)
	case "service_tier":
		err = d.serviceTier(v)
	default:
		return d.sampling(name, v)
	}
	return err
}

func (d *chatDecoder) sampling(name string, v []byte) (err error) {
	switch name {
	case "temperature":
		d.c.Temperature, err = fraction(v)
	case "top_p":
		d.c.TopP, err = fraction(v)
	case "top_k":
		var n int
		n, err = count(v)
		d.c.TopK = &n
	case "stop_sequences":
		err = each(v, func(_ int, raw []byte) error {
			s, err := text(raw)
			d.c.Stop = append(d.c.Stop, s)
			return err
		})
	default:
		d.extra(name, v)
	}
	return err
}

// extra keeps a member that has no canonical form.
func (d *chatDecoder) extra(name string, v []byte) {
	d.c.Extra = append(d.c.Extra, ai.Field{Name: name, Value: json.RawMessage(v)})
}

// maxTokens reads the limit. 0 fills the prompt cache without an answer, which only Anthropic can do.
func (d *chatDecoder) maxTokens(v []byte) (err error) {
	d.c.MaxOutput, err = count(v)
	if err == nil && d.c.MaxOutput == 0 {
		d.extra("max_tokens", v)
	}
	return err
}

func (d *chatDecoder) metadata(v []byte) (err error) {
	if err = object(v); err != nil {
		return err
	}
	for k, v := range jsonscan.Fields(v) {
		switch {
		case jsonscan.IsNull(v):
		case string(k) == "user_id":
			if d.c.User, err = text(v); err != nil {
				return ai.Under(err, "user_id")
			}
		default:
			d.extra("metadata."+string(k), v)
		}
	}
	return nil
}

// serviceTier reads the tier; the canonical words are OpenAI's.
func (d *chatDecoder) serviceTier(v []byte) (err error) {
	d.c.ServiceTier, err = text(v)
	if d.c.ServiceTier == tierStandardOnly {
		d.c.ServiceTier = tierDefault
	}
	return err
}

// The words for the ordinary tier: Anthropic's of requests and of answers, and OpenAI's.
const (
	tierStandardOnly = "standard_only"
	tierStandard     = "standard"
	tierDefault      = "default"
	tierAuto         = "auto"
)

func (d *chatDecoder) outputConfig(v []byte) (err error) {
	if err = object(v); err != nil {
		return err
	}
	for k, v := range jsonscan.Fields(v) {
		switch {
		case jsonscan.IsNull(v):
		case string(k) == "effort":
			d.reasoning().Effort, err = text(v)
		case string(k) == "format":
			err = d.format(v)
		default:
			d.extra("output_config."+string(k), v)
		}
		if err != nil {
			return ai.Under(err, string(k))
		}
	}
	return nil
}

// format reads the form of the answer; output_format at the top is what it was called during its beta.
func (d *chatDecoder) format(v []byte) error {
	if typ := jsonscan.Get(v, "type"); !jsonscan.Equal(typ, "json_schema") {
		return bad("type", `expected "json_schema"`)
	}
	schema := jsonscan.Get(v, "schema")
	if err := object(schema); err != nil {
		return ai.Under(err, "schema")
	}
	strict := true
	d.c.Format = &ai.Format{Kind: ai.FormatSchema, Name: "output", Schema: schema, Strict: &strict}
	return nil
}

// each calls f for every element of an array.
func each(v []byte, f func(i int, raw []byte) error) error {
	if jsonscan.Kind(v) != jsonscan.Array {
		return expected("an array", v)
	}
	i := 0
	for raw := range jsonscan.Elems(v) {
		if err := f(i, raw); err != nil {
			return ai.Under(err, "["+strconv.Itoa(i)+"]")
		}
		i++
	}
	return nil
}

func object(v []byte) error {
	if jsonscan.Kind(v) != jsonscan.Object {
		return expected("an object", v)
	}
	return nil
}

// fraction reads a number from 0 to 1.
func fraction(v []byte) (*float64, error) {
	f, ok := jsonscan.Float(v)
	if !ok {
		return nil, expected("a number", v)
	}
	if f < 0 || f > 1 {
		return nil, bad("", "expected a number from 0 to 1")
	}
	return &f, nil
}

// onlyMembers says whether an object has no members but these.
func onlyMembers(obj []byte, names ...string) bool {
	for k, v := range jsonscan.Fields(obj) {
		known := jsonscan.IsNull(v)
		for _, n := range names {
			known = known || string(k) == n
		}
		if !known {
			return false
		}
	}
	return true
}
