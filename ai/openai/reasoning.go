package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// The types of reasoning_details, https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure.
const (
	detailText      = "reasoning.text"
	detailSummary   = "reasoning.summary"
	detailEncrypted = "reasoning.encrypted"
)

// thoughts reads the reasoning of a message from the richest of the fields that hold it.
func thoughts(v []byte) (parts []ai.Part, err error) {
	for _, f := range [...]struct {
		name string
		read func(v []byte) (ai.Part, error)
	}{{"reasoning_details", detail}, {"thinking_blocks", thinkingBlock}} {
		m := member(v, f.name)
		if isEmpty(m) {
			continue
		}
		err = each(m, func(_ int, v []byte) error {
			p, err := f.read(v)
			if p.Kind != 0 {
				parts = append(parts, p)
			}
			return err
		})
		return parts, ai.Under(err, f.name)
	}
	for _, name := range [...]string{"reasoning_content", "reasoning"} {
		m := member(v, name)
		if isEmpty(m) {
			continue
		}
		s, err := text(m)
		return []ai.Part{{Kind: ai.PartReasoning, Text: s}}, ai.Under(err, name)
	}
	return nil, nil
}

// detail reads an element of reasoning_details; a part without a kind where it says nothing.
func detail(v []byte) (p ai.Part, err error) {
	if err := object(v); err != nil {
		return p, err
	}
	switch jsonscan.Text(jsonscan.Get(v, "type")) {
	case detailEncrypted:
		p = ai.Part{Kind: ai.PartReasoning, Redacted: true}
		p.Signature, err = needText(member(v, "data"))
		return p, ai.Under(err, "data")
	case detailSummary:
		p = ai.Part{Kind: ai.PartReasoning, Text: jsonscan.Text(jsonscan.Get(v, "summary"))}
	case detailText:
		p = ai.Part{Kind: ai.PartReasoning, Text: jsonscan.Text(jsonscan.Get(v, "text")), Signature: jsonscan.Text(jsonscan.Get(v, "signature"))}
	default:
		return p, bad("type", `expected "reasoning.text", "reasoning.summary" or "reasoning.encrypted"`)
	}
	if p.Text == "" && p.Signature == "" {
		return ai.Part{}, nil
	}
	return p, nil
}

// thinkingBlock reads an element of LiteLLM's thinking_blocks, which are Anthropic's.
func thinkingBlock(v []byte) (p ai.Part, err error) {
	if err := object(v); err != nil {
		return p, err
	}
	p.Kind = ai.PartReasoning
	switch jsonscan.Text(jsonscan.Get(v, "type")) {
	case "thinking":
		p.Text, p.Signature = jsonscan.Text(jsonscan.Get(v, "thinking")), jsonscan.Text(jsonscan.Get(v, "signature"))
	case "redacted_thinking":
		p.Redacted = true
		p.Signature = jsonscan.Text(jsonscan.Get(v, "data"))
	default:
		return p, bad("type", `expected "thinking" or "redacted_thinking"`)
	}
	return p, nil
}

// appendThoughts appends the members that hold the reasoning among parts, if there is any; of hidden reasoning only signatures.
func appendThoughts(b []byte, parts []ai.Part, hidden bool) []byte {
	if !hidden {
		b = appendReasoningContent(b, parts)
	}
	n := 0
	for i := range parts {
		p := parts[i]
		if hidden {
			p.Text = ""
		}
		if p.Kind != ai.PartReasoning || p.Text == "" && p.Signature == "" {
			continue
		}
		if n == 0 {
			b = append(jsonscan.AppendKey(b, "reasoning_details"), '[')
		}
		b = appendDetail(jsonscan.AppendComma(b), n, &p)
		n++
	}
	if n > 0 {
		b = append(b, ']')
	}
	return b
}

// appendReasoningContent appends the text of all reasoning as one, if there is any.
func appendReasoningContent(b []byte, parts []ai.Part) []byte {
	found := false
	for i := range parts {
		if p := &parts[i]; p.Kind == ai.PartReasoning && !p.Redacted && p.Text != "" {
			if !found {
				b = append(jsonscan.AppendKey(b, "reasoning_content"), '"')
				found = true
			}
			b = jsonscan.AppendEscaped(b, p.Text)
		}
	}
	if found {
		b = append(b, '"')
	}
	return b
}

func appendDetail(b []byte, index int, p *ai.Part) []byte {
	b = appendDetailHead(b, index, p.Redacted)
	if p.Redacted {
		b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "data"), p.Signature)
		return append(b, '}')
	}
	b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "text"), p.Text)
	if p.Signature != "" {
		b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "signature"), p.Signature)
	}
	return append(b, '}')
}

// appendDetailHead opens an element of reasoning_details.
func appendDetailHead(b []byte, index int, redacted bool) []byte {
	typ := detailText
	if redacted {
		typ = detailEncrypted
	}
	b = jsonscan.AppendQuoted(append(b, `{"type":`...), typ)
	return jsonscan.AppendInt(jsonscan.AppendKey(b, "index"), index)
}
