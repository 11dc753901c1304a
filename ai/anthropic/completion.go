package anthropic

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// DecodeCompletion decodes a message. A refusal that Anthropic explains beside an empty content becomes a part of its own.
func (Provider) DecodeCompletion(x *ai.Exchange, body []byte) (*ai.Completion, error) {
	if err := valid(body); err != nil {
		return nil, err
	}
	choice := ai.Choice{}
	c := &ai.Completion{}
	n := counts{}
	explained := ""
	for k, v := range jsonscan.Fields(jsonscan.Trim(body)) {
		var err error
		switch string(k) {
		case "id":
			c.ID = jsonscan.Text(v)
		case "model":
			c.Model = jsonscan.Text(v)
		case "content":
			choice.Parts, err = answer(v)
		case "stop_reason":
			choice.Finish = finish(v)
		case "stop_sequence":
			choice.StopSequence = jsonscan.Text(v)
		case "stop_details":
			explained = jsonscan.Text(jsonscan.Get(v, "explanation"))
		case "usage":
			n.read(v)
			c.ServiceTier = tier(jsonscan.Text(jsonscan.Get(v, "service_tier")))
		}
		if err != nil {
			return nil, fmt.Errorf("answer of Anthropic: %w", err)
		}
	}
	if choice.Finish == ai.FinishRefusal && explained != "" && len(choice.Parts) == 0 {
		choice.Parts = []ai.Part{{Kind: ai.PartRefusal, Text: explained}}
	}
	c.Choices = []ai.Choice{choice}
	x.Finish = choice.Finish
	n.settle(&x.Usage)
	return c, nil
}

var errNotMessage = errors.New("answer of Anthropic is not a message")

// valid checks that body is a whole message.
func valid(body []byte) error {
	if err := jsonscan.Valid(body); err != nil {
		return fmt.Errorf("answer of Anthropic: %w", err)
	}
	if !jsonscan.Equal(jsonscan.Get(jsonscan.Trim(body), "type"), "message") {
		return errNotMessage
	}
	return nil
}

// answer reads the blocks of an answer. The caller may keep them: nothing of them aliases the body.
func answer(v []byte) ([]ai.Part, error) {
	parts, err := content(bytes.Clone(v), false)
	for i := range parts {
		if c := parts[i].Call; c != nil && c.Arguments == "" {
			c.Arguments = "{}"
		}
	}
	return parts, err
}

// tier is OpenAI's word for a tier of an answer.
func tier(s string) string {
	if s == tierStandard {
		return tierDefault
	}
	return s
}

// DecodeEmbeddings fails: EncodeRequest never asks for any.
func (Provider) DecodeEmbeddings(*ai.Exchange, []byte) (*ai.Embeddings, error) {
	return nil, &ai.Unsupported{Provider: ai.Anthropic, Params: []string{"embeddings"}}
}

var errNoCount = errors.New(`answer of Anthropic to count_tokens has no whole number "input_tokens"`)

// DecodeTokenCount reads {"input_tokens": n}.
func (Provider) DecodeTokenCount(_ *ai.Exchange, body []byte) (int, error) {
	n, err := count(jsonscan.Get(jsonscan.Trim(body), "input_tokens"))
	if err != nil || jsonscan.Valid(body) != nil {
		return 0, errNoCount
	}
	return n, nil
}

// AppendTokenCount appends {"input_tokens": n}.
func (Dialect) AppendTokenCount(dst []byte, n int) []byte {
	dst = append(dst, `{"input_tokens":`...)
	return append(jsonscan.AppendInt(dst, n), '}')
}

// AppendEmbeddings fails: no client of this dialect can ask for any.
func (Dialect) AppendEmbeddings([]byte, *ai.Exchange, *ai.Embeddings) ([]byte, error) {
	return nil, &ai.Unsupported{Provider: ai.Anthropic, Params: []string{"embeddings"}}
}

// AppendCompletion appends a message. It shows the first choice: a client of this dialect cannot ask for more.
func (Dialect) AppendCompletion(dst []byte, x *ai.Exchange, c *ai.Completion) ([]byte, error) {
	dst = appendHead(dst, c.ID, model(c.Model, x))
	dst = append(dst, `,"content":[`...)
	choice := ai.Choice{Finish: x.Finish}
	if len(c.Choices) > 0 {
		choice = c.Choices[0]
	}
	own := x.Target.Provider != nil && x.Target.Provider.Schema() == ai.Anthropic
	refused, calls := false, false
	for i := range choice.Parts {
		refused = refused || choice.Parts[i].Kind == ai.PartRefusal
		calls = calls || choice.Parts[i].Kind == ai.PartToolCall
		if choice.Parts[i].Kind == ai.PartImage {
			return dst, ai.Inexpressible("an image")
		}
		dst = appendBlock(dst, &choice.Parts[i], own)
	}
	dst = append(dst, "],"...)
	dst = appendStop(dst, settled(choice.Finish, refused, calls), choice.StopSequence)
	dst = append(dst, `,"usage":{`...)
	dst = appendUsage(dst, &x.Usage)
	if t := c.ServiceTier; t == tierDefault || t == "priority" {
		dst = jsonscan.AppendKey(dst, "service_tier")
		if t == tierDefault {
			t = tierStandard
		}
		dst = jsonscan.AppendQuoted(dst, t)
	}
	return append(dst, "}}"...), nil
}

// model is the name in an answer: the provider's, or the one that the client asked for.
func model(name string, x *ai.Exchange) string {
	if name == "" {
		return x.Request.Model
	}
	return name
}

// appendHead opens a message. Where the provider gave no id one is made, since clients key their logs by it.
func appendHead[S ~string | ~[]byte](dst []byte, id, model S) []byte {
	dst = append(dst, `{"id":`...)
	if len(id) == 0 {
		dst = append(dst, `"msg_`...)
		dst = append(append(dst, rand.Text()...), '"')
	} else {
		dst = jsonscan.AppendQuoted(dst, id)
	}
	dst = append(dst, `,"type":"message","role":"assistant","model":`...)
	return jsonscan.AppendQuoted(dst, model)
}

func appendStop(dst []byte, f ai.Finish, sequence string) []byte {
	dst = append(dst, `"stop_reason":"`...)
	dst = append(append(dst, stopReason(f)...), `","stop_sequence":`...)
	if f == ai.FinishStopSeq && sequence != "" {
		return jsonscan.AppendQuoted(dst, sequence)
	}
	return append(dst, "null"...)
}

// appendBlock appends a block of an answer; what has no block here is left out.
func appendBlock(dst []byte, p *ai.Part, own bool) []byte {
	switch {
	case p.Kind == ai.PartOpaque && !own, p.Kind == ai.PartImage, p.Kind == ai.PartAudio, p.Kind == ai.PartFile:
		return dst
	case (p.Kind == ai.PartText || p.Kind == ai.PartRefusal) && p.Text == "":
		return dst
	case p.Kind == ai.PartToolCall:
		return appendToolUse(jsonscan.AppendComma(dst), p.Call)
	}
	e := encoder{b: jsonscan.AppendComma(dst), c: &ai.Chat{}}
	if own {
		e.c.Family = ai.Anthropic
	}
	e.part(p)
	return e.b
}

// appendToolUse appends a call. Arguments that are no JSON object, as a model can be cut off in their midst, cannot be an
// input: they stand under the key "arguments".
func appendToolUse(dst []byte, c *ai.ToolCall) []byte {
	dst = append(dst, `{"type":"tool_use","id":`...)
	dst = jsonscan.AppendQuoted(dst, c.ID)
	dst = append(dst, `,"name":`...)
	dst = jsonscan.AppendQuoted(dst, c.Name)
	dst = append(dst, `,"input":`...)
	args := json.RawMessage(arguments(c))
	if jsonscan.Valid(args) == nil && jsonscan.Kind(jsonscan.Trim(args)) == jsonscan.Object {
		dst = append(dst, args...)
	} else {
		dst = append(dst, `{"arguments":`...)
		dst = append(jsonscan.AppendQuoted(dst, args), '}')
	}
	return append(dst, '}')
}
