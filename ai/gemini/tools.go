package gemini

import (
	"fmt"

	"github.com/nantian-gw/nantian/ai"
)

// tools writes the declarations and how freely the model may choose among them.
func (e *encoder) tools() {
	if len(e.c.Tools) > 0 {
		e.Array("tools")
		e.Open()
		e.Array("functionDeclarations")
		for i := range e.c.Tools {
			e.tool(i)
		}
		e.End()
		e.Shut()
		e.End()
		if p := e.c.ParallelTools; p != nil && !*p {
			e.gaps.Refuse("parallel_tool_calls")
		}
	}
	e.choice()
}

func (e *encoder) tool(i int) {
	t := &e.c.Tools[i]
	if len(t.Raw) > 0 {
		e.gaps.Refuse(fmt.Sprintf("tools[%d]", i))
		return
	}
	if len(t.CacheControl) > 0 {
		e.gaps.Leave("cache_control")
	}
	e.Open()
	e.Text("name", t.Name)
	if t.Description != "" {
		e.Text("description", t.Description)
	}
	if len(t.Schema) > 0 {
		e.Raw("parametersJsonSchema", t.Schema)
	}
	e.Shut()
}

// choice writes toolConfig. A strict tool with a free choice is Gemini's mode VALIDATED; ANY holds to schemas anyway
// (https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes).
func (e *encoder) choice() {
	mode := ""
	switch e.c.ToolChoice.Mode {
	case ai.ToolsNone:
		mode = "NONE"
	case ai.ToolsRequired, ai.ToolsNamed:
		mode = "ANY"
	default:
		switch {
		case e.strict():
			mode = "VALIDATED"
		case e.c.ToolChoice.Mode == ai.ToolsAuto:
			mode = "AUTO"
		default:
			return
		}
	}
	e.Object("toolConfig")
	e.Object("functionCallingConfig")
	e.Text("mode", mode)
	if e.c.ToolChoice.Mode == ai.ToolsNamed {
		e.Array("allowedFunctionNames")
		e.Element(e.c.ToolChoice.Name)
		e.End()
	}
	e.Shut()
	e.Shut()
}

func (e *encoder) strict() bool {
	for i := range e.c.Tools {
		if s := e.c.Tools[i].Strict; s != nil && *s {
			return true
		}
	}
	return false
}
