package anthropic

import (
	"strconv"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// tool reads a function of the client's, or keeps one of Anthropic's own (web search, computer use ...) as it is.
func (d *chatDecoder) tool(i int, v []byte) error {
	if err := object(v); err != nil {
		return err
	}
	if typ := jsonscan.Get(v, "type"); typ != nil && !jsonscan.IsNull(typ) && !jsonscan.Equal(typ, "custom") {
		d.c.Tools = append(d.c.Tools, ai.Tool{Raw: v})
		return nil
	}
	t := ai.Tool{}
	for k, v := range jsonscan.Fields(v) {
		if jsonscan.IsNull(v) {
			continue
		}
		if err := d.toolField(&t, i, string(k), v); err != nil {
			return ai.Under(err, string(k))
		}
	}
	if t.Name == "" {
		return bad("name", "this field is required")
	}
	d.c.Tools = append(d.c.Tools, t)
	return nil
}

func (d *chatDecoder) toolField(t *ai.Tool, i int, name string, v []byte) (err error) {
	switch name {
	case "type", "eager_input_streaming", "allowed_callers":
	case "name":
		t.Name, err = needText(v)
	case "description":
		t.Description, err = text(v)
	case "input_schema":
		err = object(v)
		t.Schema = v
	case "strict":
		var strict bool
		strict, err = flag(v)
		t.Strict = &strict
	case "cache_control":
		t.CacheControl = v
	case "defer_loading":
		if jsonscan.IsTrue(v) {
			d.extra(toolPath(i, name), v)
		}
	default:
		d.extra(toolPath(i, name), v)
	}
	return err
}

func toolPath(i int, name string) string { return "tools[" + strconv.Itoa(i) + "]." + name }

func (d *chatDecoder) toolChoice(v []byte) (err error) {
	if err = object(v); err != nil {
		return err
	}
	switch choice := jsonscan.Text(jsonscan.Get(v, "type")); choice {
	case "auto":
		d.c.ToolChoice.Mode = ai.ToolsAuto
	case "any":
		d.c.ToolChoice.Mode = ai.ToolsRequired
	case "none":
		d.c.ToolChoice.Mode = ai.ToolsNone
	case "tool":
		d.c.ToolChoice.Mode = ai.ToolsNamed
		if d.c.ToolChoice.Name, err = needText(jsonscan.Get(v, "name")); err != nil {
			return ai.Under(err, "name")
		}
	default:
		return bad("type", `expected "auto", "any", "tool" or "none"`)
	}
	if raw := jsonscan.Get(v, "disable_parallel_tool_use"); raw != nil {
		single, err := flag(raw)
		if err != nil {
			return ai.Under(err, "disable_parallel_tool_use")
		}
		parallel := !single
		d.c.ParallelTools = &parallel
	}
	return nil
}
