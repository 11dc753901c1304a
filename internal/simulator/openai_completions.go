package simulator

import "strconv"

// completions is POST /v1/completions, the legacy text completion.
type completions struct{ openai }

var _ streamer = completions{}

func (completions) read(c *call, body value) *apiError {
	for k, v := range body.fields() {
		if e := c.readGeneration(k, v); e != nil {
			return e
		}
		switch string(k) {
		case "prompt":
			c.userMessage()
			c.readPrompt(v)
		case "echo":
			c.echo = v.truth()
		}
	}
	return c.requireModel()
}

// readPrompt reads a text, several texts (answered as one), or tokens, which only count.
func (c *call) readPrompt(v value) {
	if v.kind() == '"' {
		c.userText(c.str(v))
	}
	for p := range v.items() {
		switch p.kind() {
		case '0':
			c.usage.input++
		default:
			c.readPrompt(p)
		}
	}
}

func (completions) appendAnswer(dst []byte, c *call) []byte {
	dst = c.appendHead(dst, "cmpl-", "text_completion")
	dst = append(dst, `,"choices":[`...)
	for i := range c.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		ch := &c.choices[i]
		var text []byte
		for _, b := range c.of(ch) {
			if b.kind != blockThought {
				text = b.data
			}
		}
		if c.echo {
			text = append(append([]byte(nil), c.user...), text...)
		}
		dst = appendCompletion(dst, i, text, ch.openaiFinish())
	}
	dst = append(dst, ']')
	if !c.d.omitUsage {
		dst = c.appendUsage(append(dst, `,"usage":`...))
	}
	return append(dst, `,"system_fingerprint":"fp_simulator"}`...)
}

func appendCompletion(dst []byte, index int, text []byte, finish string) []byte {
	dst = append(dst, `{"text":`...)
	dst = appendString(dst, text)
	dst = append(dst, `,"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, `,"logprobs":null,"finish_reason":`...)
	return append(appendStringOrNull(dst, finish), '}')
}

func (completions) appendEvent(dst []byte, c *call, e *event) []byte {
	switch {
	case e.kind == eventChoice && c.echo:
		return c.appendCompletionChunk(dst, e, c.user, "")
	case e.kind == eventDelta && e.block.kind != blockThought:
		return c.appendCompletionChunk(dst, e, e.data, "")
	case e.kind == eventFinish:
		return c.appendCompletionChunk(dst, e, nil, c.choices[e.choice].openaiFinish())
	case e.kind == eventUsage && c.includeUsage && !c.d.omitUsage:
		dst = c.appendHead(append(dst, "data: "...), "cmpl-", "text_completion")
		dst = c.appendUsage(append(dst, `,"choices":[],"usage":`...))
		return append(dst, "}\n\n"...)
	case e.kind == eventEnd:
		return append(dst, "data: [DONE]\n\n"...)
	}
	return dst
}

func (c *call) appendCompletionChunk(dst []byte, e *event, text []byte, finish string) []byte {
	dst = c.appendHead(append(dst, "data: "...), "cmpl-", "text_completion")
	dst = append(dst, `,"choices":[`...)
	dst = appendCompletion(dst, e.choice, text, finish)
	dst = append(dst, ']')
	if c.includeUsage && !c.d.omitUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}
