package gemini

import (
	"strings"

	"github.com/nantian-gw/nantian/ai"
)

// skipSignature tells Gemini 3 that the call of a transferred history has no signature
// (https://ai.google.dev/gemini-api/docs/thought-signatures#faqs).
const skipSignature = "skip_thought_signature_validator"

func (e *encoder) sign(signature string) {
	if signature != "" {
		e.Text("thoughtSignature", signature)
	}
}

// callSignature is the signature of a call: its own, or the next of those that reasoning in the turn carried. OpenAI's
// clients give all reasoning of a turn back ahead of its texts and calls, so that the order is all there is to go by.
// Gemini 3 refuses a turn whose first call has none.
func (e *encoder) callSignature() string {
	s := ""
	switch {
	case len(e.calls) > 0:
		s, e.calls = e.calls[0], e.calls[1:]
	case !e.signed && e.model.major >= 3:
		s = skipSignature
	}
	e.signed = true
	return s
}

// thought writes reasoning that Gemini itself signed and keeps the signatures of calls.
func (e *encoder) thought(p *ai.Part) {
	if s, ok := strings.CutPrefix(p.Signature, ai.GeminiCallSignature); ok {
		if p.Text != "" {
			e.thoughtPart(p.Text, "")
		}
		e.calls = append(e.calls, s)
		return
	}
	s, ok := strings.CutPrefix(p.Signature, ai.GeminiSignature)
	switch {
	case !ok:
		e.gaps.LeaveThought(p)
	case p.Text == "":
		e.textPart("", s)
	default:
		e.thoughtPart(p.Text, s)
	}
}

func (e *encoder) thoughtPart(text, signature string) {
	e.Open()
	e.Text("text", text)
	e.Bool("thought", true)
	e.sign(signature)
	e.Shut()
}
