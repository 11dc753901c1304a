package upstream

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// patience is about how long a call waits for its response before it asks for its client's context: what is answered
// sooner never pays for the watch on the client's connection.
const patience = 10 * time.Millisecond

// turn is a call from the look at its connection to the first byte of the answer.
type turn struct {
	raw   syscall.RawConn // the connection below TLS
	step  func(fd uintptr) bool
	begun bool
	err   error // of sending
}

// errStale says that an idle connection was closed, or that its peer had something to say unasked: that is not the answer
// to the next request. Nothing has been sent.
var errStale = errors.New("the idle connection was not silent")

var stale = callError{Error: Error{Reason: ReasonReset, Err: errStale}, stale: true}

// begin sends the request and waits for something to read. All of that is one wait of the poller, which forgets nothing that
// comes after the look: a read that comes too early, which finds nothing, is never made.
func (c *h1Conn) begin() error {
	t := &c.turn
	for t.begun, t.err = false, nil; !t.begun; {
		if err := c.patient(c.call.Deadline); err != nil {
			return err
		}
		if err := t.raw.Read(t.step); err != nil && !t.begun && !isTimeout(err) {
			return err
		}
	}
	if t.err == nil || t.err == errStale {
		return t.err
	}
	return c.unlessAnswered(t.err)
}

// step is called at first, and when there is something to read. The connection must not be read or closed in it.
func (c *h1Conn) step(fd uintptr) (done bool) {
	t := &c.turn
	if t.begun {
		return true
	}
	t.begun = true
	if used := !c.idleSince.IsZero(); used && !silent(int(fd)) {
		t.err = errStale
		return true
	}
	t.err = c.send(c.call)
	if c.headBy = c.headDeadline(c.call); !c.headBy.IsZero() && c.headBy.Before(c.readBy) {
		c.readUntil(c.headBy)
	}
	return t.err != nil
}

// silent says that a connection is open and has nothing to read. It consumes nothing.
func silent(fd int) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}

// patient sets the first, short deadline of a wait. To set one costs more than to find that the last one will do.
func (c *h1Conn) patient(deadline time.Time) error {
	now := time.Now()
	if deadline.IsZero() || deadline.After(now.Add(2*patience)) {
		if left := c.readBy.Sub(now); left < patience/2 || left > 2*patience {
			c.readUntil(now.Add(2 * patience))
		}
		return nil
	}
	c.readUntil(deadline)
	if !now.Before(deadline) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// arm asks for the client's context, so that the call ends when the client leaves, and sets the real deadline.
func (c *h1Conn) arm(deadline time.Time) error {
	c.ctx = c.canceler.Context()
	c.readUntil(deadline)
	c.disarm = context.AfterFunc(c.ctx, func() { c.net.SetDeadline(past) })
	return c.ctx.Err()
}

var past = time.Unix(1, 0)

func (c *h1Conn) readUntil(t time.Time) {
	c.readBy = t
	c.net.SetReadDeadline(t)
}
