package llm

import (
	"github.com/nantian-gw/nantian/tokenizer"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// Where a model's vocabulary is not public its tokens are estimated. What providers report of calls that they have
// answered makes these estimates better: learnInput and learnOutput tell the calibration, calibrate asks it.

// maxLearned is the largest request that is counted for the calibration's sake alone, in bytes.
const maxLearned = 256 << 10

// calibrate turns a count into what it probably is. Exact counts stay.
func (l *LLM) calibrate(tok tokenizer.Tokenizer, model string, s approx.Side, n int) int {
	if tok.Exact() {
		return n
	}
	return l.Calibration.Adjust(model, s, n)
}

// learnInput compares what the provider reported of the request with what is counted of it. The client has its answer by
// then, so that it waits for no count.
func (c *call) learnInput() {
	x, reported := &c.ax, c.told
	if x.Usage.Known && !x.Usage.Estimated {
		reported = x.Usage.Input
	}
	if reported == 0 || len(x.Request.Raw) > maxLearned {
		return
	}
	l, model := c.h.llm, x.Target.Model
	tok := l.Tokenizers.ForModel(model)
	if tok.Exact() || !l.Calibration.Due(model, approx.Input, l.Now()) {
		return
	}
	if p, err := Count(tok, l.Tokenizers.Rules(model), x); err == nil && p.Plain {
		c.learn(approx.Input, p.Total(), reported)
	}
}

// learnOutput does that for the text of a stream that came to its end, which was counted as it came.
func (s *stream) learnOutput() {
	t, u := &s.tally, &s.ax.Usage
	if u.Estimated || t.odd || t.tokens.Exact() || u.Reasoning > 0 || u.AudioOutput > 0 {
		return
	}
	if l := s.h.llm; l.Calibration.Due(s.ax.Target.Model, approx.Output, l.Now()) {
		s.learn(approx.Output, t.total(), u.Output)
	}
}

func (c *call) learn(s approx.Side, estimated, reported int) {
	k := c.h.llm.Calibration
	if off, ok := k.Observe(c.ax.Target.Model, s, estimated, reported); ok {
		c.target.meter.Learned(off, k.Len())
	}
}
