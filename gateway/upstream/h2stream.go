package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// h2Stream is the body of a response over HTTP/2. A read of net/http's cannot be interrupted and resumed, so a goroutine
// reads ahead by one piece once a deadline is wanted; without deadlines there is none.
type h2Stream struct {
	call   *Call
	resp   *http.Response
	cancel context.CancelCauseFunc
	upload *sharedBody
	user   time.Time

	buf    *[]byte
	pump   *h2Pump
	err    error
	closed bool
}

var (
	_ exchange.Stream    = (*h2Stream)(nil)
	_ exchange.Deadliner = (*h2Stream)(nil)
)

var pieces = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}

// h2Pump hands pieces over: the reader takes a buffer from free, fills it and offers it in full.
type h2Pump struct {
	free, full chan h2Piece
}

type h2Piece struct {
	b   *[]byte
	n   int
	err error
}

// SetDeadline implements exchange.Deadliner.
func (s *h2Stream) SetDeadline(t time.Time) { s.user = t }

// Next implements exchange.Stream.
func (s *h2Stream) Next() ([]byte, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.pump == nil && s.user.IsZero() && s.call.IdleTimeout == 0 && s.call.Deadline.IsZero() {
		return s.direct()
	}
	return s.pumped()
}

func (s *h2Stream) direct() ([]byte, error) {
	if s.buf == nil {
		s.buf = pieces.Get().(*[]byte)
	}
	for {
		n, err := s.resp.Body.Read(*s.buf)
		if n > 0 {
			return (*s.buf)[:n], nil
		}
		if err != nil {
			return nil, s.end(err)
		}
	}
}

func (s *h2Stream) pumped() ([]byte, error) {
	if s.pump == nil {
		s.startPump()
	} else if s.buf != nil {
		s.pump.free <- h2Piece{b: s.buf}
		s.buf = nil
	}
	limit := s.call.Deadline
	if s.call.IdleTimeout > 0 {
		limit = earlier(time.Now().Add(s.call.IdleTimeout), limit)
	}
	final := s.user.IsZero() || !limit.IsZero() && limit.Before(s.user)
	timer := time.NewTimer(untilOrForever(earlier(s.user, limit)))
	defer timer.Stop()
	select {
	case p := <-s.pump.full:
		return s.take(p)
	case <-timer.C:
	}
	select {
	case p := <-s.pump.full: // came while a slow reader let the time pass
		return s.take(p)
	default:
	}
	if !final {
		return nil, os.ErrDeadlineExceeded
	}
	return nil, s.end(os.ErrDeadlineExceeded)
}

func (s *h2Stream) take(p h2Piece) ([]byte, error) {
	if p.err != nil {
		return nil, s.end(p.err)
	}
	s.buf = p.b
	return (*p.b)[:p.n], nil
}

func untilOrForever(t time.Time) time.Duration {
	if t.IsZero() {
		return 1<<63 - 1
	}
	return time.Until(t)
}

func (s *h2Stream) startPump() {
	p := &h2Pump{free: make(chan h2Piece, 1), full: make(chan h2Piece, 1)}
	if s.buf == nil {
		s.buf = pieces.Get().(*[]byte)
	}
	p.free <- h2Piece{b: s.buf}
	s.buf, s.pump = nil, p
	go p.run(s.resp.Body)
}

// run ends when the body does, or when free is closed.
func (p *h2Pump) run(body io.Reader) {
	for f := range p.free {
		n, err := 0, error(nil)
		for n == 0 && err == nil {
			n, err = body.Read(*f.b)
		}
		if n > 0 {
			err = nil
		}
		p.full <- h2Piece{b: f.b, n: n, err: err}
		if err != nil {
			return
		}
	}
}

// end remembers how the body ended. io.EOF is the clean end.
func (s *h2Stream) end(err error) error {
	if err == io.EOF {
		s.readTrailer()
		s.err = io.EOF
	} else {
		s.err = s.broken(err)
	}
	s.shut()
	return s.err
}

func (s *h2Stream) broken(err error) error {
	reason := ReasonReset
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason, err = ReasonTimeout, errSilent
	case errors.Is(err, context.Canceled):
		reason = ReasonClient
	}
	s.call.broke(reason)
	return &Error{Reason: reason, Sent: true, Err: err}
}

func (s *h2Stream) readTrailer() {
	trailer := s.call.RespTrailer
	if trailer == nil || s.resp == nil {
		return
	}
	for name, values := range s.resp.Trailer {
		for _, v := range values {
			*trailer = append(*trailer, exchange.Field{Name: strings.ToLower(name), Value: v})
		}
	}
}

// Close implements exchange.Stream.
func (s *h2Stream) Close() error {
	if s.err == nil {
		s.err = exchange.ErrClosed
	}
	s.shut()
	return nil
}

// shut ends the exchange on the wire and waits until nothing of it reads the client's body any more.
func (s *h2Stream) shut() {
	if s.closed {
		return
	}
	s.closed = true
	defer s.call.release()
	if s.resp != nil {
		s.resp.Body.Close()
	}
	s.cancel(exchange.ErrClosed)
	if s.pump != nil {
		close(s.pump.free)
	}
	if s.buf != nil {
		pieces.Put(s.buf)
		s.buf = nil
	}
	if s.upload != nil {
		s.upload.stop()
	}
}
