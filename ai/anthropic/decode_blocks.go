package anthropic

import (
	"encoding/base64"
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// message reads one turn. The results of tools in a user's turn become messages of ai.RoleTool of their own.
func (d *chatDecoder) message(i int, v []byte) error {
	if err := object(v); err != nil {
		return err
	}
	role, err := readRole(jsonscan.Get(v, "role"))
	if err != nil {
		return ai.Under(err, "role")
	}
	parts, err := content(jsonscan.Get(v, "content"), true)
	if err != nil {
		return ai.Under(err, "content")
	}
	for k, v := range jsonscan.Fields(v) {
		if name := string(k); name != "role" && name != "content" && !jsonscan.IsNull(v) {
			d.extra("messages["+strconv.Itoa(i)+"]."+name, v)
		}
	}
	if err := d.pair(role, parts); err != nil {
		return ai.Under(err, "content")
	}
	d.noteDocuments("messages["+strconv.Itoa(i)+"].content", parts)
	d.split(role, parts)
	return nil
}

func readRole(v []byte) (ai.Role, error) {
	switch jsonscan.Text(v) {
	case "user":
		return ai.RoleUser, nil
	case "assistant":
		return ai.RoleAssistant, nil
	case "system":
		return ai.RoleSystem, nil
	}
	return 0, bad("", `expected "user", "assistant" or "system"`)
}

// pair remembers calls, gives results the name of their tool, and refuses both in the wrong role.
func (d *chatDecoder) pair(role ai.Role, parts []ai.Part) error {
	for i := range parts {
		switch p := &parts[i]; {
		case p.Kind == ai.PartToolCall && role == ai.RoleAssistant:
			if d.tools == nil {
				d.tools = make(map[string]string)
			}
			d.tools[p.Call.ID] = p.Call.Name
		case p.Kind == ai.PartToolResult && role == ai.RoleUser:
			p.Result.Name = d.tools[p.Result.CallID]
		case p.Kind == ai.PartToolCall || p.Kind == ai.PartToolResult:
			return bad("["+strconv.Itoa(i)+"].type", "a tool_use belongs to the assistant, a tool_result to the user")
		}
	}
	return nil
}

// noteDocuments keeps what a document has beyond its canonical form. The provider of this
// schema finds the block in Part.Annotations.
func (d *chatDecoder) noteDocuments(at string, parts []ai.Part) {
	for n := range parts {
		switch p := &parts[n]; p.Kind {
		case ai.PartToolResult:
			d.noteDocuments(at+"["+strconv.Itoa(n)+"].content", p.Result.Parts)
		case ai.PartFile:
			for _, name := range documentExtras {
				if v := documentExtra(p.Annotations, name); v != nil {
					d.extra(at+"["+strconv.Itoa(n)+"]."+name, v)
				}
			}
		}
	}
}

// split appends the message, cut where tool results begin and end.
func (d *chatDecoder) split(role ai.Role, parts []ai.Part) {
	for {
		n := 0
		for n < len(parts) && (parts[n].Kind == ai.PartToolResult) == (parts[0].Kind == ai.PartToolResult) {
			n++
		}
		as := role
		if n > 0 && parts[0].Kind == ai.PartToolResult {
			as = ai.RoleTool
		}
		d.c.Messages = append(d.c.Messages, ai.Message{Role: as, Parts: parts[:n:n]})
		if parts = parts[n:]; len(parts) == 0 {
			return
		}
	}
}

// content reads a string, or an array of blocks. In a request, which is strict, a block with members that are not known
// here is opaque, since they could change its meaning. In an answer they are additions that a client can do without.
func content(v []byte, strict bool) ([]ai.Part, error) {
	switch jsonscan.Kind(v) {
	case jsonscan.String:
		if s := jsonscan.Text(v); s != "" {
			return []ai.Part{{Kind: ai.PartText, Text: s}}, nil
		}
		return nil, nil
	case jsonscan.Array:
		var parts []ai.Part
		err := each(v, func(_ int, raw []byte) error {
			p, err := block(raw, strict)
			parts = append(parts, p)
			return err
		})
		return parts, err
	}
	return nil, expected("a string or an array of content blocks", v)
}

// block reads one content block. A block of another type is opaque.
func block(v []byte, strict bool) (ai.Part, error) {
	if err := object(v); err != nil {
		return ai.Part{}, err
	}
	typ, err := needText(jsonscan.Get(v, "type"))
	if err != nil {
		return ai.Part{}, ai.Under(err, "type")
	}
	p := ai.Part{CacheControl: member(v, "cache_control")}
	known := false
	switch typ {
	case "text":
		known, err = textBlock(&p, v)
	case "image":
		known, err = imageBlock(&p, v)
	case "document":
		known, err = documentBlock(&p, v)
	case "tool_use":
		known, err = toolUseBlock(&p, v)
	case "tool_result":
		known, err = toolResultBlock(&p, v)
	case "thinking", "redacted_thinking":
		known, err = thinkingBlock(&p, v, typ == "redacted_thinking")
	}
	if err == nil && (p.Kind == 0 || strict && !known) {
		return ai.Part{Kind: ai.PartOpaque, Raw: v, CacheControl: p.CacheControl}, nil
	}
	return p, err
}

// member is a member of an object; nil where it is null.
func member(v []byte, name string) []byte {
	if m := jsonscan.Get(v, name); !jsonscan.IsNull(m) {
		return m
	}
	return nil
}

func textBlock(p *ai.Part, v []byte) (known bool, err error) {
	p.Kind = ai.PartText
	p.Annotations = member(v, "citations")
	p.Text, err = text(jsonscan.Get(v, "text"))
	return onlyMembers(v, "type", "text", "cache_control", "citations"), ai.Under(err, "text")
}

func thinkingBlock(p *ai.Part, v []byte, redacted bool) (known bool, err error) {
	p.Kind, p.Redacted = ai.PartReasoning, redacted
	if redacted {
		p.Signature, err = text(jsonscan.Get(v, "data"))
		return onlyMembers(v, "type", "data"), ai.Under(err, "data")
	}
	p.Signature = jsonscan.Text(jsonscan.Get(v, "signature"))
	p.Text, err = text(jsonscan.Get(v, "thinking"))
	return onlyMembers(v, "type", "thinking", "signature"), ai.Under(err, "thinking")
}

func toolUseBlock(p *ai.Part, v []byte) (known bool, err error) {
	p.Kind, p.Call = ai.PartToolCall, &ai.ToolCall{}
	if p.Call.ID, err = needText(jsonscan.Get(v, "id")); err != nil {
		return true, ai.Under(err, "id")
	}
	if p.Call.Name, err = needText(jsonscan.Get(v, "name")); err != nil {
		return true, ai.Under(err, "name")
	}
	input := jsonscan.Get(v, "input")
	p.Call.Arguments = string(input)
	return onlyMembers(v, "type", "id", "name", "input", "cache_control", "caller"), ai.Under(object(input), "input")
}

func toolResultBlock(p *ai.Part, v []byte) (known bool, err error) {
	p.Kind, p.Result = ai.PartToolResult, &ai.ToolResult{}
	if p.Result.CallID, err = needText(jsonscan.Get(v, "tool_use_id")); err != nil {
		return true, ai.Under(err, "tool_use_id")
	}
	if raw := member(v, "is_error"); raw != nil {
		if p.Result.IsError, err = flag(raw); err != nil {
			return true, ai.Under(err, "is_error")
		}
	}
	if raw := member(v, "content"); raw != nil {
		p.Result.Parts, err = content(raw, true)
	}
	return onlyMembers(v, "type", "tool_use_id", "content", "is_error", "cache_control"), ai.Under(err, "content")
}

func imageBlock(p *ai.Part, v []byte) (known bool, err error) {
	if p.Media, known, err = source(jsonscan.Get(v, "source")); err != nil || !known {
		return false, ai.Under(err, "source")
	}
	p.Kind = ai.PartImage
	return onlyMembers(v, "type", "source", "cache_control"), nil
}

// documentExtras are the members of a document that only Anthropic understands.
var documentExtras = [...]string{"citations", "context"}

// documentExtra is such a member; nil where it asks for nothing.
func documentExtra(v []byte, name string) []byte {
	m := member(v, name)
	if name == "citations" && !jsonscan.IsTrue(jsonscan.Get(m, "enabled")) {
		return nil
	}
	return m
}

func documentBlock(p *ai.Part, v []byte) (known bool, err error) {
	if p.Media, known, err = source(jsonscan.Get(v, "source")); err != nil || !known {
		return false, ai.Under(err, "source")
	}
	p.Kind = ai.PartFile
	p.Media.Name = jsonscan.Text(jsonscan.Get(v, "title"))
	if p.Media.MIME == "" && p.Media.URL != "" {
		p.Media.MIME = mimePDF
	}
	for _, name := range documentExtras {
		if documentExtra(v, name) != nil {
			p.Annotations = v
		}
	}
	return onlyMembers(v, "type", "source", "title", "context", "citations", "cache_control"), nil
}

const (
	mimePDF  = "application/pdf"
	mimeText = "text/plain"
)

// source reads where an image or a document comes from; known is false for a source without a canonical form.
func source(v []byte) (m *ai.Media, known bool, err error) {
	if err := object(v); err != nil {
		return nil, false, err
	}
	m = &ai.Media{MIME: jsonscan.Text(jsonscan.Get(v, "media_type"))}
	name := ""
	switch jsonscan.Text(jsonscan.Get(v, "type")) {
	case "base64":
		name = "data"
		m.Data, err = needText(jsonscan.Get(v, name))
	case "text":
		name, m.MIME = "data", mimeText
		var s string
		s, err = text(jsonscan.Get(v, name))
		m.Data = base64.StdEncoding.EncodeToString([]byte(s))
	case "url":
		name = "url"
		m.URL, err = needText(jsonscan.Get(v, name))
	case "file":
		name = "file_id"
		m.FileID, err = needText(jsonscan.Get(v, name))
	case "":
		return nil, false, bad("type", "this field is required")
	default:
		return nil, false, nil
	}
	return m, true, ai.Under(err, name)
}
