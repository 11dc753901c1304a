package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// stream is a streamed answer: the attempts until one of them generates something, and then that one to its end. It is
// pulled by whoever writes to the client, and has no goroutine of its own but while it waits for the head of an answer.
type stream struct {
	*call
	*pipe
	state phase
	// halt ends the attempt in progress.
	halt canceler
	stop context.CancelFunc
	dec  ai.StreamDecoder
	enc  ai.StreamEncoder

	// ready says that out has not been given to the client.
	ready bool
	// content says that the attempt has generated something: no other target can take over. fresh says so of the frames
	// that came last.
	content, fresh bool
	// committed says that the client has the head of the answer.
	committed bool
	closed    bool

	// quiet is since when the client has heard nothing, last when the attempt last brought something, token when it last
	// generated something.
	quiet, last, token time.Time
}

// pipe is memory of a stream that is kept for others.
type pipe struct {
	src   source
	evs   []ai.Event
	tally tally
	// out is what the client gets next.
	out []byte
	// sent brings the outcome of the call in progress.
	sent  chan error
	timer *time.Timer
}

var pipes = sync.Pool{New: func() any {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &pipe{sent: make(chan error, 1), timer: t}
}}

// phase is what a stream does next.
type phase uint8

const (
	begin  phase = iota // ask the next target
	head                // wait for the head of the answer
	frames              // read frames
	drain               // the answer is complete: let the connection end
	over                // nothing follows
)

var _ exchange.Stream = (*stream)(nil)

const (
	// maxHeld bounds what is kept back until an attempt generates something, in bytes.
	maxHeld = 1 << 20
	// keptOut is the largest buffer of encoded events that is kept between two reads.
	keptOut = 8 << 10
)

var errQuiet = errors.New("nothing came for a while")

// stream answers in events. It returns when there is something to write: the first content, a keep-alive or an error.
func (c *call) stream() (streams bool, _ *ai.Error) {
	s := &stream{call: c, pipe: pipes.Get().(*pipe), quiet: time.Now()}
	s.halt.ctx, s.stop = context.WithCancel(c.x.Context())
	err := s.run()
	var failed *ai.Error
	if errors.As(err, &failed) {
		s.free()
		return false, failed
	}
	if err == errQuiet {
		s.keepAlive()
	}
	s.commit()
	return true, nil
}

// commit sends the head.
func (s *stream) commit() {
	s.committed = true
	s.reply(http.StatusOK, sseType, nil)
	h := &s.x.Resp
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // nginx in front of us would wait for more
	s.x.RespBody = exchange.StreamBody(s, -1)
}

// Next implements exchange.Stream.
func (s *stream) Next() ([]byte, error) {
	if s.closed {
		return nil, exchange.ErrClosed
	}
	for !s.ready {
		s.recycle()
		switch err := s.run(); {
		case err == errQuiet:
			s.keepAlive()
		case err != nil:
			return nil, err
		}
	}
	s.ready = false
	return s.out, nil
}

// recycle empties out, and gives its memory back if one large piece made it grow.
func (s *stream) recycle() {
	s.out = s.out[:0]
	if cap(s.out) > keptOut {
		s.out = nil
	}
}

func (s *stream) keepAlive() {
	s.quiet = time.Now()
	s.out = s.enc.AppendKeepAlive(s.out[:0])
	s.ready = len(s.out) > 0
}

// run goes on until there is something for the client (nil), nothing has come for a while (errQuiet), or the stream is
// over: io.EOF, or before the head has been sent an *ai.Error.
func (s *stream) run() error {
	for !s.ready {
		var f *failure
		var err error
		switch s.state {
		case begin:
			err = s.ask()
		case head:
			f, err = s.awaitHead()
		case frames:
			f, err = s.read()
		case drain:
			s.src.drain()
			s.succeed()
			s.target.meter.OpenStreams(-1)
			s.state = over
		case over:
			err = io.EOF
		}
		if f != nil {
			err = s.fall(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask sends the request to the next target. The wait for its head is another goroutine's: providers hold heads back until
// the first token, and the client has to be kept alive meanwhile.
func (s *stream) ask() error {
	if !s.next() {
		return s.end(s.verdict())
	}
	s.build()
	s.enc = s.ax.Client.NewEncoder(s.ax)
	s.dec = s.ax.Target.Provider.NewStream(s.ax)
	s.tally.reset(s.h.llm.Tokenizers.ForModel(s.ax.Target.Model))
	s.last = s.began
	s.target.meter.OpenStreams(1)
	s.state = head
	go do(s.target.provider.cluster, s.halt, &s.up, s.sent)
	return nil
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
	s.state = frames
	return nil
}

// read passes on the frames that one wait brings.
func (s *stream) read() (*failure, error) {
	limit := s.limit()
	s.src.deadline(earlier(limit, s.alarm()))
	fr, err := s.src.next(true)
	now := time.Now()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		switch {
		case !now.Before(limit):
			return late(), nil
		case now.Before(s.alarm()):
			return nil, nil
		}
		return nil, errQuiet
	}
	var f *failure
	for s.fresh = false; err == nil; fr, err = s.src.next(false) {
		if f = s.frame(fr); f != nil || s.state != frames {
			break
		}
	}
	if err != nil && err != errMore {
		f = ended(err)
	}
	s.last = now
	if s.fresh {
		s.mark(now)
	}
	s.flush(now)
	return f, nil
}

// limit is when the attempt is given up: without content it has until firstByte, then no silence may be longer than idle.
func (s *stream) limit() time.Time {
	if s.content {
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

// ended is the failure of a stream that stopped before its end.
func ended(err error) *failure {
	var ue *upstream.Error
	switch {
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
		if evs[i].Kind == ai.EventError {
			return spoken(evs[i].Err)
		}
		s.fresh = s.fresh || evs[i].Content()
	}
	s.content = s.content || s.fresh
	s.tally.addEvents(evs)
	if s.bypass != nil {
		s.out = s.bypass.AppendFrame(s.out, s.ax, fr)
	} else if s.out, err = s.enc.AppendEvents(s.out, evs); err != nil {
		return nonsense("the provider's stream cannot be translated")
	}
	if s.dec.Done() {
		s.finish()
	} else if len(s.out) > maxHeld && !s.content {
		return nonsense("the provider's stream has no content")
	}
	return nil
}

// finish ends an answer that came to its proper end.
func (s *stream) finish() {
	s.content = true
	s.h.llm.settle(s.ax, &s.tally, true)
	if s.bypass == nil {
		s.out = s.enc.AppendEnd(s.out)
	}
	s.state = drain
}

// flush gives out what is there, once the attempt has generated something.
func (s *stream) flush(now time.Time) {
	if s.content && len(s.out) > 0 {
		s.ready, s.quiet = true, now
	}
}

// mark measures tokens by the batch.
func (s *stream) mark(now time.Time) {
	if s.token.IsZero() {
		s.freeRequest()
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
		s.h.llm.settle(s.ax, &s.tally, false)
		s.target.meter.Tokens(&s.ax.Usage)
	}
	again := s.fail(f)
	s.target.meter.OpenStreams(-1)
	switch {
	case f.outcome == aborted:
		s.state = over
		return f.err
	case s.content:
		s.state, s.ready = over, true
		s.out = s.enc.AppendError(s.out, f.err)
		return nil
	case again:
		s.state, s.out = begin, s.out[:0]
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
	s.out = s.enc.AppendError(s.out[:0], e)
	s.ready = true
	return nil
}

// Close implements exchange.Stream: the client has all, or has left.
func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.stop()
	if s.state == head {
		if err := <-s.sent; err == nil {
			s.answered = true
		}
	}
	switch s.state {
	case head, frames:
		s.fall(gone())
	case drain:
		s.state = over
		s.succeed()
		s.target.meter.OpenStreams(-1)
	}
	s.free()
	s.release()
	return nil
}

// free gives the memory back.
func (s *stream) free() {
	s.stop()
	s.recycle()
	s.src.reset(exchange.Body{}, ai.SSE)
	s.tally.reset(nil)
	clear(s.evs[:cap(s.evs)])
	pipes.Put(s.pipe)
	s.pipe = nil
}
