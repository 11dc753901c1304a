package l4

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultIdle is how long a connection may be without a byte in either direction.
const DefaultIdle = time.Hour

// Conn is one side of a session: TCP, or TLS over it.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Join is two connections that are one session.
type Join struct {
	client, upstream Conn
	// idle is how long nothing may move, tick how often that is looked at.
	idle, tick time.Duration
	moved      atomic.Int64 // when something last did, in nanoseconds since 1970
	// why is the outcome once the session is to end before both sides have ended.
	why atomic.Pointer[Outcome]
}

// NewJoin makes a session of two connections; idle 0 is DefaultIdle.
func NewJoin(client, upstream Conn, idle time.Duration) *Join {
	if idle <= 0 {
		idle = DefaultIdle
	}
	j := &Join{client: client, upstream: upstream, idle: idle, tick: max(idle/4, time.Millisecond)}
	j.moved.Store(time.Now().UnixNano())
	return j
}

// Run copies both ways until both sides have ended, and closes both. A side that ends its half is passed on as such; a break
// ends both, and the other side sees a break as well. It returns the bytes from client and from upstream.
func (j *Join) Run() (received, sent int64, outcome Outcome) {
	var wg sync.WaitGroup
	wg.Go(func() { received = j.copy(j.upstream, j.client) })
	sent = j.copy(j.client, j.upstream)
	wg.Wait()
	outcome = OK
	if why := j.why.Load(); why != nil {
		outcome = *why
		abort(j.client)
		abort(j.upstream)
	}
	j.client.Close()
	j.upstream.Close()
	return received, sent, outcome
}

// Stop ends the session from outside.
func (j *Join) Stop() { j.stop(Cut) }

// copy copies from src to dst until src ends; it then ends dst's writing half.
func (j *Join) copy(dst, src Conn) (total int64) {
	for {
		// The write deadline is far off, and its end that of the session: bytes that the kernel has taken from one side and not
		// given to the other are lost then.
		now := time.Now()
		src.SetReadDeadline(now.Add(j.tick))
		dst.SetWriteDeadline(now.Add(j.tick + j.idle))
		if j.why.Load() != nil { // stop may have been before the deadlines
			return total
		}
		n, err := transfer(dst, src)
		total += n
		if n > 0 {
			j.moved.Store(time.Now().UnixNano())
		}
		switch {
		case err == nil && n == 0: // the end
			if dst.CloseWrite() != nil {
				j.stop(Reset)
			}
			return total
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			j.stop(Reset)
			return total
		case j.quiet() >= j.idle || time.Since(now) >= j.tick+j.idle:
			j.stop(Idle)
			return total
		}
	}
}

// quiet is how long nothing has moved.
func (j *Join) quiet() time.Duration { return time.Since(time.Unix(0, j.moved.Load())) }

// stop ends both directions; the first reason counts.
func (j *Join) stop(why Outcome) {
	j.why.CompareAndSwap(nil, &why)
	past := time.Unix(1, 0)
	j.client.SetDeadline(past)
	j.upstream.SetDeadline(past)
}

// abort makes the end of a connection a reset, where it can be.
func abort(c net.Conn) {
	for {
		switch t := c.(type) {
		case *net.TCPConn:
			t.SetLinger(0)
			return
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return
		}
	}
}

// Reject ends a connection with a reset: it is refused, not served.
func Reject(c net.Conn) {
	abort(c)
	c.Close()
}

// piece bounds what the kernel moves in one call.
const piece = 64 << 20

// transfer moves some bytes; n is 0 without an error at the end of src. Between two TCP connections they do not leave the
// kernel (splice, on Linux).
func transfer(dst, src Conn) (n int64, err error) {
	from, ok := src.(*net.TCPConn)
	to, ok2 := dst.(*net.TCPConn)
	if ok && ok2 {
		return to.ReadFrom(&io.LimitedReader{R: from, N: piece})
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	r, err := src.Read(*buf)
	if r > 0 {
		w, werr := dst.Write((*buf)[:r])
		if werr != nil {
			return int64(w), errWrite{werr}
		}
		return int64(w), nil
	}
	if err == io.EOF {
		return 0, nil
	}
	return 0, err
}

// errWrite is a failed write: bytes are lost, so that even a deadline is the end.
type errWrite struct{ err error }

func (e errWrite) Error() string { return e.err.Error() }

var buffers = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}
