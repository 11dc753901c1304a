package simulator

// ollamaChat is POST /api/chat.
type ollamaChat struct{ ollama }

var _ streamer = ollamaChat{}

func (ollamaChat) read(c *call, body value) *apiError {
	c.stream = true
	for k, v := range body.fields() {
		if e := c.readOllama(k, v); e != nil {
			return e
		}
		if string(k) == "tools" {
			if e := c.readChat(k, v); e != nil {
				return e
			}
		}
	}
	for m := range body.get("messages").items() {
		if e := c.readOllamaMessage(m); e != nil {
			return e
		}
	}
	return c.requireOllamaModel()
}

func (c *call) readOllamaMessage(m value) *apiError {
	text := c.str(m.get("content"))
	switch role := m.get("role"); {
	case role.is("user"):
		c.userMessage()
		c.userText(text)
	case role.is("tool"):
		if c.userLast {
			c.otherMessage()
		}
		c.resultText(text)
	case role.is("system"), role.is("assistant"):
		c.otherMessage()
		c.countText(text)
	default:
		return invalid("messages", `invalid role: "`+string(c.str(role))+`", must be one of ["system", "user", "assistant", "tool"]`)
	}
	for range m.get("images").items() {
		c.attach()
	}
	for t := range m.get("tool_calls").items() {
		c.countText(t.get("function").get("arguments"))
	}
	return nil
}

func (ollamaChat) appendAnswer(dst []byte, c *call) []byte {
	blocks := c.of(&c.choices[0])
	var text, thought []byte
	for _, b := range blocks {
		switch b.kind {
		case blockThought:
			thought = b.data
		case blockText, blockRefusal:
			text = b.data
		}
	}
	dst = c.appendOllamaHead(dst)
	dst = appendOllamaMessage(dst, text, thought, blocks)
	return c.appendOllamaDone(dst)
}

// appendOllamaMessage appends the member "message"; calls may hold blocks that are no tool calls.
func appendOllamaMessage(dst, text, thought []byte, calls []block) []byte {
	dst = appendString(append(dst, `"message":{"role":"assistant","content":`...), text)
	if len(thought) > 0 {
		dst = appendString(append(dst, `,"thinking":`...), thought)
	}
	separator := `,"tool_calls":[`
	for i := range calls {
		if calls[i].kind == blockTool {
			dst = appendOllamaCall(append(dst, separator...), &calls[i])
			separator = ","
		}
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendOllamaCall(dst []byte, b *block) []byte {
	dst = append(dst, `{"id":"call_`...)
	dst = append(dst, b.id...)
	dst = appendString(append(dst, `","function":{"name":`...), b.name)
	dst = append(dst, `,"arguments":`...)
	if valid(b.data) {
		dst = append(dst, b.data...)
	} else { // cut by num_predict
		dst = append(dst, "{}"...)
	}
	return append(dst, "}}"...)
}

// appendEvent appends the line that shows e. A tool call is shown whole.
func (ollamaChat) appendEvent(dst []byte, c *call, e *event) []byte {
	var text, thought []byte
	var calls []block
	switch {
	case e.kind == eventDelta && e.block.kind == blockThought:
		thought = e.data
	case e.kind == eventDelta && e.block.kind != blockTool:
		text = e.data
	case e.kind == eventClose && e.block.kind == blockTool:
		calls = c.of(&c.choices[0])[e.index : e.index+1]
	case e.kind == eventEnd:
	default:
		return dst
	}
	dst = appendOllamaMessage(c.appendOllamaHead(dst), text, thought, calls)
	if e.kind == eventEnd {
		return append(c.appendOllamaDone(dst), '\n')
	}
	return append(dst, ",\"done\":false}\n"...)
}
