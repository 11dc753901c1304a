package openai

import (
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// messages writes the turns. Images and files in results of tools follow in the user's turn after all results, since OpenAI
// takes text alone there and wants the results of one turn together.
func (e *encoder) messages() {
	e.key("messages")
	e.raw("[")
	for i := range e.c.Messages {
		m := &e.c.Messages[i]
		if m.Role != ai.RoleTool && m.Role != ai.RoleUser {
			e.flush()
		}
		switch m.Role {
		case ai.RoleTool:
			e.results(i, m)
		case ai.RoleAssistant:
			e.assistant(i, m)
		default:
			e.said(i, m)
		}
	}
	e.flush()
	e.raw("]")
}

// open begins a message.
func (e *encoder) open(role string, m *ai.Message) {
	e.b = append(jsonscan.AppendComma(e.b), '{')
	e.text("role", role)
	if m != nil && m.Name != "" {
		e.text("name", m.Name)
	}
}

func (e *encoder) said(i int, m *ai.Message) {
	role := "user"
	switch {
	case m.Role == ai.RoleDeveloper && (e.own || e.family()):
		role = "developer"
	case m.Role != ai.RoleUser:
		role = "system"
	}
	e.open(role, m)
	e.key("content")
	if m.Role == ai.RoleUser && len(e.media) > 0 {
		e.raw("[")
		e.pending(i)
		e.list(i, m.Parts)
		e.raw("]")
	} else {
		e.content(i, m.Parts)
	}
	e.raw("}")
}

// flush writes the media that wait as a turn of their own.
func (e *encoder) flush() {
	if len(e.media) == 0 {
		return
	}
	e.open("user", nil)
	e.key("content")
	e.raw("[")
	e.pending(len(e.c.Messages) - 1)
	e.raw("]}")
}

func (e *encoder) pending(message int) {
	for i := range e.media {
		e.part(message, i, &e.media[i])
	}
	e.media = e.media[:0]
}

// content writes one plain text as a string, all else as an array of parts.
func (e *encoder) content(message int, parts []ai.Part) {
	if len(parts) == 0 {
		e.raw(`""`)
		return
	}
	if len(parts) == 1 && parts[0].Kind == ai.PartText && len(parts[0].CacheControl) == 0 {
		e.b = jsonscan.AppendQuoted(e.b, parts[0].Text)
		return
	}
	e.raw("[")
	e.list(message, parts)
	e.raw("]")
}

func (e *encoder) list(message int, parts []ai.Part) {
	for n := range parts {
		e.part(message, n, &parts[n])
	}
}

func (e *encoder) part(message, n int, p *ai.Part) {
	if p.Kind == ai.PartOpaque && e.family() {
		e.b = append(jsonscan.AppendComma(e.b), p.Raw...)
		return
	}
	start := len(e.b)
	e.b = append(jsonscan.AppendComma(e.b), '{')
	ok := true
	switch p.Kind {
	case ai.PartText:
		e.raw(`"type":"text"`)
		e.text("text", p.Text)
	case ai.PartRefusal:
		e.raw(`"type":"refusal"`)
		e.text("refusal", p.Text)
	case ai.PartImage:
		ok = e.image(p.Media)
	case ai.PartAudio:
		ok = e.audio(p.Media)
	case ai.PartFile:
		ok = e.file(p)
	default:
		ok = false
	}
	if !ok {
		e.b = e.b[:start]
		e.g.RefusePart(e.c, message, n)
		return
	}
	e.cacheControl(p.CacheControl)
	e.raw("}")
}

// cacheControl goes to compatible servers in front of Anthropic's models, if the client spoke this schema; OpenAI caches by
// itself.
func (e *encoder) cacheControl(v []byte) {
	switch {
	case len(v) == 0:
	case e.family() && !e.own:
		e.json("cache_control", v)
	default:
		e.g.Leave("cache_control")
	}
}

func (e *encoder) assistant(i int, m *ai.Message) {
	e.g.LeaveCitations(m)
	e.open("assistant", m)
	var said []ai.Part
	calls, refused := 0, ""
	for n, p := range m.Parts {
		switch p.Kind {
		case ai.PartToolCall:
			calls++
		case ai.PartImage: // OpenAI takes images from the user alone
			e.g.RefusePart(e.c, i, n)
		case ai.PartReasoning:
		case ai.PartRefusal:
			refused += p.Text
		default:
			said = append(said, p)
		}
	}
	e.key("content")
	if len(said) == 0 && (calls > 0 || refused != "") {
		e.raw("null")
	} else {
		e.content(i, said)
	}
	if refused != "" {
		e.text("refusal", refused)
	}
	e.thoughts(m.Parts)
	e.calls(m.Parts, calls)
	e.raw("}")
}

// thoughts writes reasoning for compatible servers, of which some want it back. OpenAI itself takes none, and nobody but
// Gemini can read Gemini's signatures.
func (e *encoder) thoughts(parts []ai.Part) {
	var kept []ai.Part
	signed := false
	for _, p := range parts {
		if p.Kind != ai.PartReasoning {
			continue
		}
		if e.own || ai.IsGeminiSignature(p.Signature) {
			e.g.LeaveThought(&p)
			continue
		}
		signed = signed || p.Signature != ""
		kept = append(kept, p)
	}
	if signed {
		e.b = appendThoughts(e.b, kept, false)
	} else {
		e.b = appendReasoningContent(e.b, kept)
	}
}

func (e *encoder) calls(parts []ai.Part, n int) {
	if n == 0 {
		return
	}
	e.key("tool_calls")
	e.raw("[")
	for i := range parts {
		if parts[i].Kind == ai.PartToolCall {
			e.b = appendCall(jsonscan.AppendComma(e.b), parts[i].Call)
			e.cacheHint(parts[i].CacheControl)
		}
	}
	e.raw("]")
}

// cacheHint notes a cache_control that has no place here.
func (e *encoder) cacheHint(v []byte) {
	if len(v) > 0 {
		e.g.Leave("cache_control")
	}
}

// appendCall writes a call as it stands in messages and answers.
func appendCall(b []byte, c *ai.ToolCall) []byte {
	b = jsonscan.AppendQuoted(append(b, `{"id":`...), c.ID)
	if c.Custom {
		b = append(b, `,"type":"custom","custom":{`...)
		b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "name"), c.Name)
		b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "input"), c.Arguments)
		return append(b, "}}"...)
	}
	b = append(b, `,"type":"function","function":`...)
	return append(appendFunctionCall(b, c), '}')
}

// appendFunctionCall writes name and arguments, which are an object even if there are none.
func appendFunctionCall(b []byte, c *ai.ToolCall) []byte {
	b = jsonscan.AppendQuoted(append(b, `{"name":`...), c.Name)
	args := c.Arguments
	if args == "" {
		args = "{}"
	}
	return append(jsonscan.AppendQuoted(jsonscan.AppendKey(b, "arguments"), args), '}')
}

// results writes each result as a message of its own.
func (e *encoder) results(i int, m *ai.Message) {
	for n := range m.Parts {
		p := &m.Parts[n]
		if p.Kind != ai.PartToolResult {
			e.g.RefusePart(e.c, i, n)
			continue
		}
		e.open("tool", nil)
		e.text("tool_call_id", p.Result.CallID)
		e.key("content")
		e.content(i, e.resultText(p.Result))
		e.cacheHint(p.CacheControl)
		e.raw("}")
	}
}

// resultText is the text of a result; the rest waits for the user's turn. OpenAI has no mark for an error, so the text says it.
func (e *encoder) resultText(r *ai.ToolResult) []ai.Part {
	var texts, media []ai.Part
	for _, p := range r.Parts {
		if p.Kind == ai.PartText || p.Kind == ai.PartOpaque && e.family() {
			texts = append(texts, p)
		} else {
			media = append(media, p)
		}
	}
	if r.IsError && (len(texts) == 0 || !startsWithError(texts[0].Text)) {
		texts = append([]ai.Part{{Kind: ai.PartText, Text: "Error: "}}, texts...)
	}
	if len(media) > 0 {
		texts = append(texts, ai.Part{Kind: ai.PartText, Text: "The files of this result follow in the next message of the user."})
		e.media = append(e.media, ai.Part{Kind: ai.PartText, Text: "Files of the result of tool call " + r.CallID + ":"})
		e.media = append(e.media, media...)
	}
	return joined(texts)
}

func startsWithError(s string) bool {
	s = strings.TrimLeft(s, " \t\r\n{\"")
	return len(s) >= 5 && strings.EqualFold(s[:5], "error")
}

// joined makes one text of several without cache_control, which servers that take strings alone understand, too.
func joined(parts []ai.Part) []ai.Part {
	if len(parts) < 2 {
		return parts
	}
	var b strings.Builder
	for i, p := range parts {
		if p.Kind != ai.PartText || len(p.CacheControl) > 0 {
			return parts
		}
		if i > 0 && parts[i-1].Text != "Error: " {
			b.WriteByte('\n')
		}
		b.WriteString(p.Text)
	}
	return []ai.Part{{Kind: ai.PartText, Text: b.String()}}
}
