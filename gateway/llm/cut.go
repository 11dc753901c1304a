package llm

import (
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/limit"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// follow keeps the encoder of a stream whose bytes are forwarded up to what the client has, so that it can end the stream.
func (s *stream) follow(evs []ai.Event) (err error) {
	if s.cuts {
		s.shadow, err = s.encoder().AppendEvents(s.shadow[:0], evs)
	}
	return err
}

// cutAtLimit ends the stream if it has used what it may. Only near the limit its tokens are counted.
func (s *stream) cutAtLimit() *failure {
	most := s.running(s.tally.most())
	if s.part.Covers(most) && s.lease.Covers(s.used.Plus(most)) {
		return nil
	}
	exact := s.running(s.h.llm.calibrate(s.tally.tokens, s.ax.Target.Model, approx.Output, s.tally.peek()))
	ok, at := s.part.Allows(exact)
	if ok {
		ok, at = s.lease.Allows(s.used.Plus(exact))
	}
	if ok {
		return nil
	}
	return s.cut(at)
}

// running is what the attempt has used with so much generated.
func (s *stream) running(output int) limit.Usage {
	u := ai.Usage{Input: s.ax.Usage.Input, Output: max(output, s.ax.Usage.Output), CachedInput: s.ax.Usage.CachedInput, CacheWrite: s.ax.Usage.CacheWrite}
	if u.Input == 0 {
		u.Input = int(s.Input())
	}
	return limit.Usage{Requests: 1, Input: int64(u.Input), Output: int64(u.Output), Cost: cost(&u, s.price())}
}

// cut ends the stream as a provider does at max_tokens, and the call of the provider with it.
func (s *stream) cut(at string) *failure {
	s.show()
	from := len(s.out)
	s.h.llm.complete(&s.ax, &s.tally, false)
	s.ax.Finish = ai.FinishLength
	s.evs = s.evs[:0]
	for i := range max(s.ax.Request.N, 1) {
		s.evs = append(s.evs, ai.Event{Kind: ai.EventFinish, Choice: i, Finish: ai.FinishLength})
	}
	s.out, _ = s.encoder().AppendEvents(s.out, s.evs)
	s.out = s.encoder().AppendEnd(s.out)
	if f := s.shieldedEnd(from); f != nil {
		return f
	}
	s.x.Model.Limit, s.x.Model.LimitOutcome = at, "cut"
	s.up.RespBody.Close()
	s.stop()
	s.target.health.succeed(s.h.llm.Now())
	s.target.meter.Attempt("cut", time.Since(s.began))
	s.target.meter.OpenStreams(-1)
	s.spent()
	s.settle()
	s.state = over
	return nil
}
