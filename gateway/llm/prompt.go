package llm

import (
	"encoding/base64"
	"strings"
	"sync"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/tokenizer"
	"github.com/nantian-gw/nantian/tokenizer/approx"
	"github.com/nantian-gw/nantian/tokenizer/chat"
)

// perFile stands for a sound or a file, whose tokens depend on what only the provider looks at.
const perFile = 1000

// input estimates the tokens of what the client sent, by what was learned of the target's model; 0 if it cannot be
// decoded.
func (l *LLM) input(x *ai.Exchange) int {
	tok := l.Tokenizers.ForModel(x.Target.Model)
	p, err := Count(tok, l.Tokenizers.Rules(x.Target.Model), x)
	if err != nil {
		return 0
	}
	return l.calibrate(tok, x.Target.Model, approx.Input, p.Total())
}

// Prompt is what the input tokens of a request are spent on.
type Prompt struct {
	chat.Parts
	// Other are tokens of what has no form in package chat: files, schemas of answers, what only the vendor knows.
	Other int
	// Plain says that all of it is text.
	Plain bool
}

// Total returns the sum of the parts.
func (p Prompt) Total() int { return p.Parts.Total() + p.Other }

// Count counts what a client sent, before any calibration.
func Count(tok tokenizer.Tokenizer, rules chat.Rules, x *ai.Exchange) (Prompt, error) {
	if x.Op == ai.OpEmbeddings {
		n, err := embedded(tok, x)
		return Prompt{Parts: chat.Parts{Text: n}, Plain: true}, err
	}
	if parts, ok := countPlain(tok, x); ok {
		return Prompt{Parts: parts, Plain: true}, nil
	}
	return countAll(tok, rules, x)
}

var plains = sync.Pool{New: func() any { return new(ai.Plain) }}

// countPlain counts a chat of nothing but text from its bytes, which is what most are, without an allocation.
func countPlain(tok tokenizer.Tokenizer, x *ai.Exchange) (chat.Parts, bool) {
	p := plains.Get().(*ai.Plain)
	defer func() { p.Reset(); plains.Put(p) }()
	if !x.Client.ReadPlain(x.Op, x.Request.Raw, p) {
		return chat.Parts{}, false
	}
	parts := chat.New()
	for i := range p.Messages {
		m := &p.Messages[i]
		parts.Turn(tok, roleNames[m.Role], m.Name)
		for _, text := range m.Texts {
			parts.Say(tok, text)
		}
	}
	return parts, true
}

// countAll counts any chat, decoded.
func countAll(tok tokenizer.Tokenizer, rules chat.Rules, x *ai.Exchange) (Prompt, error) {
	c, err := x.Chat()
	if err != nil {
		return Prompt{}, err
	}
	p := prompt{tokens: tok, plain: true}
	for i := range c.Messages {
		p.message(&c.Messages[i])
	}
	for i := range c.Tools {
		p.tool(&c.Tools[i])
	}
	if c.Format != nil {
		p.extra += tok.Count(c.Format.Schema)
	}
	return Prompt{chat.Count(tok, rules, &p.Request), p.extra, p.plain}, nil
}

func embedded(tok tokenizer.Tokenizer, x *ai.Exchange) (int, error) {
	e, err := x.Embed()
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range e.Inputs {
		n += tok.Count([]byte(e.Inputs[i].Text)) + len(e.Inputs[i].Tokens)
	}
	return n, nil
}

// prompt is a request as package chat counts it, and what it has no form for.
type prompt struct {
	chat.Request
	tokens tokenizer.Tokenizer
	extra  int
	plain  bool // without images, sounds, files
}

var roles = [...]string{
	ai.RoleSystem: "system", ai.RoleDeveloper: "developer", ai.RoleUser: "user", ai.RoleAssistant: "assistant", ai.RoleTool: "tool",
}

// roleNames are the same as bytes.
var roleNames = func() (names [len(roles)][]byte) {
	for i, r := range roles {
		names[i] = []byte(r)
	}
	return names
}()

func (p *prompt) message(m *ai.Message) {
	to := chat.Message{Role: roles[m.Role], Name: m.Name}
	p.parts(&to, m.Parts)
	p.Messages = append(p.Messages, to)
}

func (p *prompt) parts(to *chat.Message, parts []ai.Part) {
	for i := range parts {
		part := &parts[i]
		if part.Text != "" {
			to.Texts = append(to.Texts, []byte(part.Text))
		}
		p.plain = p.plain && part.Media == nil
		switch {
		case part.Kind == ai.PartImage && part.Media != nil:
			to.Images = append(to.Images, picture(part.Media))
		case part.Media != nil:
			p.extra += perFile
		case part.Call != nil:
			to.Calls = append(to.Calls, chat.Call{Name: part.Call.Name, Arguments: []byte(part.Call.Arguments)})
		case part.Result != nil:
			p.parts(to, part.Result.Parts)
		case part.Kind == ai.PartOpaque:
			p.extra += p.tokens.Count(part.Raw)
		}
	}
}

// picture is an image with its size, where that can be told without a download.
func picture(m *ai.Media) chat.Image {
	i := chat.Image{Low: m.Detail == "low"}
	if m.Data != "" {
		i.Width, i.Height = chat.Size(base64.NewDecoder(base64.StdEncoding, strings.NewReader(m.Data)))
	}
	return i
}

// tool adds a tool. What is not a schema of an object, or a tool of the vendor's own, is counted as its text.
func (p *prompt) tool(t *ai.Tool) {
	to := chat.Tool{Name: t.Name, Description: t.Description}
	var err error
	if len(t.Schema) > 0 {
		if to.Parameters, err = chat.Properties(t.Schema); err != nil {
			p.extra += p.tokens.Count(t.Schema)
		}
	}
	p.extra += p.tokens.Count(t.Raw)
	p.Tools = append(p.Tools, to)
}
