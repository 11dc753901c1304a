package openai

import (
	"strconv"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

func messages(d *decoder, v []byte) error {
	d.c.Messages = make([]ai.Message, 0, length(v))
	return each(v, d.message)
}

func (d *decoder) message(i int, v []byte) (err error) {
	if err := object(v); err != nil {
		return err
	}
	role := jsonscan.Get(v, "role")
	m := ai.Message{}
	switch jsonscan.Text(role) {
	case "system":
		m.Role = ai.RoleSystem
	case "developer":
		m.Role = ai.RoleDeveloper
	case "user":
		m.Role = ai.RoleUser
	case "assistant":
		m.Role = ai.RoleAssistant
	case "tool", "function":
		m.Role = ai.RoleTool
	default:
		return bad("role", `expected "system", "developer", "user", "assistant", "tool" or "function"`)
	}
	if name := member(v, "name"); name != nil {
		if m.Name, err = text(name); err != nil {
			return ai.Under(err, "name")
		}
	}
	switch m.Role {
	case ai.RoleAssistant:
		m.Parts, err = d.assistant(i, v)
	case ai.RoleTool:
		m.Parts, err = d.result(v, jsonscan.Equal(role, "function"))
		m.Name = ""
	default:
		m.Parts, err = content(member(v, "content"))
		err = ai.Under(err, "content")
	}
	d.c.Messages = append(d.c.Messages, m)
	d.messageExtras(i, v)
	return err
}

// messageExtras notes members that are not read. Left out is what SDKs add when they hand an answer back.
func (d *decoder) messageExtras(i int, v []byte) {
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal",
			"reasoning", "reasoning_content", "reasoning_details", "thinking_blocks",
			"images", "annotations", "parsed", "id", "provider_specific_fields":
		default:
			if !isEmpty(v) {
				d.extra("messages"+element(i)+"."+string(k), v)
			}
		}
	}
}

// content reads a string, or an array of parts.
func content(v []byte) ([]ai.Part, error) {
	switch jsonscan.Kind(v) {
	case jsonscan.Missing:
		return nil, bad("", required)
	case jsonscan.String:
		if s := jsonscan.Text(v); s != "" {
			return []ai.Part{{Kind: ai.PartText, Text: s}}, nil
		}
		return nil, nil
	case jsonscan.Array:
		parts := make([]ai.Part, 0, length(v))
		err := each(v, func(_ int, raw []byte) error {
			p, err := part(raw)
			parts = append(parts, p)
			return err
		})
		return parts, err
	}
	return nil, expected("a string or an array of content parts", v)
}

// part reads one content part. One of another type, or with members that are not known here, is opaque.
func part(v []byte) (p ai.Part, err error) {
	if err := object(v); err != nil {
		return p, err
	}
	typ, err := needText(member(v, "type"))
	if err != nil {
		return p, ai.Under(err, "type")
	}
	p.CacheControl = member(v, "cache_control")
	switch typ {
	case "text":
		p.Kind = ai.PartText
		p.Text, err = text(jsonscan.Get(v, "text"))
	case "refusal":
		p.Kind = ai.PartRefusal
		p.Text, err = text(jsonscan.Get(v, "refusal"))
	case "image_url":
		p.Kind = ai.PartImage
		p.Media, err = image(member(v, typ))
	case "input_audio":
		p.Kind = ai.PartAudio
		p.Media, err = audio(member(v, typ))
	case "file":
		p.Kind = ai.PartFile
		p.Media, err = file(member(v, typ))
	}
	if err != nil {
		return p, ai.Under(err, typ)
	}
	if p.Kind == 0 || !onlyMembers(v, "type", typ, "cache_control") {
		return ai.Part{Kind: ai.PartOpaque, Raw: v, CacheControl: p.CacheControl}, nil
	}
	return p, nil
}

// onlyMembers says whether all members of v that are not empty have one of the names.
func onlyMembers(v []byte, a, b, c string) bool {
	for k, v := range jsonscan.Fields(v) {
		if name := string(k); name != a && name != b && name != c && !isEmpty(v) {
			return false
		}
	}
	return true
}

// image reads a URL and its detail. Some clients send the URL alone.
func image(v []byte) (m *ai.Media, err error) {
	m = &ai.Media{}
	url := v
	if jsonscan.Kind(v) == jsonscan.Object {
		m.Detail = jsonscan.Text(jsonscan.Get(v, "detail"))
		url = member(v, "url")
	}
	s, err := needText(url)
	if err != nil {
		return nil, ai.Under(err, "url")
	}
	return m, ai.Under(located(m, s), "url")
}

// located sets where m is: inline by a data: URL, or elsewhere.
func located(m *ai.Media, url string) error {
	if mime, data, ok := dataURL(url); ok {
		m.MIME, m.Data = mime, data
		return nil
	}
	if strings.HasPrefix(url, "data:") {
		return bad("", "expected a data URL in base64, data:image/png;base64,...")
	}
	m.URL = url
	return nil
}

// dataURL cuts a URL of RFC 2397 that is in base64. Parameters of the type are left out.
func dataURL(url string) (mime, data string, ok bool) {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return "", "", false
	}
	head, data, ok := strings.Cut(rest, ",")
	if !ok || !strings.HasSuffix(head, ";base64") {
		return "", "", false
	}
	mime, _, _ = strings.Cut(head, ";")
	return mime, data, true
}

func audio(v []byte) (m *ai.Media, err error) {
	if err := object(v); err != nil {
		return nil, err
	}
	m = &ai.Media{}
	if m.Data, err = needText(member(v, "data")); err != nil {
		return nil, ai.Under(err, "data")
	}
	f, err := needText(member(v, "format"))
	if err != nil {
		return nil, ai.Under(err, "format")
	}
	m.MIME = "audio/" + f
	if f == "mp3" {
		m.MIME = mimeMP3
	}
	return m, nil
}

const mimeMP3 = "audio/mpeg" // RFC 3003

// file reads an inline file or a file's id. Inline data is a data URL; bare base64 is taken for a PDF, as OpenAI does.
func file(v []byte) (m *ai.Media, err error) {
	if err := object(v); err != nil {
		return nil, err
	}
	m = &ai.Media{Name: jsonscan.Text(jsonscan.Get(v, "filename")), FileID: jsonscan.Text(jsonscan.Get(v, "file_id"))}
	data := member(v, "file_data")
	if data == nil {
		if m.FileID == "" {
			return nil, bad("", "expected file_data or file_id")
		}
		return m, nil
	}
	s, err := needText(data)
	if err != nil {
		return nil, ai.Under(err, "file_data")
	}
	if err := located(m, s); err != nil {
		return nil, ai.Under(err, "file_data")
	}
	if m.URL != "" && !strings.Contains(m.URL, "://") {
		m.MIME, m.Data, m.URL = mimePDF, m.URL, ""
	}
	return m, nil
}

const mimePDF = "application/pdf"

// assistant reads a turn of the model: reasoning, content, refusal, calls.
func (d *decoder) assistant(i int, v []byte) ([]ai.Part, error) {
	parts, err := thoughts(v)
	if err != nil {
		return nil, err
	}
	if c := member(v, "content"); c != nil {
		said, err := content(c)
		if err != nil {
			return nil, ai.Under(err, "content")
		}
		parts = append(parts, said...)
	}
	made, err := images(member(v, "images"))
	if err != nil {
		return nil, ai.Under(err, "images")
	}
	parts = append(parts, made...)
	if r := member(v, "refusal"); r != nil {
		s, err := text(r)
		if err != nil {
			return nil, ai.Under(err, "refusal")
		}
		if s != "" {
			parts = append(parts, ai.Part{Kind: ai.PartRefusal, Text: s})
		}
	}
	calls := func(n int, v []byte) error {
		c, err := toolCall(v)
		parts = append(parts, ai.Part{Kind: ai.PartToolCall, Call: c, CacheControl: member(v, "cache_control")})
		return err
	}
	if tc := member(v, "tool_calls"); tc != nil {
		if err := each(tc, calls); err != nil {
			return nil, ai.Under(err, "tool_calls")
		}
	}
	if fc := member(v, "function_call"); fc != nil {
		c, err := functionCall(fc)
		if err != nil {
			return nil, ai.Under(err, "function_call")
		}
		c.ID = "call_" + strconv.Itoa(i)
		parts = append(parts, ai.Part{Kind: ai.PartToolCall, Call: c})
	}
	return parts, nil
}

// images reads what appendImages wrote, of an answer that a client hands back.
func images(v []byte) (parts []ai.Part, err error) {
	if isEmpty(v) {
		return nil, nil
	}
	err = each(v, func(_ int, v []byte) error {
		if err := object(v); err != nil {
			return err
		}
		m, err := image(member(v, "image_url"))
		parts = append(parts, ai.Part{Kind: ai.PartImage, Media: m})
		return ai.Under(err, "image_url")
	})
	return parts, err
}

func toolCall(v []byte) (c *ai.ToolCall, err error) {
	if err := object(v); err != nil {
		return nil, err
	}
	custom := member(v, "custom")
	if custom == nil {
		fn := member(v, "function")
		if fn == nil {
			return nil, bad("function", required)
		}
		if c, err = functionCall(fn); err != nil {
			return nil, ai.Under(err, "function")
		}
	} else if c, err = customCall(custom); err != nil {
		return nil, ai.Under(err, "custom")
	}
	c.ID, err = needText(member(v, "id"))
	return c, ai.Under(err, "id")
}

func functionCall(v []byte) (c *ai.ToolCall, err error) {
	if err := object(v); err != nil {
		return nil, err
	}
	c = &ai.ToolCall{}
	if c.Name, err = needText(member(v, "name")); err != nil {
		return nil, ai.Under(err, "name")
	}
	switch a := member(v, "arguments"); jsonscan.Kind(a) {
	case jsonscan.String:
		c.Arguments = jsonscan.Text(a)
	case jsonscan.Object: // of clients that parse what they got
		c.Arguments = string(a)
	case jsonscan.Missing:
	default:
		return nil, ai.Under(expected("a string", a), "arguments")
	}
	return c, nil
}

func customCall(v []byte) (c *ai.ToolCall, err error) {
	if err := object(v); err != nil {
		return nil, err
	}
	c = &ai.ToolCall{Custom: true}
	if c.Name, err = needText(member(v, "name")); err != nil {
		return nil, ai.Under(err, "name")
	}
	c.Arguments, err = text(jsonscan.Get(v, "input"))
	return c, ai.Under(err, "input")
}

// result reads the answer of a tool or, deprecated, of a function, which answers the last call of its name.
func (d *decoder) result(v []byte, function bool) ([]ai.Part, error) {
	r := &ai.ToolResult{}
	var err error
	if function {
		if r.Name, err = needText(member(v, "name")); err != nil {
			return nil, ai.Under(err, "name")
		}
		r.CallID = d.lastCall(func(c *ai.ToolCall) bool { return c.Name == r.Name }).ID
		if r.CallID == "" {
			return nil, bad("name", "no function of this name was called before")
		}
	} else {
		if r.CallID, err = needText(member(v, "tool_call_id")); err != nil {
			return nil, ai.Under(err, "tool_call_id")
		}
		r.Name = d.lastCall(func(c *ai.ToolCall) bool { return c.ID == r.CallID }).Name
	}
	if c := member(v, "content"); c != nil {
		if r.Parts, err = content(c); err != nil {
			return nil, ai.Under(err, "content")
		}
	}
	return []ai.Part{{Kind: ai.PartToolResult, Result: r, CacheControl: member(v, "cache_control")}}, nil
}

// lastCall finds a call among the messages so far; an empty one if there is none.
func (d *decoder) lastCall(is func(c *ai.ToolCall) bool) ai.ToolCall {
	for m := len(d.c.Messages) - 1; m >= 0; m-- {
		for _, p := range d.c.Messages[m].Parts {
			if p.Kind == ai.PartToolCall && is(p.Call) {
				return *p.Call
			}
		}
	}
	return ai.ToolCall{}
}
