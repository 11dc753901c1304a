package ollama

import (
	"fmt"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// message writes message i. Ollama's messages hold one text, so that the texts of a message are joined; every tool's
// result is a message of its own.
func (e *encoder) message(i int) {
	m := &e.c.Messages[i]
	e.gaps.LeaveCitations(m)
	if m.Name != "" && m.Role != ai.RoleTool {
		e.gaps.Refuse(fmt.Sprintf("messages[%d].name", i))
	}
	for j := range m.Parts {
		if m.Parts[j].Kind == ai.PartToolResult {
			e.result(i, j)
		}
	}
	if m.Role == ai.RoleTool {
		return
	}
	e.Open()
	e.Text("role", role(m.Role))
	e.content(i, m.Parts)
	e.Shut()
}

func role(r ai.Role) string {
	switch r {
	case ai.RoleSystem, ai.RoleDeveloper:
		return "system"
	case ai.RoleAssistant:
		return "assistant"
	}
	return "user"
}

// content writes the members of a message that hold its parts.
func (e *encoder) content(i int, parts []ai.Part) {
	var thoughts []string
	calls := 0
	for j := range parts {
		p := &parts[j]
		if len(p.CacheControl) > 0 {
			e.gaps.Leave("cache_control")
		}
		switch p.Kind {
		case ai.PartText, ai.PartRefusal, ai.PartToolResult:
		case ai.PartReasoning:
			if p.Text == "" || p.Redacted {
				e.gaps.LeaveThought(p)
			} else {
				thoughts = append(thoughts, p.Text)
			}
		case ai.PartToolCall:
			calls++
		case ai.PartImage:
			e.image(i, j, p.Media)
		default:
			e.gaps.RefusePart(e.c, i, j)
		}
	}
	e.Text("content", joined(parts))
	if len(thoughts) > 0 {
		e.Text("thinking", strings.Join(thoughts, "\n"))
	}
	e.images(parts)
	if calls > 0 {
		e.calls(parts)
	}
}

// image notes what cannot be honoured of an image.
func (e *encoder) image(i, j int, m *ai.Media) {
	if base64(m) == "" {
		e.gaps.RefusePart(e.c, i, j)
		return
	}
	if m.Detail != "" && m.Detail != "auto" {
		e.gaps.Leave(fmt.Sprintf("messages[%d].content[%d].image_url.detail", i, j))
	}
}

func joined(parts []ai.Part) string {
	var texts []string
	for i := range parts {
		if k := parts[i].Kind; k == ai.PartText || k == ai.PartRefusal {
			texts = append(texts, parts[i].Text)
		}
	}
	return strings.Join(texts, "\n")
}

func (e *encoder) images(parts []ai.Part) {
	open := false
	for i := range parts {
		if parts[i].Kind != ai.PartImage || base64(parts[i].Media) == "" {
			continue
		}
		if !open {
			e.Array("images")
			open = true
		}
		e.Element(base64(parts[i].Media))
	}
	if open {
		e.End()
	}
}

// base64 is the data of media that come by value, else empty.
func base64(m *ai.Media) string {
	if m == nil {
		return ""
	}
	if m.Data == "" && strings.HasPrefix(m.URL, "data:") {
		_, data, _ := strings.Cut(m.URL, ";base64,")
		return data
	}
	return m.Data
}

func (e *encoder) calls(parts []ai.Part) {
	e.Array("tool_calls")
	for i := range parts {
		if parts[i].Kind != ai.PartToolCall {
			continue
		}
		c := parts[i].Call
		e.Open()
		if c.ID != "" {
			e.Text("id", c.ID)
		}
		e.Object("function")
		e.Text("name", c.Name)
		e.B = body.AppendArguments(jsonscan.AppendKey(e.B, "arguments"), c.Arguments, c.Custom)
		e.Shut()
		e.Shut()
	}
	e.End()
}

// result writes the answer to a call.
func (e *encoder) result(i, j int) {
	p := &e.c.Messages[i].Parts[j]
	r := p.Result
	e.Open()
	e.Text("role", "tool")
	for k := range r.Parts {
		if kind := r.Parts[k].Kind; kind != ai.PartText && (kind != ai.PartImage || base64(r.Parts[k].Media) == "") {
			e.gaps.RefusePart(e.c, i, j)
		}
	}
	if len(p.CacheControl) > 0 {
		e.gaps.Leave("cache_control")
	}
	e.Text("content", resultText(r))
	e.images(r.Parts)
	name := r.Name
	if name == "" {
		name = e.called(i, r.CallID)
	}
	if name != "" {
		e.Text("tool_name", name)
	}
	if r.CallID != "" {
		e.Text("tool_call_id", r.CallID)
	}
	e.Shut()
}

// resultText is the text of a result. Ollama has no mark for an error, so the text says it.
func resultText(r *ai.ToolResult) string {
	s := joined(r.Parts)
	if r.IsError && !strings.HasPrefix(strings.ToLower(s), "error") {
		return "Error: " + s
	}
	return s
}

// called is the name of the tool that the call with that id asked for, before message i.
func (e *encoder) called(i int, id string) string {
	for i--; i >= 0; i-- {
		for _, p := range e.c.Messages[i].Parts {
			if p.Kind == ai.PartToolCall && p.Call.ID == id {
				return p.Call.Name
			}
		}
	}
	return ""
}

// tools writes the tools. To leave them out is to forbid them; to force them is nothing that Ollama can do.
func (e *encoder) tools() {
	c := e.c
	switch c.ToolChoice.Mode {
	case ai.ToolsNone:
		return
	case ai.ToolsRequired, ai.ToolsNamed:
		e.gaps.Refuse("tool_choice")
	}
	if len(c.Tools) == 0 {
		return
	}
	if c.ParallelTools != nil && !*c.ParallelTools {
		e.gaps.Refuse("parallel_tool_calls")
	}
	e.Array("tools")
	for i := range c.Tools {
		e.tool(i, &c.Tools[i])
	}
	e.End()
}

// strict is the client's name of the member that asks for arguments which keep to the schema.
func (e *encoder) strict(i int) string {
	if e.c.Family == ai.Anthropic {
		return fmt.Sprintf("tools[%d].strict", i)
	}
	return fmt.Sprintf("tools[%d].function.strict", i)
}

func (e *encoder) tool(i int, t *ai.Tool) {
	if len(t.Raw) > 0 {
		e.gaps.Refuse(fmt.Sprintf("tools[%d]", i))
		return
	}
	if t.Strict != nil && *t.Strict {
		e.gaps.Refuse(e.strict(i))
	}
	if len(t.CacheControl) > 0 {
		e.gaps.Leave("cache_control")
	}
	e.Open()
	e.Text("type", "function")
	e.Object("function")
	e.Text("name", t.Name)
	if t.Description != "" {
		e.Text("description", t.Description)
	}
	if len(t.Schema) > 0 {
		e.Raw("parameters", t.Schema)
	} else {
		e.Raw("parameters", []byte(`{"type":"object","properties":{}}`))
	}
	e.Shut()
	e.Shut()
}
