package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

func tools(d *decoder, v []byte) error {
	return each(v, func(i int, v []byte) error {
		if err := object(v); err != nil {
			return err
		}
		fn := member(v, "function")
		typ := jsonscan.Text(jsonscan.Get(v, "type"))
		if fn == nil || typ != "function" && typ != "" {
			return d.vendorTool(v, typ)
		}
		t, err := d.function(fn, "tools"+element(i)+".function.")
		if err != nil {
			return ai.Under(err, "function")
		}
		t.CacheControl = member(v, "cache_control")
		d.c.Tools = append(d.c.Tools, t)
		return nil
	})
}

// vendorTool keeps a tool without a canonical form. The name serves tool_choice.
func (d *decoder) vendorTool(v []byte, typ string) error {
	switch typ {
	case "":
		return bad("type", required)
	case "function":
		return bad("function", required)
	}
	d.c.Tools = append(d.c.Tools, ai.Tool{Raw: v, Name: jsonscan.Text(jsonscan.Get(jsonscan.Get(v, typ), "name"))})
	return nil
}

func (d *decoder) function(v []byte, path string) (t ai.Tool, err error) {
	if err := object(v); err != nil {
		return t, err
	}
	for k, v := range jsonscan.Fields(v) {
		if jsonscan.IsNull(v) {
			continue
		}
		switch string(k) {
		case "name":
			t.Name, err = needText(v)
		case "description":
			t.Description, err = text(v)
		case "parameters":
			t.Schema, err = v, object(v)
		case "strict":
			t.Strict, err = optFlag(v)
		default:
			d.extra(path+string(k), v)
		}
		if err != nil {
			return t, ai.Under(err, string(k))
		}
	}
	if t.Name == "" {
		return t, bad("name", required)
	}
	return t, nil
}

func functions(d *decoder, v []byte) error {
	d.c.Functions = true
	return each(v, func(i int, v []byte) error {
		t, err := d.function(v, "functions"+element(i)+".")
		d.c.Tools = append(d.c.Tools, t)
		return err
	})
}

// mode reads the word of a choice.
func mode(v []byte) (ai.ToolMode, error) {
	switch jsonscan.Text(v) {
	case "auto":
		return ai.ToolsAuto, nil
	case "none":
		return ai.ToolsNone, nil
	case "required", "any":
		return ai.ToolsRequired, nil
	}
	return 0, bad("", `expected "auto", "none" or "required"`)
}

func toolChoice(d *decoder, v []byte) (err error) {
	if jsonscan.Kind(v) == jsonscan.String {
		d.c.ToolChoice.Mode, err = mode(v)
		return err
	}
	if err := object(v); err != nil {
		return err
	}
	switch typ := jsonscan.Text(jsonscan.Get(v, "type")); typ {
	case "function", "custom":
		d.c.ToolChoice.Mode = ai.ToolsNamed
		d.c.ToolChoice.Name, err = needText(jsonscan.Get(member(v, typ), "name"))
		return ai.Under(ai.Under(err, "name"), typ)
	case "allowed_tools":
		return ai.Under(d.allowedTools(member(v, typ)), typ)
	}
	return bad("type", `expected "function", "custom" or "allowed_tools"`)
}

func (d *decoder) allowedTools(v []byte) (err error) {
	if err := object(v); err != nil {
		return err
	}
	if d.c.ToolChoice.Mode, err = mode(jsonscan.Get(v, "mode")); err != nil {
		return ai.Under(err, "mode")
	}
	d.allowed = []string{}
	err = each(member(v, "tools"), func(_ int, v []byte) error {
		if err := object(v); err != nil {
			return err
		}
		typ := jsonscan.Text(jsonscan.Get(v, "type"))
		name, err := needText(jsonscan.Get(member(v, typ), "name"))
		d.allowed = append(d.allowed, name)
		return ai.Under(ai.Under(err, "name"), typ)
	})
	return ai.Under(err, "tools")
}

func functionChoice(d *decoder, v []byte) (err error) {
	if jsonscan.Kind(v) == jsonscan.String {
		d.c.ToolChoice.Mode, err = mode(v)
		return err
	}
	if err := object(v); err != nil {
		return err
	}
	d.c.ToolChoice.Mode = ai.ToolsNamed
	d.c.ToolChoice.Name, err = needText(member(v, "name"))
	return ai.Under(err, "name")
}
