package simulator

import "strconv"

// appendAnswer appends a message.
func (messages) appendAnswer(dst []byte, c *call) []byte {
	ch := &c.choices[0]
	dst = c.appendMessageHead(dst)
	for i := range c.of(ch) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMessageBlock(dst, &c.of(ch)[i])
	}
	dst = append(dst, `],"stop_reason":"`...)
	dst = append(dst, ch.anthropicFinish()...)
	dst = append(dst, `","stop_sequence":`...)
	dst = appendStringOrNull(dst, string(ch.sequence))
	if !c.d.omitUsage {
		dst = c.appendMessageUsage(append(dst, `,"usage":`...), c.usage.output)
	}
	return append(dst, '}')
}

func (ch *choice) anthropicFinish() string {
	switch ch.finish {
	case finishLength:
		return "max_tokens"
	case finishTools:
		return "tool_use"
	case finishRefusal:
		return "refusal"
	case finishSequence:
		return "stop_sequence"
	}
	return "end_turn"
}

// appendMessageHead appends a message up to its first content block.
func (c *call) appendMessageHead(dst []byte) []byte {
	id := c.id
	dst = append(dst, `{"id":"msg_01`...)
	dst = id.appendID(dst, 22)
	dst = append(dst, `","type":"message","role":"assistant","model":`...)
	dst = appendString(dst, c.model)
	return append(dst, `,"content":[`...)
}

func appendMessageBlock(dst []byte, b *block) []byte {
	switch b.kind {
	case blockThought:
		dst = append(dst, `{"type":"thinking","thinking":`...)
		dst = appendString(dst, b.data)
		dst = append(dst, `,"signature":"`...)
		return append(appendSignature(dst, b.data), `"}`...)
	case blockTool:
		dst = appendToolUse(dst, b)
		if !valid(b.data) { // cut by max_tokens
			return append(dst, "{}}"...)
		}
		return append(append(dst, b.data...), '}')
	}
	dst = append(dst, `{"type":"text","text":`...)
	return append(appendString(dst, b.data), '}')
}

// appendToolUse appends a tool_use block up to its input.
func appendToolUse(dst []byte, b *block) []byte {
	dst = append(dst, `{"type":"tool_use","id":"toolu_`...)
	dst = append(dst, b.id...)
	dst = append(dst, `","name":`...)
	dst = appendString(dst, b.name)
	return append(dst, `,"input":`...)
}

func (c *call) appendMessageUsage(dst []byte, output int) []byte {
	u := &c.usage
	written := u.written5m + u.written1h
	dst = append(dst, `{"input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(max(0, u.input-u.cached-written)), 10)
	dst = append(dst, `,"cache_creation_input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(written), 10)
	dst = append(dst, `,"cache_read_input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.cached), 10)
	dst = append(dst, `,"cache_creation":{"ephemeral_5m_input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.written5m), 10)
	dst = append(dst, `,"ephemeral_1h_input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.written1h), 10)
	dst = append(dst, `},"output_tokens":`...)
	dst = strconv.AppendInt(dst, int64(output), 10)
	return append(dst, `,"service_tier":"standard"}`...)
}

// appendEvent appends the server-sent event that shows e.
func (messages) appendEvent(dst []byte, c *call, e *event) []byte {
	switch e.kind {
	case eventStart:
		dst = c.appendMessageHead(append(dst, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...))
		dst = append(dst, `],"stop_reason":null,"stop_sequence":null`...)
		if !c.d.omitUsage {
			dst = c.appendMessageUsage(append(dst, `,"usage":`...), 1)
		}
		return append(dst, "}}\n\n"...)
	case eventOpen:
		dst = appendBlockEvent(dst, "content_block_start", e.index)
		dst = appendEmptyBlock(append(dst, `,"content_block":`...), e.block)
		return append(dst, "}\n\n"...)
	case eventPing:
		return append(dst, "event: ping\ndata: {\"type\": \"ping\"}\n\n"...)
	case eventDelta:
		return appendMessageDelta(dst, e)
	case eventSignature:
		dst = appendBlockEvent(dst, "content_block_delta", e.index)
		dst = append(dst, `,"delta":{"type":"signature_delta","signature":"`...)
		return append(appendSignature(dst, e.block.data), "\"}}\n\n"...)
	case eventClose:
		return append(appendBlockEvent(dst, "content_block_stop", e.index), "}\n\n"...)
	case eventFinish:
		return c.appendMessageFinish(dst, &c.choices[0])
	case eventEnd:
		return append(dst, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
	}
	return dst
}

// appendBlockEvent appends an event of a content block up to its index.
func appendBlockEvent(dst []byte, name string, index int) []byte {
	dst = append(append(dst, "event: "...), name...)
	dst = append(append(dst, "\ndata: {\"type\":\""...), name...)
	dst = append(dst, `","index":`...)
	return strconv.AppendInt(dst, int64(index), 10)
}

// appendEmptyBlock appends the block as it is before its deltas.
func appendEmptyBlock(dst []byte, b *block) []byte {
	switch b.kind {
	case blockThought:
		return append(dst, `{"type":"thinking","thinking":"","signature":""}`...)
	case blockTool:
		return append(appendToolUse(dst, b), "{}}"...)
	}
	return append(dst, `{"type":"text","text":""}`...)
}

func appendMessageDelta(dst []byte, e *event) []byte {
	kind, member := "text_delta", "text"
	switch e.block.kind {
	case blockThought:
		kind, member = "thinking_delta", "thinking"
	case blockTool:
		kind, member = "input_json_delta", "partial_json"
	}
	dst = appendBlockEvent(dst, "content_block_delta", e.index)
	dst = append(append(dst, `,"delta":{"type":"`...), kind...)
	dst = append(append(dst, `","`...), member...)
	dst = appendString(append(dst, `":`...), e.data)
	return append(dst, "}}\n\n"...)
}

func (c *call) appendMessageFinish(dst []byte, ch *choice) []byte {
	dst = append(dst, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\""...)
	dst = append(dst, ch.anthropicFinish()...)
	dst = append(dst, `","stop_sequence":`...)
	dst = append(appendStringOrNull(dst, string(ch.sequence)), '}')
	if !c.d.omitUsage {
		dst = c.appendMessageUsage(append(dst, `,"usage":`...), c.usage.output)
	}
	return append(dst, "}\n\n"...)
}
