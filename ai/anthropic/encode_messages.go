package anthropic

import (
	"encoding/base64"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// hoisted says whether a message belongs to the system prompt: the instructions of other schemas wherever they stand, of
// an Anthropic client those that it put there itself.
func (e *encoder) hoisted(i int) bool {
	r := e.c.Messages[i].Role
	return (r == ai.RoleSystem || r == ai.RoleDeveloper) && (i == 0 || !e.own())
}

func (e *encoder) system() {
	open := false
	for i := range e.c.Messages {
		if !e.hoisted(i) {
			continue
		}
		for n := range e.c.Messages[i].Parts {
			p := &e.c.Messages[i].Parts[n]
			if p.Kind != ai.PartText && !(p.Kind == ai.PartOpaque && e.own()) {
				e.g.RefusePart(e.c, i, n)
				continue
			}
			if blank(p) {
				continue
			}
			if !open {
				e.key("system")
				e.raw("[")
				open = true
			}
			e.b = jsonscan.AppendComma(e.b)
			e.part(p)
		}
	}
	if open {
		e.raw("]")
	}
}

// blank says whether a part is text that Anthropic would refuse as empty.
func blank(p *ai.Part) bool {
	return (p.Kind == ai.PartText || p.Kind == ai.PartRefusal) && strings.TrimSpace(p.Text) == ""
}

func (e *encoder) messages() error {
	e.key("messages")
	e.raw("[")
	for i := range e.c.Messages {
		m := &e.c.Messages[i]
		if e.hoisted(i) {
			continue
		}
		if m.Name != "" && m.Role != ai.RoleTool {
			e.g.Refuse("messages[" + strconv.Itoa(i) + "].name")
		}
		if err := e.message(i, m); err != nil {
			return err
		}
	}
	e.closeTurn()
	e.raw("]")
	return nil
}

func (e *encoder) message(i int, m *ai.Message) error {
	calls := 0
	for n := range m.Parts {
		p := &m.Parts[n]
		if p.Kind == ai.PartToolCall {
			if err := e.checkCall(p.Call, i, calls); err != nil {
				return err
			}
			calls++
		}
		if p.Kind == ai.PartToolResult {
			e.checkResult(p.Result, i)
		}
		if p.Media != nil && p.Media.Detail == "low" {
			e.g.Leave("messages[" + strconv.Itoa(i) + "].content[" + strconv.Itoa(n) + "].image_url.detail")
		}
		if !e.sendable(p) || p.Kind == ai.PartImage && m.Role == ai.RoleAssistant { // images are the user's alone
			e.g.RefusePart(e.c, i, n)
			continue
		}
		if e.unreadable(p) {
			e.g.LeaveThought(p)
			continue
		}
		if blank(p) {
			continue
		}
		e.openTurn(m.Role)
		e.part(p)
	}
	return nil
}

// openTurn prepares for a block of a role, within the turn that is open if it has the same.
func (e *encoder) openTurn(r ai.Role) {
	role := "user"
	switch r {
	case ai.RoleAssistant:
		role = "assistant"
	case ai.RoleSystem:
		role = "system"
	}
	if e.role != role {
		e.closeTurn()
		e.b = jsonscan.AppendComma(e.b)
		e.raw(`{"role":"`, role, `","content":[`)
		e.role = role
	}
	e.b = jsonscan.AppendComma(e.b)
}

func (e *encoder) closeTurn() {
	if e.role != "" {
		e.raw("]}")
		e.role = ""
	}
}

// unreadable says whether a part is reasoning that Anthropic would refuse.
func (e *encoder) unreadable(p *ai.Part) bool {
	return p.Kind == ai.PartReasoning && !replayable(p) && !(e.own() && p.Signature == "" && !p.Redacted)
}

// sendable says whether Anthropic has a block for p.
func (e *encoder) sendable(p *ai.Part) bool {
	switch p.Kind {
	case ai.PartText, ai.PartRefusal, ai.PartReasoning, ai.PartToolResult:
		return true
	case ai.PartToolCall:
		return !p.Call.Custom
	case ai.PartImage:
		return sendableImage(p.Media)
	case ai.PartFile:
		return e.own() && p.Annotations != nil || sendableFile(p.Media)
	case ai.PartOpaque:
		return e.own()
	}
	return false
}

// checkCall refuses arguments that are no object: Anthropic's input is JSON, not text.
func (e *encoder) checkCall(c *ai.ToolCall, message, call int) error {
	if c.Custom || strings.TrimSpace(c.Arguments) == "" || e.own() {
		return nil
	}
	args := []byte(c.Arguments)
	if jsonscan.Valid(args) == nil && jsonscan.Kind(jsonscan.Trim(args)) == jsonscan.Object {
		return nil
	}
	at := "messages[" + strconv.Itoa(message) + "].tool_calls[" + strconv.Itoa(call) + "].function.arguments"
	return bad(at, "expected the text of a JSON object")
}

// checkResult drops from a result what cannot be in one; part leaves it out.
func (e *encoder) checkResult(r *ai.ToolResult, message int) {
	for i := range r.Parts {
		if !e.sendable(&r.Parts[i]) {
			e.g.Refuse("messages[" + strconv.Itoa(message) + "].content[" + strconv.Itoa(i) + "]")
		}
	}
}

// part appends the block of a part.
func (e *encoder) part(p *ai.Part) {
	switch p.Kind {
	case ai.PartText, ai.PartRefusal:
		e.raw(`{"type":"text"`)
		e.text("text", p.Text)
		if e.own() {
			e.json("citations", p.Annotations)
		}
	case ai.PartReasoning:
		e.reasoning(p)
		return
	case ai.PartToolCall:
		e.raw(`{"type":"tool_use"`)
		e.text("id", toolID(p.Call.ID))
		e.text("name", p.Call.Name)
		e.json("input", []byte(arguments(p.Call)))
	case ai.PartToolResult:
		e.result(p.Result)
	case ai.PartImage:
		e.raw(`{"type":"image"`)
		e.source(p.Media)
	case ai.PartFile:
		if e.own() && p.Annotations != nil {
			e.b = append(e.b, p.Annotations...)
			return
		}
		e.raw(`{"type":"document"`)
		e.source(p.Media)
		if p.Media.Name != "" {
			e.text("title", p.Media.Name)
		}
	default:
		e.b = append(e.b, p.Raw...)
		return
	}
	e.json("cache_control", p.CacheControl)
	e.raw("}")
}

func (e *encoder) reasoning(p *ai.Part) {
	if p.Redacted {
		e.raw(`{"type":"redacted_thinking"`)
		e.text("data", p.Signature)
	} else {
		e.raw(`{"type":"thinking"`)
		e.text("thinking", p.Text)
		e.text("signature", p.Signature)
	}
	e.raw("}")
}

func arguments(c *ai.ToolCall) string {
	if strings.TrimSpace(c.Arguments) == "" {
		return "{}"
	}
	return c.Arguments
}

func (e *encoder) result(r *ai.ToolResult) {
	e.raw(`{"type":"tool_result"`)
	e.text("tool_use_id", toolID(r.CallID))
	open := false
	for i := range r.Parts {
		p := &r.Parts[i]
		if blank(p) || !e.sendable(p) {
			continue
		}
		if !open {
			e.key("content")
			e.raw("[")
			open = true
		}
		e.b = jsonscan.AppendComma(e.b)
		e.part(p)
	}
	if open {
		e.raw("]")
	}
	if r.IsError {
		e.key("is_error")
		e.raw("true")
	}
}

// toolID makes an id of another vendor one that Anthropic takes (^[a-zA-Z0-9_-]+$). The same id gives the same result, so
// that calls and results stay paired; a hash keeps ids apart that differ only in what is replaced.
func toolID(id string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, id)
	if clean == id && id != "" {
		return id
	}
	h := fnv.New32a()
	h.Write([]byte(id)) // never fails
	return clean + "_" + strconv.FormatUint(uint64(h.Sum32()), 16)
}

// inline is the media type and the base64 data of media that is not a reference.
func inline(m *ai.Media) (mime, data string) {
	if m.Data != "" || m.URL == "" {
		return m.MIME, m.Data
	}
	if rest, ok := strings.CutPrefix(m.URL, "data:"); ok {
		if mime, data, ok := strings.Cut(rest, ";base64,"); ok {
			return mime, data
		}
	}
	return "", ""
}

func isText(mime string) bool { return strings.HasPrefix(mime, "text/") || mime == "application/json" }

func sendableImage(m *ai.Media) bool {
	if m == nil {
		return false
	}
	_, data := inline(m)
	return data != "" || m.FileID != "" || m.URL != "" && !strings.HasPrefix(m.URL, "data:")
}

func sendableFile(m *ai.Media) bool {
	if m == nil {
		return false
	}
	mime, data := inline(m)
	switch {
	case data == "":
		return m.FileID != "" || m.URL != "" && !strings.HasPrefix(m.URL, "data:")
	case isText(mime):
		_, err := base64.StdEncoding.DecodeString(data)
		return err == nil
	}
	return mime == mimePDF
}

// source appends where an image or a document comes from.
func (e *encoder) source(m *ai.Media) {
	e.key("source")
	mime, data := inline(m)
	switch {
	case data != "" && isText(mime):
		plain, _ := base64.StdEncoding.DecodeString(data) // sendableFile has tried it
		e.raw(`{"type":"text","media_type":"text/plain"`)
		e.text("data", string(plain))
	case data != "":
		e.raw(`{"type":"base64"`)
		e.text("media_type", mime)
		e.text("data", data)
	case m.FileID != "":
		e.raw(`{"type":"file"`)
		e.text("file_id", m.FileID)
	default:
		e.raw(`{"type":"url"`)
		e.text("url", m.URL)
	}
	e.raw("}")
}
