package llm

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/guard"
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
	// shield is nil where no prompt guard looks at the answer.
	shield *guard.Stream

	// ready says that out has not been given to the client.
	ready bool
	// content says that the attempt has generated something: no other target can take over. fresh says so of the frames
	// that came last.
	content, fresh bool
	// committed says that the client has the head of the answer.
	committed bool
	closed    bool
	// heard says that the outcome of the call in progress has been taken from sent: no other will come.
	heard bool

	// cuts says that the stream may have to end at a limit.
	cuts bool

	// quiet is since when the client has heard nothing, last when the attempt last brought something, token when it last
	// generated something.
	quiet, last, token time.Time
	// armed is the end of the wait that was set last.
	armed time.Time
	// grace is set when the time of the attempt is over; see limit.
	grace time.Time
}

// pipe is memory of a stream that is kept for others.
type pipe struct {
	src   source
	evs   []ai.Event
	tally tally
	// out is what the client gets next, held what it gets once the attempt has generated something.
	out, held []byte
	// raw is what a guard looks at.
	raw []byte
	// shadow is what a client would get if its bytes were not forwarded: it keeps the encoder up to what the client has.
	shadow []byte
	// id and model are what the attempt's stream calls itself.
	id, model []byte
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
	// maxKept is the largest buffer of encoded events that is kept between two reads.
	maxKept = 8 << 10
)

var errQuiet = errors.New("nothing came for a while")

// stream answers in events. It returns when there is something to write: the first content, a keep-alive or an error.
func (c *call) stream() *ai.Error {
	s := &stream{call: c, pipe: pipes.Get().(*pipe), quiet: time.Now()}
	s.halt.ctx, s.stop = context.WithCancel(c.x.Context())
	err := s.run()
	var failed *ai.Error
	if errors.As(err, &failed) {
		s.free()
		return failed
	}
	if err == errQuiet {
		s.keepAlive()
	}
	s.commit()
	return nil
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
		s.out = recycle(s.out, maxKept)
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

// Buffered says whether Next will return without a wait: the head of the answer can then go out together with its first
// events.
func (s *stream) Buffered() bool { return s.ready || s.closed || s.state == over }

func (s *stream) keepAlive() {
	s.quiet = time.Now()
	s.out = s.encoder().AppendKeepAlive(s.out[:0])
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

// Close implements exchange.Stream: the client has all, or has left.
func (s *stream) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	s.stop()
	if s.state == head && !s.heard {
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
	return nil
}

// free gives the memory back.
func (s *stream) free() {
	s.stop()
	s.out, s.held, s.raw, s.shadow = recycle(s.out, maxKept), recycle(s.held, maxKept), recycle(s.raw, maxKept), recycle(s.shadow, maxKept)
	s.src.reset(exchange.Body{}, ai.SSE)
	s.tally.reset(nil)
	clear(s.evs[:cap(s.evs)])
	pipes.Put(s.pipe)
	s.pipe = nil
}
