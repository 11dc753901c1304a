package upstream

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// respStream is the body of a response over HTTP/1.1. It lets go of its connection at the end, so that whoever still
// holds it cannot touch the next call's.
type respStream struct {
	c    *h1Conn
	call *Call
	err  error
	user time.Time // set through SetDeadline
}

var (
	_ exchange.Stream    = (*respStream)(nil)
	_ exchange.Deadliner = (*respStream)(nil)
)

// Next implements exchange.Stream.
func (s *respStream) Next() ([]byte, error) {
	c := s.c
	if c == nil {
		return nil, s.err
	}
	final := false
	if !c.body.Buffered() {
		final = s.prepare(c)
	}
	p, err := c.body.Next()
	switch {
	case err == nil:
		return p, nil
	case err == io.EOF:
		s.err = io.EOF
	case isTimeout(err) && !final && !c.clientGone() && c.uploadError() == nil:
		return nil, os.ErrDeadlineExceeded
	default:
		s.err = s.broken(c, err)
	}
	return nil, s.err
}

// prepare sets the deadline of a wait, and the watch on the client. final says that its end is the end of the call. Of
// IdleTimeout the deadline is a bit too late, so that not every piece of a stream sets a new one.
func (s *respStream) prepare(c *h1Conn) (final bool) {
	if c.ctx == nil {
		c.arm(time.Time{})
	}
	limit, slack := c.call.Deadline, time.Duration(0)
	if idle := c.call.IdleTimeout; idle > 0 {
		if silent := time.Now().Add(idle); limit.IsZero() || silent.Before(limit) {
			limit, slack = silent, idle/8
		}
	}
	if final = s.user.IsZero() || !limit.IsZero() && limit.Before(s.user); !final {
		limit, slack = s.user, 0
	}
	if late := c.readBy.Sub(limit); late >= 0 && late <= slack {
		return final
	}
	c.readUntil(limit.Add(slack))
	if c.clientGone() || c.uploadError() != nil { // the past that was set on their account must not be lost
		c.readUntil(past)
	}
	return final
}

// broken is how the body ended that did not end well. It is never the os.ErrDeadlineExceeded after which Next may be
// called again.
func (s *respStream) broken(c *h1Conn, err error) error {
	reason := ReasonReset
	switch {
	case c.clientGone():
		reason, err = ReasonClient, context.Canceled
	case c.uploadError() != nil:
		reason, err = ReasonClient, errUpload
	case isTimeout(err):
		reason, err = ReasonTimeout, errSilent
	}
	s.call.broke(reason)
	c.body.Close()
	return &Error{Reason: reason, Sent: true, Err: err}
}

var (
	errSilent = errors.New("nothing came in time")
	errUpload = errors.New("the request body did not arrive")
)

// Buffered says whether Next will return without a wait.
func (s *respStream) Buffered() bool { return s.c == nil || s.c.body.Buffered() }

// SetDeadline implements exchange.Deadliner. It takes effect at the next call of Next.
func (s *respStream) SetDeadline(t time.Time) { s.user = t }

// Close implements exchange.Stream.
func (s *respStream) Close() error {
	if s.c != nil {
		s.err = exchange.ErrClosed
		s.c.body.Close()
	}
	return nil
}
