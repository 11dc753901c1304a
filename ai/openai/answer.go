package openai

import (
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

var errNotJSON = errors.New("the provider's answer is not a JSON object")

// answer checks a whole answer. One of status 200 may be an error all the same.
func (p Provider) answer(body []byte) ([]byte, error) {
	if err := jsonscan.Valid(body); err != nil {
		return nil, fmt.Errorf("read the provider's answer: %w", err)
	}
	if body = jsonscan.Trim(body); jsonscan.Kind(body) != jsonscan.Object {
		return nil, errNotJSON
	}
	if member(body, "error") != nil || jsonscan.Equal(jsonscan.Get(body, "object"), "error") {
		return nil, readError(0, body)
	}
	return body, nil
}

// DecodeCompletion reads a chat.completion or a text_completion.
func (p Provider) DecodeCompletion(x *ai.Exchange, body []byte) (*ai.Completion, error) {
	body, err := p.answer(body)
	if err != nil {
		return nil, err
	}
	c := &ai.Completion{}
	for k, v := range jsonscan.Fields(body) {
		switch string(k) {
		case "id":
			c.ID = jsonscan.Text(v)
		case "model":
			c.Model = jsonscan.Text(v)
		case "created":
			c.Created, _ = jsonscan.Int(v)
		case "service_tier":
			c.ServiceTier = jsonscan.Text(v)
		case "system_fingerprint":
			c.SystemFingerprint = jsonscan.Text(v)
		case "usage":
			scanUsage(&x.Usage, v)
		case "choices":
			for raw := range jsonscan.Elems(v) {
				c.Choices = append(c.Choices, readChoice(len(c.Choices), raw))
			}
		}
	}
	if len(c.Choices) == 0 {
		return nil, errors.New("the provider's answer has no choices")
	}
	x.Finish = c.Choices[0].Finish
	return c, nil
}

func readChoice(n int, v []byte) ai.Choice {
	c := ai.Choice{Index: n, Logprobs: member(v, "logprobs")}
	if i, ok := jsonscan.Int(jsonscan.Get(v, "index")); ok {
		c.Index = int(i)
	}
	calls := false
	if m := jsonscan.Get(v, "message"); m != nil {
		c.Parts = readMessage(m)
		for i := range c.Parts {
			calls = calls || c.Parts[i].Kind == ai.PartToolCall
		}
	} else if s := jsonscan.Text(jsonscan.Get(v, "text")); s != "" {
		c.Parts = []ai.Part{{Kind: ai.PartText, Text: s}}
	}
	c.Finish = finish(jsonscan.Get(v, "finish_reason"), calls)
	c.StopSequence = stopReason(v)
	return c
}

// stopReason is the stop sequence that was met, which vLLM tells; "" elsewhere.
func stopReason(choice []byte) string { return jsonscan.Text(jsonscan.Get(choice, "stop_reason")) }

// readMessage reads what a model said. Members of an unexpected type say nothing.
func readMessage(v []byte) []ai.Part {
	parts := readThoughts(v)
	parts = append(parts, readContent(jsonscan.Get(v, "content"))...)
	if a := member(v, "annotations"); !isEmpty(a) && len(parts) > 0 {
		parts[len(parts)-1].Annotations = a
	}
	if s := jsonscan.Text(jsonscan.Get(v, "refusal")); s != "" {
		parts = append(parts, ai.Part{Kind: ai.PartRefusal, Text: s})
	}
	if a := member(v, "audio"); a != nil {
		parts = append(parts, ai.Part{Kind: ai.PartAudio, Raw: a, Text: jsonscan.Text(jsonscan.Get(a, "transcript")),
			Media: &ai.Media{Data: jsonscan.Text(jsonscan.Get(a, "data")), FileID: jsonscan.Text(jsonscan.Get(a, "id"))}})
	}
	for raw := range jsonscan.Elems(jsonscan.Get(v, "tool_calls")) {
		parts = append(parts, ai.Part{Kind: ai.PartToolCall, Call: readCall(raw)})
	}
	if fc := member(v, "function_call"); fc != nil {
		parts = append(parts, ai.Part{Kind: ai.PartToolCall, Call: &ai.ToolCall{ID: newCallID(),
			Name: jsonscan.Text(jsonscan.Get(fc, "name")), Arguments: argumentsOf(jsonscan.Get(fc, "arguments"))}})
	}
	return parts
}

// readThoughts is thoughts for an answer, of which nothing is refused.
func readThoughts(v []byte) (parts []ai.Part) {
	for raw := range jsonscan.Elems(jsonscan.Get(v, "reasoning_details")) {
		if p, err := detail(raw); err == nil && p.Kind != 0 {
			parts = append(parts, p)
		}
	}
	if parts != nil {
		return parts
	}
	for _, name := range [...]string{"reasoning_content", "reasoning"} {
		if s := jsonscan.Text(jsonscan.Get(v, name)); s != "" {
			return []ai.Part{{Kind: ai.PartReasoning, Text: s}}
		}
	}
	return nil
}

// readContent reads a string, or the parts of Mistral's reasoning models
// (https://docs.mistral.ai/capabilities/reasoning).
func readContent(v []byte) (parts []ai.Part) {
	if jsonscan.Kind(v) == jsonscan.String {
		if s := jsonscan.Text(v); s != "" {
			parts = []ai.Part{{Kind: ai.PartText, Text: s}}
		}
		return parts
	}
	for raw := range jsonscan.Elems(v) {
		kind, said := contentPart(raw)
		if jsonscan.Kind(said) == jsonscan.String {
			parts = append(parts, ai.Part{Kind: kind, Text: jsonscan.Text(said)})
		}
		for inner := range jsonscan.Elems(said) {
			parts = append(parts, ai.Part{Kind: kind, Text: jsonscan.Text(jsonscan.Get(inner, "text"))})
		}
	}
	return parts
}

// contentPart is the kind of a part of an answer's content, and its raw text or array of texts.
func contentPart(v []byte) (ai.PartKind, []byte) {
	switch jsonscan.Text(jsonscan.Get(v, "type")) {
	case "text":
		return ai.PartText, jsonscan.Get(v, "text")
	case "refusal":
		return ai.PartRefusal, jsonscan.Get(v, "refusal")
	case "thinking":
		return ai.PartReasoning, jsonscan.Get(v, "thinking")
	}
	return 0, nil
}

func readCall(v []byte) *ai.ToolCall {
	c := &ai.ToolCall{ID: jsonscan.Text(jsonscan.Get(v, "id"))}
	if c.ID == "" {
		c.ID = newCallID()
	}
	if custom := member(v, "custom"); custom != nil {
		c.Custom = true
		c.Name, c.Arguments = jsonscan.Text(jsonscan.Get(custom, "name")), jsonscan.Text(jsonscan.Get(custom, "input"))
		return c
	}
	fn := jsonscan.Get(v, "function")
	c.Name, c.Arguments = jsonscan.Text(jsonscan.Get(fn, "name")), argumentsOf(jsonscan.Get(fn, "arguments"))
	return c
}

// argumentsOf is the text of arguments; some servers send them as an object.
func argumentsOf(v []byte) string {
	if jsonscan.Kind(v) == jsonscan.Object {
		return string(v)
	}
	return jsonscan.Text(v)
}

// newCallID names a call of a server that does not. Other vendors' clients need the name to answer.
func newCallID() string { return "call_" + rand.Text() }

// DecodeTokenCount fails, because EncodeRequest does not know the call.
func (Provider) DecodeTokenCount(*ai.Exchange, []byte) (int, error) {
	return 0, errors.New("the OpenAI schema has no call that counts tokens")
}
