package simulator

import "strconv"

// appendAnswer appends a chat.completion.
func (chat) appendAnswer(dst []byte, c *call) []byte {
	dst = c.appendHead(dst, "chatcmpl-", "chat.completion")
	dst = append(dst, `,"choices":[`...)
	for i := range c.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.appendChatChoice(dst, i)
	}
	dst = append(dst, ']')
	if !c.d.omitUsage {
		dst = c.appendUsage(append(dst, `,"usage":`...))
	}
	if c.azure {
		dst = append(dst, `,"prompt_filter_results":[{"prompt_index":0,"content_filter_results":`+azureFilters+`}]`...)
	}
	return append(dst, `,"service_tier":"default","system_fingerprint":"fp_simulator"}`...)
}

// azureFilters is what Azure reports of a text without findings.
const azureFilters = `{"hate":{"filtered":false,"severity":"safe"},"self_harm":{"filtered":false,"severity":"safe"},` +
	`"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}`

func (c *call) appendChatChoice(dst []byte, i int) []byte {
	ch := &c.choices[i]
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, `,"message":{"role":"assistant","content":`...)
	dst = c.appendContent(dst, ch, blockText)
	if c.d.showReasoning {
		dst = c.appendContent(append(dst, `,"reasoning_content":`...), ch, blockThought)
	}
	if calls := c.callsOf(ch); calls > 0 {
		dst = append(dst, `,"tool_calls":[`...)
		for _, b := range c.of(ch) {
			if b.kind == blockTool {
				dst = append(appendChatCall(dst, &b), ',')
			}
		}
		dst[len(dst)-1] = ']'
	}
	dst = c.appendContent(append(dst, `,"refusal":`...), ch, blockRefusal)
	dst = append(dst, `,"annotations":[]},"logprobs":`...)
	dst = c.appendChoiceLogprobs(dst, ch)
	dst = append(dst, `,"finish_reason":"`...)
	dst = append(append(dst, ch.openaiFinish()...), '"')
	if c.azure {
		dst = append(dst, `,"content_filter_results":`+azureFilters...)
	}
	return append(dst, '}')
}

// appendContent appends the text of the block of that kind, null if there is none.
func (c *call) appendContent(dst []byte, ch *choice, kind blockKind) []byte {
	for _, b := range c.of(ch) {
		if b.kind == kind {
			return appendString(dst, b.data)
		}
	}
	return append(dst, "null"...)
}

func (c *call) callsOf(ch *choice) int {
	n := 0
	for _, b := range c.of(ch) {
		if b.kind == blockTool {
			n++
		}
	}
	return n
}

func appendChatCall(dst []byte, b *block) []byte {
	dst = append(dst, `{"id":"call_`...)
	dst = append(dst, b.id...)
	dst = append(dst, `","type":"function","function":{"name":`...)
	dst = appendString(dst, b.name)
	dst = append(dst, `,"arguments":`...)
	return append(appendString(dst, b.data), "}}"...)
}

func (c *call) appendChoiceLogprobs(dst []byte, ch *choice) []byte {
	if !c.logprobs {
		return append(dst, "null"...)
	}
	for _, b := range c.of(ch) {
		if b.kind == blockText {
			return c.appendLogprobs(dst, b.data)
		}
	}
	return append(dst, `{"content":null,"refusal":null}`...)
}

// appendLogprobs appends the log probabilities of the pieces of text.
func (c *call) appendLogprobs(dst, text []byte) []byte {
	dst = append(dst, `{"content":[`...)
	for first := true; len(text) > 0; first = false {
		if !first {
			dst = append(dst, ',')
		}
		n := piece(text)
		dst = c.appendLogprob(dst, text[:n])
		text = text[n:]
	}
	return append(dst, `],"refusal":null}`...)
}

func (c *call) appendLogprob(dst, token []byte) []byte {
	r := random(hash(c.seed, token))
	p := -float64(r.below(1000)) / 2000
	dst = appendTokenLogprob(dst, token, p)
	dst = append(dst, `,"top_logprobs":[`...)
	for i := range c.topLogprobs {
		if i == 0 {
			dst = append(appendTokenLogprob(dst, token, p), '}')
			continue
		}
		dst = append(dst, ',')
		dst = append(appendTokenLogprob(dst, []byte(" "+r.word()), p-float64(i)), '}')
	}
	return append(dst, "]}"...)
}

func appendTokenLogprob(dst, token []byte, p float64) []byte {
	dst = append(dst, `{"token":`...)
	dst = appendString(dst, token)
	dst = append(dst, `,"logprob":`...)
	dst = strconv.AppendFloat(dst, p, 'f', -1, 64)
	dst = append(dst, `,"bytes":[`...)
	for i, b := range token {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(b), 10)
	}
	return append(dst, ']')
}
