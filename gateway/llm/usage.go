package llm

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/tokenizer"
)

const (
	// perMessage and perReply are what the framing of a chat costs (OpenAI's cookbook, "How to count tokens with
	// tiktoken").
	perMessage = 3
	perReply   = 3
	// perMedia stands for an image, a sound or a file, whose tokens depend on sizes that only the provider looks at.
	perMedia = 1000
	// countAt is how much generated text is gathered before it is counted: a count of whole runs splits no token but the
	// last.
	countAt = 1 << 10
)

// tally counts the text of a stream as it comes, in little memory. It has one owner.
type tally struct {
	tokens tokenizer.Tokenizer
	text   []byte
	n      int
}

func (t *tally) reset(tokens tokenizer.Tokenizer) {
	t.tokens, t.text, t.n = tokens, t.text[:0], 0
}

func (t *tally) add(text []byte) {
	if len(t.text)+len(text) > countAt {
		t.settle()
	}
	if len(text) > countAt {
		t.n += t.tokens.Count(text)
		return
	}
	t.text = append(t.text, text...)
}

func (t *tally) settle() {
	if len(t.text) > 0 {
		t.n += t.tokens.Count(t.text)
		t.text = t.text[:0]
	}
}

func (t *tally) total() int {
	t.settle()
	return t.n
}

// addEvents counts what the model generated in evs.
func (t *tally) addEvents(evs []ai.Event) {
	for i := range evs {
		switch e := &evs[i]; e.Kind {
		case ai.EventText, ai.EventRefusal, ai.EventReasoning, ai.EventToolDelta:
			t.add(e.Text)
		case ai.EventToolStart:
			t.add(e.Name)
		}
	}
}

// counter counts strings with one buffer.
type counter struct {
	tokens tokenizer.Tokenizer
	buf    []byte
	n      int
}

func (k *counter) text(s string) {
	if s != "" {
		k.buf = append(k.buf[:0], s...)
		k.n += k.tokens.Count(k.buf)
	}
}

func (k *counter) raw(b []byte) {
	if len(b) > 0 {
		k.n += k.tokens.Count(b)
	}
}

func (k *counter) parts(ps []ai.Part) {
	for i := range ps {
		p := &ps[i]
		k.text(p.Text)
		if p.Media != nil {
			k.n += perMedia
		}
		if p.Call != nil {
			k.text(p.Call.Name)
			k.text(p.Call.Arguments)
		}
		if p.Result != nil {
			k.parts(p.Result.Parts)
		}
		if p.Kind == ai.PartOpaque {
			k.raw(p.Raw)
		}
	}
}

// input estimates the tokens of what the client sent; 0 if it cannot be decoded.
func (l *LLM) input(x *ai.Exchange) int {
	k := counter{tokens: l.Tokenizers.ForModel(x.Target.Model)}
	if x.Op == ai.OpEmbeddings {
		k.embed(x)
		return k.n
	}
	c, err := x.Chat()
	if err != nil {
		return 0
	}
	for i := range c.Messages {
		k.n += perMessage
		k.text(c.Messages[i].Name)
		k.parts(c.Messages[i].Parts)
	}
	for i := range c.Tools {
		t := &c.Tools[i]
		k.text(t.Name)
		k.text(t.Description)
		k.raw(t.Schema)
		k.raw(t.Raw)
	}
	if c.Format != nil {
		k.raw(c.Format.Schema)
	}
	return k.n + perReply
}

func (k *counter) embed(x *ai.Exchange) {
	e, err := x.Embed()
	if err != nil {
		return
	}
	for i := range e.Inputs {
		k.text(e.Inputs[i].Text)
		k.n += len(e.Inputs[i].Tokens)
	}
}

// output estimates the tokens of a whole answer.
func (l *LLM) output(model string, c *ai.Completion) int {
	k := counter{tokens: l.Tokenizers.ForModel(model)}
	for i := range c.Choices {
		k.parts(c.Choices[i].Parts)
	}
	return k.n
}

// estimate fills in the usage of an answer whose provider reported none. c is nil for embeddings.
func (l *LLM) estimate(x *ai.Exchange, c *ai.Completion) {
	if x.Usage.Known {
		return
	}
	x.Usage = ai.Usage{Input: l.input(x), Estimated: true}
	if c != nil {
		x.Usage.Output = l.output(x.Target.Model, c)
	}
}

// settle makes the usage of a stream final. What ended well and was reported is the truth; else what was generated until
// now is counted, and whatever the provider had reported of it before is the least.
func (l *LLM) settle(x *ai.Exchange, t *tally, complete bool) {
	u := &x.Usage
	if complete && u.Known {
		return
	}
	if u.Input == 0 {
		u.Input = l.input(x)
	}
	u.Output = max(u.Output, t.total())
	u.Estimated = true
}
