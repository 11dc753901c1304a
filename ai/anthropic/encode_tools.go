package anthropic

import (
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

func (e *encoder) tools() {
	open := false
	for i := range e.c.Tools {
		t := &e.c.Tools[i]
		if t.Raw != nil && !e.own() {
			e.g.Refuse("tools[" + strconv.Itoa(i) + "]")
			continue
		}
		if !open {
			e.key("tools")
			e.raw("[")
			open = true
		}
		e.b = jsonscan.AppendComma(e.b)
		e.tool(t)
	}
	if open {
		e.raw("]")
	}
	e.toolChoice(open)
}

func (e *encoder) tool(t *ai.Tool) {
	if t.Raw != nil {
		e.b = append(e.b, t.Raw...)
		return
	}
	e.raw("{")
	e.text("name", t.Name)
	if t.Description != "" {
		e.text("description", t.Description)
	}
	e.key("input_schema")
	if len(t.Schema) > 0 {
		e.b = append(e.b, t.Schema...)
	} else {
		e.raw(`{"type":"object","properties":{}}`)
	}
	if t.Strict != nil && *t.Strict {
		e.key("strict")
		e.raw("true")
	}
	e.json("cache_control", t.CacheControl)
	e.raw("}")
}

// toolChoice writes which tools may be called. One call at a time needs a choice to stand in.
func (e *encoder) toolChoice(tools bool) {
	single := e.c.ParallelTools != nil && !*e.c.ParallelTools
	choice := ""
	switch e.c.ToolChoice.Mode {
	case ai.ToolsAuto:
		choice = "auto"
	case ai.ToolsNone:
		choice, single = "none", false
	case ai.ToolsRequired:
		choice = "any"
	case ai.ToolsNamed:
		choice = "tool"
	default:
		if single {
			choice = "auto"
		}
	}
	if choice == "" || !tools {
		return
	}
	e.key("tool_choice")
	e.raw(`{"type":"`, choice, `"`)
	if e.c.ToolChoice.Mode == ai.ToolsNamed {
		e.text("name", e.c.ToolChoice.Name)
	}
	if single {
		e.raw(`,"disable_parallel_tool_use":true`)
	}
	e.raw("}")
}
