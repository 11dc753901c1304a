package llm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// ask sends the request to the next target. The wait for its head is another goroutine's: providers hold heads back until
// the first token, and the client has to be kept alive meanwhile.
func (s *stream) ask() error {
	if !s.next() {
		return s.end(s.verdict())
	}
	s.build()
	s.enc, s.cuts = nil, s.lease.Cuts() || s.part.Cuts()
	s.guardStream()
	s.dec = s.ax.Target.Provider.NewStream(&s.ax)
	s.tally.reset(s.h.llm.Tokenizers.ForModel(s.ax.Target.Model))
	s.last, s.grace = s.began, time.Time{}
	s.target.meter.OpenStreams(1)
	s.state, s.heard = head, false
	go do(s.target.provider.cluster, s.halt, &s.up, s.sent)
	return nil
}

// encoder is made when it is needed: where bytes are forwarded only keep-alives and errors need it, and it may have to
// decode the request.
func (s *stream) encoder() ai.StreamEncoder {
	if s.enc == nil {
		s.enc = s.ax.Client.NewEncoder(&s.ax)
	}
	return s.enc
}

// do makes the call. A panic costs this call alone.
func do(c *upstream.Cluster, k canceler, call *upstream.Call, sent chan<- error) {
	defer func() {
		if p := recover(); p != nil {
			sent <- fmt.Errorf("panic: %v", p)
		}
	}()
	sent <- c.Do(k, call)
}

func (s *stream) awaitHead() (*failure, error) {
	s.timer.Reset(time.Until(s.alarm()))
	defer s.timer.Stop()
	select {
	case err := <-s.sent:
		s.heard = true
		return s.open(err), nil
	case <-s.timer.C:
		return nil, errQuiet
	}
}

// alarm is when the client must hear something.
func (s *stream) alarm() time.Time { return s.quiet.Add(s.target.provider.keepAlive) }

// open looks at the head of an answer.
func (s *stream) open(err error) *failure {
	if f := s.judge(err); f != nil {
		return f
	}
	if isJSON(s.resp.ContentType()) {
		return s.whole()
	}
	s.src.reset(s.up.RespBody, s.ax.Target.Provider.Framing())
	s.state, s.armed = frames, time.Time{}
	return nil
}

// read passes on the frames that one wait brings.
func (s *stream) read() (*failure, error) {
	s.arm(earlier(s.limit(), s.alarm()))
	fr, err := s.src.next(true)
	now := time.Now()
	if err == os.ErrDeadlineExceeded { // as it is: within an *upstream.Error it is final
		return s.silence(now)
	}
	s.grace = time.Time{}
	var f *failure
	for s.fresh = false; err == nil; fr, err = s.src.next(false) {
		if f = s.frame(fr); f != nil || s.state != frames {
			break
		}
	}
	if err != nil && err != errMore {
		f = s.ended(err)
	}
	s.last = now
	if s.fresh {
		s.mark(now)
	}
	s.flush(now)
	return f, nil
}

// arm bounds the next wait. An end that comes too early costs one wait more, a new one for each event costs more than that.
func (s *stream) arm(t time.Time) {
	if s.armed.IsZero() || t.Before(s.armed) {
		s.armed = t
		s.src.deadline(t)
	}
}

// silence is what a wait without a frame means.
func (s *stream) silence(now time.Time) (*failure, error) {
	s.armed = time.Time{}
	switch {
	case now.Before(s.limit()) && now.Before(s.alarm()):
		return nil, nil
	case now.Before(s.limit()):
		return nil, errQuiet
	case s.grace.IsZero():
		s.grace = now.Add(lull)
		return nil, nil
	}
	return late(), nil
}

// limit is when the attempt is given up: without content it has until firstByte, then no silence may be longer than idle.
// A slow client may have let that pass with the next frame at hand, so there is a moment of grace.
func (s *stream) limit() time.Time {
	switch {
	case !s.grace.IsZero():
		return s.grace
	case s.content:
		return s.last.Add(s.target.provider.idle)
	}
	return s.began.Add(s.target.provider.firstByte)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// ended is the failure of a stream that stopped before its end; nil for one that lacks nothing but the vendor's end mark.
func (s *stream) ended(err error) *failure {
	var ue *upstream.Error
	lenient, _ := s.dec.(ai.Lenient)
	switch {
	case errors.Is(err, io.EOF) && lenient != nil && lenient.CompleteAtEOF():
		return s.finish()
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return cutShort()
	case errors.As(err, &ue):
		return callFailure(err)
	}
	return nonsense("the provider's stream cannot be read")
}

// frame passes one frame on.
func (s *stream) frame(fr ai.Frame) *failure {
	evs, err := s.dec.Decode(fr, s.evs[:0])
	s.evs = evs
	if err != nil {
		return nonsense("the provider's stream cannot be understood")
	}
	for i := range evs {
		switch evs[i].Kind {
		case ai.EventError:
			return spoken(evs[i].Err)
		case ai.EventStart:
			s.id, s.model = append(s.id[:0], evs[i].ID...), append(s.model[:0], evs[i].Name...)
		}
		s.fresh = s.fresh || evs[i].Content()
	}
	s.tally.addEvents(evs)
	if s.fresh {
		s.show()
	}
	to := &s.held
	if s.content {
		to = &s.out
	}
	from := len(*to)
	switch {
	case s.bypass == nil:
		if *to, err = s.encoder().AppendEvents(*to, evs); err != nil {
			if f := s.shielded(to, from); f != nil { // what was translated before the error goes out with it
				return f
			}
			return untranslated(err)
		}
	case s.dec.Done() && s.owesUsage():
	default:
		*to = s.bypass.AppendFrame(*to, &s.ax, fr)
	}
	if f := s.shielded(to, from); f != nil {
		return f
	}
	if s.bypass != nil && s.cuts {
		if err = s.follow(evs); err != nil {
			return untranslated(err)
		}
	}
	switch {
	case s.dec.Done():
		return s.finish()
	case s.cuts && s.fresh:
		return s.cutAtLimit()
	}
	if len(s.held) > maxHeld {
		return nonsense("the provider's stream has no content")
	}
	return nil
}

// untranslated is an answer that the client's schema cannot express: an *ai.Error says what of it, and is the client's to know.
func untranslated(err error) *failure {
	var e *ai.Error
	if errors.As(err, &e) {
		return spoken(e)
	}
	return nonsense("the provider's stream cannot be translated")
}

// show commits the stream to its attempt: what was held back goes out.
func (s *stream) show() {
	s.content = true
	s.out = append(s.out, s.held...)
	s.held = s.held[:0]
}

// finish ends an answer that came to its proper end.
func (s *stream) finish() *failure {
	s.show()
	s.h.llm.complete(&s.ax, &s.tally, true)
	from := len(s.out)
	switch {
	case s.bypass == nil:
		s.out = s.encoder().AppendEnd(s.out)
	case s.owesUsage():
		s.out = s.appendUsage(s.out)
	}
	if f := s.shieldedEnd(from); f != nil {
		return f
	}
	s.learnOutput()
	s.spent()
	s.settle()
	s.state = drain
	return nil
}

// owesUsage says whether a client of OpenAI's schema asked for usage that the provider, whose bytes it is given, has not
// sent: what was counted is then sent in its place.
func (s *stream) owesUsage() bool {
	return s.bypass != nil && s.ax.Request.WantsUsage && (!s.ax.Usage.Known || s.ax.Usage.Estimated) && s.ax.Client.Schema() == ai.OpenAI
}

// appendUsage ends a stream that was forwarded with the usage that was counted, under the stream's own id, and the end mark.
func (s *stream) appendUsage(dst []byte) []byte {
	start := [1]ai.Event{{Kind: ai.EventStart, ID: s.id, Name: s.model}}
	dst, err := s.encoder().AppendEvents(dst, start[:])
	if err != nil {
		return dst // nothing of a start can fail
	}
	return s.encoder().AppendEnd(dst)
}

// flush gives out what is there.
func (s *stream) flush(now time.Time) {
	if len(s.out) > 0 {
		s.ready, s.quiet = true, now
	}
}

// mark measures tokens by the batch.
func (s *stream) mark(now time.Time) {
	if s.token.IsZero() {
		if !s.up.Uploading {
			s.lendRequest()
		}
		s.x.Model.FirstToken = now.Sub(s.x.Start)
		s.target.meter.FirstToken(s.x.Model.FirstToken)
	} else {
		s.target.meter.BetweenTokens(now.Sub(s.token))
	}
	s.token = now
}

// fall ends an attempt that failed. The next target takes over, unless the client has seen something of this one.
func (s *stream) fall(f *failure) error {
	if s.content || f.outcome == aborted {
		s.h.llm.complete(&s.ax, &s.tally, s.dec.Done())
		s.spent()
		s.settle()
	}
	again := s.fail(f)
	s.target.meter.OpenStreams(-1)
	switch {
	case f.outcome == aborted:
		s.state = over
		return f.err
	case f.outcome == blocked && !s.committed:
		return s.end(f.err) // nobody has seen anything yet
	case s.content:
		s.state, s.ready = over, true
		s.out = s.encoder().AppendError(s.out, f.err)
		return nil
	case again:
		s.state, s.held = begin, s.held[:0]
		return nil
	}
	return s.end(f.err)
}

// end tells the client that no target could answer: by status while that is possible, then by an event.
func (s *stream) end(e *ai.Error) error {
	s.state = over
	if !s.committed {
		return e
	}
	s.out = s.encoder().AppendError(s.out[:0], e)
	s.ready = true
	return nil
}
