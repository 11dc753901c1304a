package gemini

import (
	"fmt"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// prompt writes what the model reads: the system instruction, the turns and the tools.
func (e *encoder) prompt() error {
	only := e.system()
	e.Array("contents")
	if only {
		e.systemTurn()
	}
	for i := 0; i < len(e.c.Messages); {
		n, err := e.turn(i)
		if err != nil {
			return err
		}
		i += n
	}
	e.End()
	e.tools()
	return nil
}

// system gathers the system and developer messages, which Gemini takes in one place only. It says whether the chat has
// nothing else: Gemini refuses a request without contents, so they are then sent as the user's turn.
func (e *encoder) system() (only bool) {
	n := 0
	for i := range e.c.Messages {
		if isSystem(e.c.Messages[i].Role) {
			n++
		}
	}
	if n == 0 || n == len(e.c.Messages) {
		return n > 0
	}
	e.Object("systemInstruction")
	e.systemParts()
	e.Shut()
	return false
}

func (e *encoder) systemTurn() {
	e.Open()
	e.Text("role", "user")
	e.systemParts()
	e.Shut()
}

func (e *encoder) systemParts() {
	e.Array("parts")
	for i := range e.c.Messages {
		m := &e.c.Messages[i]
		if !isSystem(m.Role) {
			continue
		}
		for j := range m.Parts {
			p := &m.Parts[j]
			e.hints(p)
			if p.Kind != ai.PartText {
				e.gaps.RefusePart(e.c, i, j)
				continue
			}
			e.textPart(p.Text, "")
		}
	}
	e.End()
}

func isSystem(r ai.Role) bool { return r == ai.RoleSystem || r == ai.RoleDeveloper }

// turn writes the content of message i and says how many messages it took.
func (e *encoder) turn(i int) (int, error) {
	switch m := &e.c.Messages[i]; m.Role {
	case ai.RoleSystem, ai.RoleDeveloper:
		return 1, nil
	case ai.RoleTool:
		return e.results(i)
	case ai.RoleAssistant:
		e.name(i)
		e.modelTurn(i)
		return 1, nil
	default:
		e.name(i)
		e.userTurn(i)
		return 1, nil
	}
}

// name refuses the name of a speaker: the model would read it.
func (e *encoder) name(i int) {
	if e.c.Messages[i].Name != "" {
		e.gaps.Refuse(fmt.Sprintf("messages[%d].name", i))
	}
}

func (e *encoder) userTurn(i int) {
	m := &e.c.Messages[i]
	e.Open()
	e.Text("role", "user")
	e.Array("parts")
	for j := range m.Parts {
		e.input(i, j, &m.Parts[j])
	}
	e.filled()
	e.Shut()
}

// filled ends the parts of a turn. A turn without parts is an error at Gemini; an empty text says the same.
func (e *encoder) filled() {
	if e.B[len(e.B)-1] == '[' {
		e.textPart("", "")
	}
	e.End()
}

func (e *encoder) modelTurn(i int) {
	m := &e.c.Messages[i]
	e.gaps.LeaveCitations(m)
	e.calls, e.signed = e.calls[:0], false
	e.Open()
	e.Text("role", "model")
	e.Array("parts")
	for j := range m.Parts {
		p := &m.Parts[j]
		e.hints(p)
		switch p.Kind {
		case ai.PartText, ai.PartRefusal:
			e.textPart(p.Text, "")
		case ai.PartReasoning:
			e.thought(p)
		case ai.PartToolCall:
			e.call(p)
		default:
			e.input(i, j, p)
		}
	}
	e.filled()
	e.Shut()
}

func (e *encoder) textPart(text, signature string) {
	e.Open()
	e.Text("text", text)
	e.sign(signature)
	e.Shut()
}

func (e *encoder) hints(p *ai.Part) {
	if len(p.CacheControl) > 0 {
		e.gaps.Leave("cache_control")
	}
}

// call writes a tool call of an earlier turn.
func (e *encoder) call(p *ai.Part) {
	e.Open()
	e.Object("functionCall")
	if p.Call.ID != "" {
		e.Text("id", p.Call.ID)
	}
	e.Text("name", p.Call.Name)
	e.B = body.AppendArguments(jsonscan.AppendKey(e.B, "args"), p.Call.Arguments, p.Call.Custom)
	e.Shut()
	e.sign(e.callSignature())
	e.Shut()
}
