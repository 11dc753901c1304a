// Package chat counts what a chat request costs beyond its texts: the framing of messages, tools, tool calls, images.
//
// It owns the arithmetic; which numbers a model uses is data of package tokenizer. It takes a neutral form of a request
// and a counter of text, and imports the standard library only: it must not know the packages that know requests (ai).
package chat

import "strings"

// A Counter counts the tokens of a text; every tokenizer.Tokenizer does.
type Counter interface{ Count(text []byte) int }

// A Request is what of a chat request costs tokens.
type Request struct {
	Messages []Message
	Tools    []Tool
}

// A Message is one turn, or what a tool returned.
type Message struct {
	Role   string
	Name   string // of the author; empty as a rule
	Texts  [][]byte
	Images []Image
	Calls  []Call
}

// A Call is an assistant's call of a tool.
type Call struct {
	Name      string
	Arguments []byte // JSON, as the model wrote it
}

// A Tool is a function that the model may call.
type Tool struct {
	Name        string
	Description string
	Parameters  []Property // of its JSON schema, see Properties
}

// Rules are the numbers of a family of models.
type Rules struct {
	Tool  int // tokens for each tool beside its text
	Image ImageRules
}

// Tokens of framing.
//
// Messages, names, the priming of the reply and tools: OpenAI Cookbook, "How to count tokens with tiktoken"
// (num_tokens_from_messages, num_tokens_for_tools), of which OpenAI says that it is an estimate that may change from
// model to model. Calls: hmarr's openai-chat-tokens, from experiments; no vendor documents them.
const (
	perMessage  = 3
	perName     = 1
	perReply    = 3 // <|start|>assistant<|message|>
	perCall     = 3
	allTools    = 12 // once, if there are tools
	properties  = 3  // once for each object that has any
	perProperty = 3
	enum        = -3
	perEnumItem = 3
)

// Parts are what the input tokens of a request are spent on.
type Parts struct {
	Text    int // of messages
	Framing int // of messages: their roles and names, what stands around them, and the beginning of the reply
	Calls   int // of tools, made before
	Tools   int // that may be called
	Images  int
}

// Total returns the sum of the parts.
func (p Parts) Total() int { return p.Text + p.Framing + p.Calls + p.Tools + p.Images }

// Count returns the input tokens of a request.
func Count(c Counter, rules Rules, r *Request) Parts {
	p := New()
	for i := range r.Messages {
		p.message(c, rules, &r.Messages[i])
	}
	if len(r.Tools) == 0 {
		return p
	}
	p.Tools = allTools
	for i := range r.Tools {
		t := &r.Tools[i]
		p.Tools += rules.Tool + text(c, t.Name+":"+sentence(t.Description)) + object(c, t.Parameters)
	}
	return p
}

// New returns what a request without messages costs. Turn and Say add to it what has no more than text.
func New() Parts { return Parts{Framing: perReply} }

// Turn adds what stands around a message. The name is empty as a rule.
func (p *Parts) Turn(c Counter, role, name []byte) {
	p.Framing += perMessage + c.Count(role)
	if len(name) > 0 {
		p.Framing += perName + c.Count(name)
	}
}

// Say adds a text of a message.
func (p *Parts) Say(c Counter, text []byte) { p.Text += c.Count(text) }

func (p *Parts) message(c Counter, rules Rules, m *Message) {
	p.Turn(c, []byte(m.Role), []byte(m.Name))
	for _, t := range m.Texts {
		p.Say(c, t)
	}
	for _, i := range m.Images {
		p.Images += rules.Image.Count(i)
	}
	for _, call := range m.Calls {
		p.Calls += perCall + text(c, call.Name) + c.Count(call.Arguments)
	}
}

// object counts the properties of an object, and those within them.
func object(c Counter, ps []Property) int {
	if len(ps) == 0 {
		return 0
	}
	n := properties
	for i := range ps {
		p := &ps[i]
		n += perProperty + text(c, p.Name+":"+p.Type+":"+sentence(p.Description))
		if len(p.Enum) > 0 {
			n += enum
		}
		for _, item := range p.Enum {
			n += perEnumItem + text(c, item)
		}
		n += object(c, p.Properties)
	}
	return n
}

// sentence takes the full stop off a description, as the model is shown it without.
func sentence(s string) string { return strings.TrimSuffix(s, ".") }

func text(c Counter, s string) int { return c.Count([]byte(s)) }
