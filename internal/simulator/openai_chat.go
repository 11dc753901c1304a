package simulator

// chat is POST /v1/chat/completions.
type chat struct{ openai }

var _ streamer = chat{}

func (chat) read(c *call, body value) *apiError {
	for k, v := range body.fields() {
		if e := c.readGeneration(k, v); e != nil {
			return e
		}
		if e := c.readChat(k, v); e != nil {
			return e
		}
	}
	if c.topLogprobs > 0 && !c.logprobs {
		return invalid("top_logprobs", "'top_logprobs' is only allowed when 'logprobs' is enabled.")
	}
	messages := body.get("messages")
	if messages.kind() != '[' {
		return invalid("messages", "Missing required parameter: 'messages'.")
	}
	if e := c.requireModel(); e != nil {
		return e
	}
	return c.readChatMessages(messages)
}

func (c *call) readChat(key []byte, v value) *apiError {
	switch string(key) {
	case "tools":
		for t := range v.items() {
			f := t.get("function")
			c.tools = append(c.tools, tool{name: c.str(f.get("name")), schema: f.get("parameters")})
			c.countText(f)
		}
	case "tool_choice":
		c.readToolChoice(v, v.get("function").get("name"))
	case "parallel_tool_calls":
		c.serial = v.kind() == 'f'
	case "response_format":
		c.readFormat(v)
	case "logprobs":
		c.logprobs = v.truth()
	case "top_logprobs":
		return c.readCount(&c.topLogprobs, key, v, 0, 20)
	case "reasoning_effort":
		c.reasoning = effort(string(c.str(v)))
	}
	return nil
}

// readToolChoice reads "none", "auto", "required" or the name of a tool.
func (c *call) readToolChoice(v, name value) {
	switch {
	case v.is("none"):
		c.choice = choiceNone
	case v.is("required"), v.is("any"):
		c.choice = choiceRequired
	case name.kind() == '"':
		c.choice, c.choiceName = choiceNamed, c.str(name)
	}
}

func (c *call) readFormat(v value) {
	switch kind := v.get("type"); {
	case kind.is("json_object"):
		c.format = formatJSON
	case kind.is("json_schema"):
		c.format, c.schema = formatSchema, v.get("json_schema").get("schema")
	}
}

// effort returns the reasoning tokens of a reasoning effort.
func effort(name string) int {
	switch name {
	case "low":
		return 8
	case "medium":
		return 16
	case "high":
		return 32
	case "xhigh", "max":
		return 64
	}
	return 0
}

func (c *call) readChatMessages(messages value) *apiError {
	called := false // the last message that is not a tool's called tools
	count := 0
	for m := range messages.items() {
		count++
		role := m.get("role")
		switch {
		case role.is("tool"):
			if !called {
				return invalid("messages", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")
			}
			if c.userLast {
				c.otherMessage()
			}
			c.readParts(m.get("content"), c.resultText)
			continue
		case role.is("user"):
			c.userMessage()
			c.readParts(m.get("content"), c.userText)
		case role.is("system"), role.is("developer"), role.is("assistant"), role.is("function"):
			c.otherMessage()
			c.readParts(m.get("content"), c.countText)
		default:
			return invalid("messages", "Invalid value: '"+string(c.str(role))+"'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.")
		}
		called = false
		for t := range m.get("tool_calls").items() {
			called = true
			c.countText(c.str(t.get("function").get("arguments")))
		}
	}
	if count == 0 {
		return invalid("messages", "Invalid 'messages': empty array. Expected an array with minimum length 1.")
	}
	return nil
}

// readParts gives each text of a message's content to text, and counts what is not a text.
func (c *call) readParts(content value, text func([]byte)) {
	if content.kind() == '"' {
		text(c.str(content))
	}
	for part := range content.items() {
		switch t := part.get("text"); {
		case t.kind() == '"':
			text(c.str(t))
		case part.get("refusal").set():
			text(c.str(part.get("refusal")))
		default:
			c.attach()
		}
	}
}
