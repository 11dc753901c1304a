package llm

import (
	"math/bits"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/tokenizer"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// countAt is how much generated text is gathered before it is counted, in bytes: a count of whole runs splits no token
// but the last. Most answers are shorter, and what their providers report of them makes counting needless.
const countAt = 4 << 10

// tally counts the text of a stream as it comes, in little memory. It has one owner.
type tally struct {
	tokens tokenizer.Tokenizer
	text   []byte
	n      int
	// peeked are the tokens of the first bytes of text, when peek counted them last.
	peeked, bytes int
	// odd says that a provider counts more than the text: reasoning that it shows in part, the framing of tool calls.
	odd bool
}

func (t *tally) reset(tokens tokenizer.Tokenizer) {
	*t = tally{tokens: tokens, text: t.text[:0]}
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
		t.text, t.peeked, t.bytes = t.text[:0], 0, 0
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
		case ai.EventText, ai.EventRefusal:
			t.add(e.Text)
		case ai.EventReasoning, ai.EventToolDelta:
			t.odd = true
			t.add(e.Text)
		case ai.EventToolStart:
			t.odd = true
			t.add(e.Name)
		case ai.EventSignature:
			t.odd = true
		}
	}
}

// peek counts what has been added until now, and leaves a run that may grow as it is.
func (t *tally) peek() int {
	t.peeked, t.bytes = t.tokens.Count(t.text), len(t.text)
	return t.n + t.peeked
}

// most is what peek cannot exceed: no text has more tokens than bytes.
func (t *tally) most() int { return t.n + t.peeked + len(t.text) - t.bytes }

// output estimates the tokens of a whole answer.
func (l *LLM) output(x *ai.Exchange, c *ai.Completion) int {
	var t tally
	t.reset(l.Tokenizers.ForModel(x.Target.Model))
	t.addEvents(appendEvents(nil, c))
	return l.generated(x, &t)
}

// generated estimates the tokens that a model has generated until now.
func (l *LLM) generated(x *ai.Exchange, t *tally) int {
	return l.calibrate(t.tokens, x.Target.Model, approx.Output, t.total())
}

// estimate fills in the usage of an answer whose provider reported none. c is nil for embeddings.
func (l *LLM) estimate(x *ai.Exchange, c *ai.Completion) {
	if x.Usage.Known {
		return
	}
	x.Usage = ai.Usage{Input: l.input(x), Estimated: true}
	if c != nil {
		x.Usage.Output = l.output(x, c)
	}
}

// complete makes the usage of a stream final. What ended well and was reported is the truth; else what was generated until
// now is counted, and whatever the provider had reported of it before is the least.
func (l *LLM) complete(x *ai.Exchange, t *tally, whole bool) {
	u := &x.Usage
	if whole && u.Known {
		return
	}
	if u.Input == 0 {
		u.Input = l.input(x)
	}
	u.Output = max(u.Output, l.generated(x, t))
	u.Estimated = true
}

// cost is what tokens cost in billionths of a US dollar, rounded up once; p is in billionths for a million tokens. What would
// exceed what limits count is that much.
func cost(u *ai.Usage, p *xdsv1.Price) int64 {
	const million = 1_000_000
	fresh := max(0, u.Input-u.CachedInput-u.CacheWrite)
	var high, low uint64
	for _, part := range [...][2]int64{
		{int64(fresh), p.GetInput()}, {int64(u.CachedInput), p.GetCachedInput()},
		{int64(u.CacheWrite), p.GetCacheWrite()}, {int64(u.Output), p.GetOutput()}, {1, million - 1},
	} {
		h, l := bits.Mul64(uint64(max(part[0], 0)), uint64(max(part[1], 0)))
		var carry uint64
		low, carry = bits.Add64(low, l, 0)
		high, _ = bits.Add64(high, h, carry)
	}
	if high >= million {
		return ratelimit.MaxAmount
	}
	n, _ := bits.Div64(high, low, million)
	return int64(min(n, ratelimit.MaxAmount))
}
