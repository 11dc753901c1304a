package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

func (e *encoder) tools() {
	if len(e.c.Tools) > 0 {
		e.key("tools")
		e.raw("[")
		for i := range e.c.Tools {
			e.tool(i, &e.c.Tools[i])
		}
		e.raw("]")
		e.bool("parallel_tool_calls", e.c.ParallelTools)
		e.choice()
	}
}

func (e *encoder) tool(i int, t *ai.Tool) {
	if len(t.Raw) > 0 {
		if !e.family() {
			e.g.Refuse("tools" + element(i))
			return
		}
		e.b = append(jsonscan.AppendComma(e.b), t.Raw...)
		return
	}
	e.b = jsonscan.AppendComma(e.b)
	e.raw(`{"type":"function","function":{`)
	e.text("name", t.Name)
	if t.Description != "" {
		e.text("description", t.Description)
	}
	e.json("parameters", t.Schema)
	e.bool("strict", t.Strict)
	e.raw("}")
	e.cacheControl(t.CacheControl)
	e.raw("}")
}

func (e *encoder) choice() {
	switch e.c.ToolChoice.Mode {
	case ai.ToolsAuto:
		e.text("tool_choice", "auto")
	case ai.ToolsNone:
		e.text("tool_choice", "none")
	case ai.ToolsRequired:
		e.text("tool_choice", "required")
	case ai.ToolsNamed:
		typ := "function"
		for _, t := range e.c.Tools {
			if len(t.Raw) > 0 && t.Name == e.c.ToolChoice.Name {
				typ = "custom"
			}
		}
		e.key("tool_choice")
		e.raw(`{`)
		e.text("type", typ)
		e.key(typ)
		e.raw(`{`)
		e.text("name", e.c.ToolChoice.Name)
		e.raw(`}}`)
	}
}
