package simulator

import (
	"bytes"
	"strconv"
)

const (
	minBudget = 1024 // thinking.budget_tokens
	// maxBreakpoints is how many cache_control marks a request may have.
	maxBreakpoints = 4
)

// messages is POST /v1/messages.
type messages struct{ anthropic }

var _ streamer = messages{}

func (messages) read(c *call, body value) *apiError {
	if e := c.readMessages(body); e != nil {
		return e
	}
	if c.maxTokens == 0 {
		return invalid("max_tokens", "Field required")
	}
	return c.checkThinking(body)
}

// readMessages reads what a message and a token count share.
func (c *call) readMessages(body value) *apiError {
	if e := c.requireVersion(); e != nil {
		return e
	}
	var tools, system, turns value
	for k, v := range body.fields() {
		switch string(k) {
		case "tools":
			tools = v
		case "system":
			system = v
		case "messages":
			turns = v
		default:
			if e := c.readMessageField(k, v); e != nil {
				return e
			}
		}
	}
	if len(c.model) == 0 {
		return invalid("model", "Field required")
	}
	if turns.kind() != '[' {
		return invalid("messages", "Field required")
	}
	p := prompt{c: c, hash: hash(2, c.model)}
	return p.read(tools, system, turns)
}

func (c *call) readMessageField(key []byte, v value) *apiError {
	switch string(key) {
	case "model":
		return c.setModel(c.str(v))
	case "max_tokens":
		return c.readCount(&c.maxTokens, key, v, 1, 1<<30)
	case "stream":
		c.stream = v.truth()
	case "stop_sequences":
		c.readStops(v)
	case "tool_choice":
		c.readToolChoice(v.get("type"), v.get("name"))
		c.serial = v.get("disable_parallel_tool_use").truth()
	case "thinking":
		c.readThinking(v)
	case "output_config", "output_format":
		if f := v.get("format"); f.set() {
			v = f
		}
		if v.get("type").is("json_schema") {
			c.format, c.schema = formatSchema, v.get("schema")
		}
	}
	return nil
}

func (c *call) readThinking(v value) {
	switch kind := v.get("type"); {
	case kind.is("enabled"):
		n, _ := v.get("budget_tokens").number()
		c.reasoning = max(1, min(n, effort("high")))
	case kind.is("adaptive"):
		c.reasoning = effort("medium")
	}
}

// checkThinking refuses what cannot go with extended thinking.
func (c *call) checkThinking(body value) *apiError {
	thinking := body.get("thinking")
	if !thinking.get("type").is("enabled") {
		return nil
	}
	n, _ := thinking.get("budget_tokens").number()
	switch {
	case n < minBudget:
		return invalid("thinking.enabled.budget_tokens", "Input should be greater than or equal to "+strconv.Itoa(minBudget))
	case n >= c.maxTokens:
		return invalid("max_tokens", "`max_tokens` must be greater than `thinking.budget_tokens`")
	case c.choice == choiceRequired || c.choice == choiceNamed:
		return invalid("", "Thinking may not be enabled when tool_choice forces tool use.")
	}
	return nil
}

// breakpoint is a cache_control mark: the prompt up to it is cached.
type breakpoint struct {
	hash   uint64
	tokens int
	hour   bool // ttl "1h"
}

// prompt reads a prompt in the order in which Anthropic caches it: tools, system, messages.
type prompt struct {
	c     *call
	hash  uint64
	marks []breakpoint
	used  [][]byte // ids of the tool calls in the last message
}

func (p *prompt) read(tools, system, turns value) *apiError {
	c := p.c
	for t := range tools.items() {
		c.tools = append(c.tools, tool{name: c.str(t.get("name")), schema: t.get("input_schema")})
		c.countText(t)
		p.mark(t)
	}
	if system.kind() == '"' {
		c.countText(c.str(system))
		p.hash = hash(p.hash, system)
	}
	for b := range system.items() {
		c.countText(c.str(b.get("text")))
		p.mark(b)
	}
	count := 0
	for m := range turns.items() {
		if e := p.message(m, "messages."+strconv.Itoa(count)); e != nil {
			return e
		}
		count++
	}
	if count == 0 {
		return invalid("messages", "at least one message is required")
	}
	return p.charge()
}

// mark adds a block to the prefix and notes whether it is to be cached.
func (p *prompt) mark(block value) {
	p.hash = hash(p.hash, block)
	if control := block.get("cache_control"); control.set() {
		p.marks = append(p.marks, breakpoint{p.hash, p.c.usage.input, control.get("ttl").is("1h")})
	}
}

// charge splits the input into what was read from the cache and what was written to it.
func (p *prompt) charge() *apiError {
	if len(p.marks) > maxBreakpoints {
		return invalid("", "A maximum of 4 blocks with cache_control may be provided. Found "+strconv.Itoa(len(p.marks))+".")
	}
	u := &p.c.usage
	done := 0
	for _, m := range p.marks {
		n := m.tokens - done
		done = m.tokens
		switch {
		case p.c.s.prefixes.touch(m.hash):
			u.cached, u.written5m, u.written1h = m.tokens, 0, 0
		case m.hour:
			u.written1h += n
		default:
			u.written5m += n
		}
	}
	return nil
}

func (p *prompt) message(m value, at string) *apiError {
	role, content := m.get("role"), m.get("content")
	p.hash = hash(p.hash, role)
	answered := p.used
	p.used = nil
	switch {
	case role.is("user"):
		p.c.userMessage()
	case role.is("assistant"):
		p.c.otherMessage()
	default:
		return invalid(at+".role", "Input should be 'user' or 'assistant'")
	}
	if content.kind() == '"' {
		p.text(role, content)
		p.hash = hash(p.hash, content)
	}
	i := 0
	for b := range content.items() {
		if e := p.block(role, b, answered, at+".content."+strconv.Itoa(i)); e != nil {
			return e
		}
		p.mark(b)
		i++
	}
	if len(answered) > 0 && !p.allAnswered(content, answered) {
		return invalid(at, "`tool_use` ids were found without `tool_result` blocks immediately after. Each `tool_use` block must have a corresponding `tool_result` block in the next message.")
	}
	return nil
}

func (p *prompt) text(role, v value) {
	if role.is("user") {
		p.c.userText(p.c.str(v))
		return
	}
	p.c.countText(p.c.str(v))
}

func (p *prompt) block(role, b value, answered [][]byte, at string) *apiError {
	c := p.c
	switch kind := b.get("type"); {
	case kind.is("text"):
		p.text(role, b.get("text"))
	case kind.is("tool_use"):
		p.used = append(p.used, c.str(b.get("id")))
		c.countText(b.get("input"))
	case kind.is("tool_result"):
		if id := c.str(b.get("tool_use_id")); !holds(answered, id) {
			return invalid(at, "unexpected `tool_use_id` found in `tool_result` blocks: "+string(id)+
				". Each `tool_result` block must have a corresponding `tool_use` block in the previous message.")
		}
		c.readParts(b.get("content"), c.resultText)
		c.userLast = false
	case kind.is("thinking"):
		thought := c.str(b.get("thinking"))
		if !bytes.Equal(c.str(b.get("signature")), appendSignature(nil, thought)) {
			return invalid(at, "Invalid `signature` in `thinking` block")
		}
		c.countText(thought)
	default:
		c.attach()
	}
	return nil
}

// allAnswered tells whether content holds a result for each tool call of the message before.
func (p *prompt) allAnswered(content value, ids [][]byte) bool {
	found := 0
	for b := range content.items() {
		if b.get("type").is("tool_result") && holds(ids, b.get("tool_use_id").text(nil)) {
			found++
		}
	}
	return found >= len(ids)
}

func holds(list [][]byte, id []byte) bool {
	for _, have := range list {
		if bytes.Equal(have, id) {
			return true
		}
	}
	return false
}

// appendSignature appends what proves that a thought is the simulator's own, in base64.
func appendSignature(dst, thought []byte) []byte {
	r := random(hash(3, thought))
	return r.appendID(dst, 64)
}
