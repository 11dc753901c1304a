package simulator

import "strconv"

// appendEvent appends the chat.completion.chunk that shows e.
func (chat) appendEvent(dst []byte, c *call, e *event) []byte {
	switch e.kind {
	case eventStart:
		return c.appendAzureStart(dst)
	case eventChoice:
		return c.appendDelta(dst, e, func(dst []byte) []byte {
			return append(dst, `"role":"assistant","content":"","refusal":null`...)
		})
	case eventOpen:
		if e.block.kind == blockTool {
			return c.appendDelta(dst, e, func(dst []byte) []byte { return c.appendCallStart(dst, e) })
		}
	case eventDelta:
		return c.appendChatPiece(dst, e)
	case eventFinish:
		return c.appendDelta(dst, e, func(dst []byte) []byte { return dst })
	case eventUsage:
		if c.includeUsage && !c.d.omitUsage {
			dst = c.appendChunk(dst)
			dst = c.appendUsage(append(dst, `,"choices":[],"usage":`...))
			return append(dst, "}\n\n"...)
		}
	case eventEnd:
		return append(dst, "data: [DONE]\n\n"...)
	}
	return dst
}

// appendChunk appends the beginning of a chunk, up to its choices.
func (c *call) appendChunk(dst []byte) []byte {
	dst = c.appendHead(append(dst, "data: "...), "chatcmpl-", "chat.completion.chunk")
	return append(dst, `,"service_tier":"default","system_fingerprint":"fp_simulator"`...)
}

// appendAzureStart appends the chunk without choices that Azure's content filter begins a stream with.
func (c *call) appendAzureStart(dst []byte) []byte {
	if !c.azure {
		return dst
	}
	dst = append(dst, `data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,`...)
	return append(dst, `"content_filter_results":`+azureFilters+"}]}\n\n"...)
}

func (c *call) appendChatPiece(dst []byte, e *event) []byte {
	name := "content"
	switch e.block.kind {
	case blockThought:
		if !c.d.showReasoning {
			return dst
		}
		name = "reasoning_content"
	case blockRefusal:
		name = "refusal"
	case blockTool:
		return c.appendDelta(dst, e, func(dst []byte) []byte {
			dst = c.appendCallIndex(dst, e)
			dst = append(dst, `,"function":{"arguments":`...)
			return append(appendString(dst, e.data), "}}]"...)
		})
	}
	return c.appendDelta(dst, e, func(dst []byte) []byte {
		dst = append(append(append(dst, '"'), name...), `":`...)
		return appendString(dst, e.data)
	})
}

// appendDelta appends a chunk of one choice; delta appends the members of its delta.
func (c *call) appendDelta(dst []byte, e *event, delta func([]byte) []byte) []byte {
	dst = c.appendChunk(dst)
	dst = append(dst, `,"choices":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(e.choice), 10)
	dst = delta(append(dst, `,"delta":{`...))
	dst = append(dst, `},"logprobs":`...)
	if c.logprobs && e.kind == eventDelta && e.block.kind == blockText {
		dst = c.appendLogprobs(dst, e.data)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"finish_reason":`...)
	if e.kind == eventFinish {
		dst = appendString(dst, c.choices[e.choice].openaiFinish())
	} else {
		dst = append(dst, "null"...)
	}
	if c.azure && e.kind == eventDelta {
		dst = append(dst, `,"content_filter_results":`+azureFilters...)
	}
	dst = append(dst, "}]"...)
	if c.includeUsage && !c.d.omitUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

func (c *call) appendCallStart(dst []byte, e *event) []byte {
	dst = c.appendCallIndex(dst, e)
	dst = append(dst, `,"id":"call_`...)
	dst = append(dst, e.block.id...)
	dst = append(dst, `","type":"function","function":{"name":`...)
	dst = appendString(dst, e.block.name)
	return append(dst, `,"arguments":""}}]`...)
}

// appendCallIndex appends the beginning of a tool call's delta, up to its index among the choice's calls.
func (c *call) appendCallIndex(dst []byte, e *event) []byte {
	n := 0
	for _, b := range c.of(&c.choices[e.choice])[:e.index] {
		if b.kind == blockTool {
			n++
		}
	}
	dst = append(dst, `"tool_calls":[{"index":`...)
	return strconv.AppendInt(dst, int64(n), 10)
}
