package simulator

import "strconv"

// generateContent is :generateContent and :streamGenerateContent.
type generateContent struct{ gemini }

var _ streamer = generateContent{}

func (generateContent) read(c *call, body value) *apiError {
	if e := c.setGeminiModel(); e != nil {
		return e
	}
	if e := c.readGenerationConfig(body.either("generationConfig", "generation_config")); e != nil {
		return e
	}
	for part := range body.either("systemInstruction", "system_instruction").get("parts").items() {
		c.countText(c.str(part.get("text")))
	}
	for t := range body.get("tools").items() {
		for f := range t.either("functionDeclarations", "function_declarations").items() {
			schema := f.get("parameters")
			if s := f.either("parametersJsonSchema", "parameters_json_schema"); s.set() {
				schema = s
			}
			c.tools = append(c.tools, tool{name: c.str(f.get("name")), schema: schema})
			c.countText(f)
		}
	}
	c.readCallingConfig(body.either("toolConfig", "tool_config"))
	return c.readContents(body.get("contents"))
}

func (c *call) readGenerationConfig(v value) *apiError {
	limits := []struct {
		p            *int
		camel, snake string
		most         int
	}{
		{&c.maxTokens, "maxOutputTokens", "max_output_tokens", 1 << 30},
		{&c.n, "candidateCount", "candidate_count", 8},
	}
	for _, l := range limits {
		if e := c.readCount(l.p, []byte(l.camel), v.either(l.camel, l.snake), 1, l.most); e != nil {
			return e
		}
	}
	c.readStops(v.either("stopSequences", "stop_sequences"))
	if v.either("responseMimeType", "response_mime_type").is("application/json") {
		c.format = formatJSON
		for _, schema := range []value{
			v.either("responseSchema", "response_schema"), v.either("responseJsonSchema", "response_json_schema"),
		} {
			if schema.set() {
				c.format, c.schema = formatSchema, schema
			}
		}
	}
	c.readThinkingConfig(v.either("thinkingConfig", "thinking_config"))
	return nil
}

// readThinkingConfig reads thinkingBudget (-1: as the model likes) and thinkingLevel.
func (c *call) readThinkingConfig(v value) {
	if !v.set() {
		return
	}
	c.showThoughts = v.either("includeThoughts", "include_thoughts").truth()
	c.reasoning = effort("medium")
	if n, ok := v.either("thinkingBudget", "thinking_budget").number(); ok && n >= 0 {
		c.reasoning = min(n, effort("high"))
	}
	switch level := v.either("thinkingLevel", "thinking_level"); {
	case level.is("LOW"), level.is("low"):
		c.reasoning = effort("low")
	case level.is("HIGH"), level.is("high"):
		c.reasoning = effort("high")
	}
}

func (c *call) readCallingConfig(v value) {
	config := v.either("functionCallingConfig", "function_calling_config")
	switch mode := config.get("mode"); {
	case mode.is("NONE"):
		c.choice = choiceNone
	case mode.is("ANY"):
		c.choice = choiceRequired
		for name := range config.either("allowedFunctionNames", "allowed_function_names").items() {
			c.choice, c.choiceName = choiceNamed, c.str(name)
		}
	}
}

func (c *call) readContents(contents value) *apiError {
	count := 0
	for m := range contents.items() {
		role := m.get("role")
		if role.is("model") {
			c.otherMessage()
		} else {
			c.userMessage()
		}
		signed := false
		for part := range m.get("parts").items() {
			if call := part.either("functionCall", "function_call"); call.set() && !signed {
				signed = true
				if c.reasoning > 0 && !part.either("thoughtSignature", "thought_signature").set() {
					return invalid("contents", "Function call is missing a thought_signature in functionCall parts.")
				}
			}
			c.readGeminiPart(part, role.is("model"))
		}
		count++
	}
	if count == 0 {
		return invalid("contents", "contents is not specified")
	}
	return nil
}

func (c *call) readGeminiPart(part value, model bool) {
	response := part.either("functionResponse", "function_response")
	called := part.either("functionCall", "function_call")
	switch text := part.get("text"); {
	case response.set():
		c.resultText(response.get("response"))
	case called.set():
		c.countText(called.get("args"))
	case text.kind() == '"' && model:
		c.countText(c.str(text))
	case text.kind() == '"':
		c.userText(c.str(text))
	default:
		c.attach()
	}
}

// appendAnswer appends a GenerateContentResponse.
func (generateContent) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"candidates":[`...)
	for i := range c.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		ch := &c.choices[i]
		dst = c.appendCandidate(dst, i, ch, func(dst []byte) []byte {
			for j := range c.of(ch) {
				b := &c.of(ch)[j]
				dst = c.appendPart(dst, b, b.data, firstTool(c.of(ch), j))
			}
			return dst
		})
	}
	return c.appendGeminiTail(append(dst, ']'), c.usage.output-c.usage.reasoning, true)
}

// firstTool tells whether the block at j is the first tool call, the one that carries the signature.
func firstTool(blocks []block, j int) bool {
	for i := range blocks[:j] {
		if blocks[i].kind == blockTool {
			return false
		}
	}
	return blocks[j].kind == blockTool
}

// appendCandidate appends a candidate; parts appends its parts, each followed by a comma. A nil ch is one that goes on.
func (c *call) appendCandidate(dst []byte, index int, ch *choice, parts func([]byte) []byte) []byte {
	dst = append(dst, '{')
	if ch == nil || ch.finish != finishRefusal {
		dst = append(dst, `"content":{"parts":[`...)
		start := len(dst)
		if dst = parts(dst); len(dst) > start {
			dst = dst[:len(dst)-1]
		}
		dst = append(dst, `],"role":"model"},`...)
	}
	if ch != nil {
		dst = append(append(append(dst, `"finishReason":"`...), ch.geminiFinish()...), `",`...)
		if ch.finish == finishRefusal {
			dst = append(dst, `"safetyRatings":[{"category":"HARM_CATEGORY_DANGEROUS_CONTENT","probability":"HIGH","blocked":true}],`...)
		}
	}
	dst = append(dst, `"index":`...)
	return append(strconv.AppendInt(dst, int64(index), 10), '}')
}

func (ch *choice) geminiFinish() string {
	switch ch.finish {
	case finishLength:
		return "MAX_TOKENS"
	case finishRefusal:
		return "SAFETY"
	}
	return "STOP"
}

// appendPart appends the part that shows data of a block, and a comma; nothing for a thought that is not asked for.
func (c *call) appendPart(dst []byte, b *block, data []byte, signed bool) []byte {
	switch b.kind {
	case blockThought:
		if !c.showThoughts {
			return dst
		}
		dst = append(dst, `{"thought":true,"text":`...)
		return append(appendString(dst, data), "},"...)
	case blockTool:
		return c.appendFunctionCall(dst, b, signed)
	}
	dst = append(dst, `{"text":`...)
	return append(appendString(dst, data), "},"...)
}

func (c *call) appendFunctionCall(dst []byte, b *block, signed bool) []byte {
	dst = append(dst, `{"functionCall":{"id":"`...)
	dst = append(dst, b.id...)
	dst = append(dst, `","name":`...)
	dst = appendString(dst, b.name)
	dst = append(dst, `,"args":`...)
	if valid(b.data) {
		dst = append(dst, b.data...)
	} else { // cut by maxOutputTokens
		dst = append(dst, "{}"...)
	}
	dst = append(dst, '}')
	if signed && c.reasoning > 0 {
		dst = append(dst, `,"thoughtSignature":"`...)
		dst = append(appendSignature(dst, b.id), '"')
	}
	return append(dst, "},"...)
}

// appendGeminiTail appends what follows the candidates. Counts of a stream grow from chunk to chunk.
func (c *call) appendGeminiTail(dst []byte, output int, last bool) []byte {
	u := &c.usage
	if !c.d.omitUsage {
		thoughts := 0
		if last {
			thoughts = u.reasoning
		}
		dst = append(dst, `,"usageMetadata":{"promptTokenCount":`...)
		dst = strconv.AppendInt(dst, int64(u.input), 10)
		dst = append(dst, `,"candidatesTokenCount":`...)
		dst = strconv.AppendInt(dst, int64(output), 10)
		dst = append(dst, `,"totalTokenCount":`...)
		dst = strconv.AppendInt(dst, int64(u.input+output+thoughts), 10)
		if u.cached > 0 {
			dst = append(dst, `,"cachedContentTokenCount":`...)
			dst = strconv.AppendInt(dst, int64(u.cached), 10)
		}
		if thoughts > 0 {
			dst = append(dst, `,"thoughtsTokenCount":`...)
			dst = strconv.AppendInt(dst, int64(thoughts), 10)
		}
		dst = append(dst, `,"promptTokensDetails":[{"modality":"TEXT","tokenCount":`...)
		dst = append(strconv.AppendInt(dst, int64(u.input), 10), "}]}"...)
	}
	dst = append(dst, `,"modelVersion":`...)
	dst = appendString(dst, c.model)
	dst = append(dst, `,"responseId":"`...)
	id := c.id
	return append(id.appendID(dst, 22), `"}`...)
}

// appendEvent appends the GenerateContentResponse that shows e. A function call is shown whole.
func (generateContent) appendEvent(dst []byte, c *call, e *event) []byte {
	switch e.kind {
	case eventDelta:
		if e.block.kind == blockTool || e.block.kind == blockRefusal || e.block.kind == blockThought && !c.showThoughts {
			return dst
		}
		return c.appendGeminiChunk(dst, e, nil, func(dst []byte) []byte { return c.appendPart(dst, e.block, e.data, false) })
	case eventClose:
		if e.block.kind == blockTool {
			signed := firstTool(c.of(&c.choices[e.choice]), e.index)
			return c.appendGeminiChunk(dst, e, nil, func(dst []byte) []byte { return c.appendFunctionCall(dst, e.block, signed) })
		}
	case eventFinish:
		return c.appendGeminiChunk(dst, e, &c.choices[e.choice], func(dst []byte) []byte { return append(dst, `{"text":""},`...) })
	case eventEnd:
		if !c.sse {
			return append(dst, ']')
		}
	}
	return dst
}

func (c *call) appendGeminiChunk(dst []byte, e *event, ch *choice, parts func([]byte) []byte) []byte {
	dst = append(c.openChunk(dst), `{"candidates":[`...)
	dst = append(c.appendCandidate(dst, e.choice, ch, parts), ']')
	output, last := min(e.sent, c.usage.output-c.usage.reasoning), ch != nil && e.choice == len(c.choices)-1
	if last {
		output = c.usage.output - c.usage.reasoning
	}
	return c.closeChunk(c.appendGeminiTail(dst, output, last))
}
