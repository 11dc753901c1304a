package openai

import (
	"crypto/rand"
	"slices"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// AppendCompletion writes a chat.completion, or a text_completion where the client asked for one. Of legacy completions there
// is only text: reasoning and calls, which their clients cannot have asked for, do not show.
func (d Dialect) AppendCompletion(dst []byte, x *ai.Exchange, c *ai.Completion) ([]byte, error) {
	legacy := x.Op == ai.OpCompletion
	model, created := c.Model, c.Created
	if model == "" {
		model = x.Request.Model
	}
	if created == 0 {
		created = d.now()
	}
	b := appendHead(dst, []byte(c.ID), []byte(model), created, objectOf(legacy, false))
	b = append(b, `"choices":[`...)
	w := wishesOf(x)
	for i := range c.Choices {
		b = jsonscan.AppendComma(b)
		if legacy {
			if slices.ContainsFunc(c.Choices[i].Parts, func(p ai.Part) bool { return p.Kind == ai.PartImage }) {
				return dst, ai.Inexpressible("an image")
			}
			b = appendTextChoice(b, &c.Choices[i])
		} else {
			b = appendChoice(b, x, &c.Choices[i], w)
		}
	}
	b = append(b, ']')
	b = appendUsage(jsonscan.AppendKey(b, "usage"), &x.Usage)
	if c.ServiceTier != "" {
		b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "service_tier"), c.ServiceTier)
	}
	if c.SystemFingerprint != "" {
		b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "system_fingerprint"), c.SystemFingerprint)
	}
	return append(b, '}'), nil
}

// wishes are what a client's request says about the form of the answer.
type wishes struct {
	// functions: calls stand in function_call.
	functions bool
	// hidden: thoughts are left out, but for the signatures that their vendors want back.
	hidden bool
}

// wishesOf reads the decoded chat. Without one there are none.
func wishesOf(x *ai.Exchange) wishes {
	if x.Client == nil || x.Op != ai.OpChat {
		return wishes{}
	}
	c, err := x.Chat()
	if err != nil {
		return wishes{}
	}
	return wishes{functions: c.Functions, hidden: c.Reasoning != nil && c.Reasoning.Hide}
}

func objectOf(legacy, stream bool) string {
	switch {
	case legacy:
		return "text_completion"
	case stream:
		return "chat.completion.chunk"
	}
	return "chat.completion"
}

// appendHead opens an answer or a chunk, up to a comma.
func appendHead(b, id, model []byte, created int64, object string) []byte {
	b = append(b, `{"id":`...)
	if len(id) == 0 {
		b = append(b, `"chatcmpl-`...)
		b = append(append(b, rand.Text()...), '"')
	} else {
		b = jsonscan.AppendQuoted(b, id)
	}
	b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "object"), object)
	b = jsonscan.AppendInt(jsonscan.AppendKey(b, "created"), created)
	b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "model"), model)
	return append(b, ',')
}

func appendTextChoice(b []byte, c *ai.Choice) []byte {
	b = append(b, `{"text":"`...)
	for i := range c.Parts {
		if k := c.Parts[i].Kind; k == ai.PartText || k == ai.PartRefusal {
			b = jsonscan.AppendEscaped(b, c.Parts[i].Text)
		}
	}
	b = append(b, '"')
	b = jsonscan.AppendInt(jsonscan.AppendKey(b, "index"), c.Index)
	b = appendRaw(jsonscan.AppendKey(b, "logprobs"), c.Logprobs)
	return append(jsonscan.AppendQuoted(jsonscan.AppendKey(b, "finish_reason"), finishWord(c.Finish, false)), '}')
}

// appendRaw appends a value as it came, or null.
func appendRaw(b, v []byte) []byte {
	if len(v) == 0 {
		return append(b, "null"...)
	}
	return append(b, v...)
}

func appendChoice(b []byte, x *ai.Exchange, c *ai.Choice, w wishes) []byte {
	b = jsonscan.AppendInt(append(b, `{"index":`...), c.Index)
	b = append(b, `,"message":{"role":"assistant"`...)
	b = appendJoined(jsonscan.AppendKey(b, "content"), c.Parts, ai.PartText)
	b = appendJoined(jsonscan.AppendKey(b, "refusal"), c.Parts, ai.PartRefusal)
	b = appendThoughts(b, c.Parts, w.hidden)
	b = appendImages(b, c.Parts)
	b = appendCalls(b, c.Parts, w.functions)
	b = appendRest(b, x, c.Parts)
	b = append(b, '}')
	b = appendRaw(jsonscan.AppendKey(b, "logprobs"), c.Logprobs)
	return append(jsonscan.AppendQuoted(jsonscan.AppendKey(b, "finish_reason"), finishWord(c.Finish, w.functions)), '}')
}

// appendImages appends the images that a model made as OpenRouter documents them,
// https://openrouter.ai/docs/features/multimodal/image-generation: OpenAI's own answers have none.
func appendImages(b []byte, parts []ai.Part) []byte {
	n := 0
	for i := range parts {
		m := parts[i].Media
		if parts[i].Kind != ai.PartImage || m == nil || m.Data == "" {
			continue
		}
		if n == 0 {
			b = append(jsonscan.AppendKey(b, "images"), '[')
		}
		b = appendImage(jsonscan.AppendComma(b), n, []byte(m.MIME), []byte(m.Data))
		n++
	}
	if n > 0 {
		b = append(b, ']')
	}
	return b
}

func appendImage(b []byte, index int, mime, data []byte) []byte {
	b = jsonscan.AppendInt(append(b, `{"type":"image_url","index":`...), index)
	b = append(jsonscan.AppendEscaped(append(b, `,"image_url":{"url":"data:`...), mime), ";base64,"...)
	return append(jsonscan.AppendEscaped(b, data), `"}}`...)
}

// appendJoined appends the text of all parts of a kind, or null if there is none.
func appendJoined(b []byte, parts []ai.Part, kind ai.PartKind) []byte {
	found := false
	for i := range parts {
		if parts[i].Kind != kind {
			continue
		}
		if !found {
			b = append(b, '"')
			found = true
		}
		b = jsonscan.AppendEscaped(b, parts[i].Text)
	}
	if !found {
		return append(b, "null"...)
	}
	return append(b, '"')
}

// appendCalls appends tool_calls. A client of the deprecated functions gets the first call as function_call, too.
func appendCalls(b []byte, parts []ai.Part, functions bool) []byte {
	var first *ai.ToolCall
	n := 0
	for i := range parts {
		if parts[i].Kind == ai.PartToolCall {
			if n++; first == nil {
				first = parts[i].Call
			}
		}
	}
	if n == 0 {
		return b
	}
	if functions {
		b = appendFunctionCall(jsonscan.AppendKey(b, "function_call"), first)
		if n == 1 {
			return b
		}
	}
	b = append(jsonscan.AppendKey(b, "tool_calls"), '[')
	for i := range parts {
		if parts[i].Kind == ai.PartToolCall {
			b = appendCall(jsonscan.AppendComma(b), parts[i].Call)
		}
	}
	return append(b, ']')
}

// appendRest appends what only a provider of this schema says: annotations and sound.
func appendRest(b []byte, x *ai.Exchange, parts []ai.Part) []byte {
	if p := x.Target.Provider; p == nil || p.Schema() != ai.OpenAI && p.Schema() != ai.AzureOpenAI {
		return b
	}
	for i := range parts {
		switch p := &parts[i]; {
		case p.Kind == ai.PartText && len(p.Annotations) > 0:
			b = append(jsonscan.AppendKey(b, "annotations"), p.Annotations...)
		case p.Kind == ai.PartAudio && len(p.Raw) > 0:
			b = append(jsonscan.AppendKey(b, "audio"), p.Raw...)
		}
	}
	return b
}
