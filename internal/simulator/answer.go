package simulator

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

const maxQuote = 200 // bytes of the user's text that an answer quotes

type blockKind uint8

const (
	blockText blockKind = iota
	blockThought
	blockTool
	blockRefusal
)

// block is a part of an answer. data is the text, or the arguments of a tool call.
type block struct {
	kind           blockKind
	id, name, data []byte
}

type finish uint8

const (
	finishStop finish = iota
	finishLength
	finishTools
	finishRefusal
	finishSequence // one of the stop sequences was generated
)

// choice is one answer: blocks[from:to].
type choice struct {
	from, to int
	finish   finish
	sequence []byte
}

// of returns the blocks of a choice.
func (c *call) of(ch *choice) []block { return c.blocks[ch.from:ch.to] }

// plan generates the answer.
func (c *call) plan() {
	for i := range c.n {
		c.dice = random(c.seed + uint64(i))
		r := &c.dice
		ch := choice{from: len(c.blocks)}
		if c.reasoning > 0 {
			c.generate(blockThought, func(dst []byte) []byte { return r.appendWords(dst, c.reasoning) })
		}
		c.planContent(&ch, r)
		ch.to = len(c.blocks)
		c.limit(&ch)
		c.choices = append(c.choices, ch)
	}
}

func (c *call) planContent(ch *choice, r *random) {
	if c.d.refuse {
		ch.finish = finishRefusal
		c.generate(blockRefusal, func(dst []byte) []byte { return append(dst, "I'm sorry, but I can't help with that."...) })
		return
	}
	if c.planCalls(r) {
		ch.finish = finishTools
		return
	}
	c.generate(blockText, func(dst []byte) []byte { return c.appendText(dst, r) })
	c.stopAt(ch)
}

// generate adds a block that fill appends to the arena.
func (c *call) generate(kind blockKind, fill func([]byte) []byte) *block {
	start := len(c.arena)
	c.arena = fill(c.arena)
	c.blocks = append(c.blocks, block{kind: kind, data: c.arena[start:len(c.arena):len(c.arena)]})
	return &c.blocks[len(c.blocks)-1]
}

// planCalls adds the tool calls, if the answer is to have any.
func (c *call) planCalls(r *random) bool {
	count, forced := given(c.d.calls)
	switch {
	case len(c.tools) == 0 || c.choice == choiceNone || forced && count == 0:
		return false
	case c.choice == choiceAuto && !forced && !c.userLast:
		return false // the tools have answered
	}
	before := len(c.blocks)
	for i := range c.tools {
		if c.wanted(&c.tools[i]) {
			c.addCall(&c.tools[i], r)
		}
	}
	if len(c.blocks) == before {
		c.addCall(&c.tools[0], r)
	}
	for i := 0; forced && len(c.blocks) < before+count; i++ {
		c.addCall(&c.tools[i%len(c.tools)], r)
	}
	if forced {
		c.blocks = c.blocks[:min(len(c.blocks), before+count)]
	}
	if c.serial {
		c.blocks = c.blocks[:before+1]
	}
	return true
}

// wanted tells whether the user's text or the tool choice names the tool.
func (c *call) wanted(t *tool) bool {
	if c.choice == choiceNamed {
		return bytes.Equal(t.name, c.choiceName)
	}
	return len(t.name) > 0 && bytes.Contains(c.user, t.name)
}

func (c *call) addCall(t *tool, r *random) {
	b := c.generate(blockTool, func(dst []byte) []byte { return appendFitting(dst, t.schema, r) })
	b.name = t.name
	start := len(c.arena)
	c.arena = r.appendID(c.arena, 24)
	b.id = c.arena[start:len(c.arena):len(c.arena)]
}

func (c *call) appendText(dst []byte, r *random) []byte {
	if n, ok := given(c.d.bytes); ok {
		return r.appendBytes(dst, n)
	}
	if n, ok := given(c.d.tokens); ok {
		return r.appendWords(dst, n)
	}
	switch c.format {
	case formatSchema:
		return appendFitting(dst, c.schema, r)
	case formatJSON:
		dst = append(dst, `{"model":`...)
		dst = appendString(dst, c.model)
		dst = append(dst, `,"message":`...)
		dst = appendString(dst, quote(c.user))
		return append(dst, '}')
	}
	return c.appendGreeting(dst)
}

func (c *call) appendGreeting(dst []byte) []byte {
	dst = append(dst, "Hello, this is "...)
	dst = append(dst, c.model...)
	dst = append(dst, ", a simulated model."...)
	if len(c.user) > 0 {
		dst = append(dst, ` You said: "`...)
		dst = append(dst, quote(c.user)...)
		dst = append(dst, '"')
		if len(c.user) > maxQuote {
			dst = append(dst, " and more"...)
		}
		dst = append(dst, '.')
	}
	if c.attachments > 0 {
		dst = append(dst, " Attachments received: "...)
		dst = append(strconv.AppendInt(dst, int64(c.attachments), 10), '.')
	}
	if len(c.toolResult) > 0 {
		dst = append(dst, ` The tool answered: "`...)
		dst = append(append(dst, quote(c.toolResult)...), `".`...)
	}
	return dst
}

// quote returns the beginning of text, cut between characters.
func quote(text []byte) []byte {
	if len(text) <= maxQuote {
		return text
	}
	end := maxQuote
	for end > maxQuote-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// stopAt ends the last block before the first stop sequence.
func (c *call) stopAt(ch *choice) {
	b := &c.blocks[len(c.blocks)-1]
	for _, s := range c.stops {
		if i := bytes.Index(b.data, s); i >= 0 && len(s) > 0 {
			b.data, ch.finish, ch.sequence = b.data[:i], finishSequence, s
		}
	}
}

// limit counts the tokens of a choice and cuts it where maxTokens are used up.
func (c *call) limit(ch *choice) {
	left := math.MaxInt
	if c.maxTokens > 0 {
		left = c.maxTokens
	}
	for i := ch.from; i < ch.to; i++ {
		b := &c.blocks[i]
		n := c.s.opts.Count(b.data)
		if n > left {
			b.data, n = c.cut(b.data, left)
			ch.finish, ch.sequence = finishLength, nil
			ch.to = i + 1
			c.blocks = c.blocks[:ch.to]
		}
		left -= n
		c.usage.output += n
		if b.kind == blockThought {
			c.usage.reasoning += n
		}
	}
}

// cut returns the longest run of pieces of text that has at most limit tokens, and its tokens. A tokenizer's counts grow with
// the text, so half of what is left is decided at each step.
func (c *call) cut(text []byte, limit int) ([]byte, int) {
	ends := []int{0}
	for at := 0; at < len(text); {
		at += piece(text[at:])
		ends = append(ends, at)
	}
	low, high := 0, len(ends)-1
	for low < high {
		mid := (low + high + 1) / 2
		if c.s.opts.Count(text[:ends[mid]]) <= limit {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return text[:ends[low]], c.s.opts.Count(text[:ends[low]])
}
