package upstream

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

const (
	// Bodies up to this size are copied behind the head and sent in one write.
	inlineBody = 16 << 10
	// Streams longer than this, or of unknown length, are sent by a goroutine of their own, so that an answer that comes
	// before the whole body is read is seen at once.
	duplexBody = 256 << 10
	// A peer that takes nothing for this long is given up.
	writeTimeout = 60 * time.Second
	// What is written with one deadline, in bytes.
	writeStep = 256 << 10
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func putWriteBuffer(buf *[]byte, b []byte) {
	if cap(b) <= 64<<10 {
		*buf = b[:0]
		writeBuffers.Put(buf)
	}
}

// send writes head and body.
func (c *h1Conn) send(call *Call) error {
	buf := writeBuffers.Get().(*[]byte)
	b := (*buf)[:0]
	defer func() { putWriteBuffer(buf, b) }()
	if call.Body.Stream == nil {
		b = appendHead(b, call, int64(len(call.Body.Bytes)))
		var err error
		b, err = c.sendBytes(b, call.Body.Bytes)
		return err
	}
	b = appendHead(b, call, call.Body.Length)
	u := &c.sending
	*u = upload{c: c, body: call.Body, trailer: call.Trailer}
	if n := call.Body.Length; n >= 0 && n <= duplexBody && call.Deadline.IsZero() {
		c.upload = u
		u.guarded(b)
		return u.err
	}
	if err := c.write(b); err != nil {
		return err
	}
	c.upload, u.done = u, make(chan struct{})
	go u.background()
	return nil
}

// sendBytes returns the head's buffer, which may have grown.
func (c *h1Conn) sendBytes(head, body []byte) ([]byte, error) {
	if len(body) <= inlineBody {
		head = append(head, body...)
		return head, c.write(head)
	}
	if len(body) > writeStep {
		if err := c.write(head); err != nil {
			return head, err
		}
		return head, c.write(body)
	}
	return head, c.writeAll(head, body)
}

// writeAll writes pieces, which together are about a step, by one system call where the connection is plain.
func (c *h1Conn) writeAll(pieces ...[]byte) error {
	c.extendWrite()
	bufs := net.Buffers(pieces)
	_, err := bufs.WriteTo(c.net)
	return err
}

// write writes b in steps, each with a deadline of its own: a slow peer has time, one that takes nothing does not.
func (c *h1Conn) write(b []byte) error {
	for len(b) > writeStep {
		c.extendWrite()
		if _, err := c.net.Write(b[:writeStep]); err != nil {
			return err
		}
		b = b[writeStep:]
	}
	c.extendWrite()
	_, err := c.net.Write(b)
	return err
}

// extendWrite sets the deadline of a write, unless the one in force is far enough.
func (c *h1Conn) extendWrite() {
	now := time.Now()
	if limit := c.call.Deadline; !limit.IsZero() && limit.Before(now.Add(writeTimeout)) {
		c.net.SetWriteDeadline(limit)
		c.writeBy = time.Time{}
		return
	}
	if c.writeBy.Sub(now) < writeTimeout*3/4 {
		c.writeBy = now.Add(writeTimeout)
		c.net.SetWriteDeadline(c.writeBy)
	}
}

// unlessAnswered forgives a failure to write to a peer that has answered (413, 401) and stopped to read. The connection
// cannot be used again.
func (c *h1Conn) unlessAnswered(err error) error {
	if err == nil {
		return nil
	}
	var client *clientError
	if errors.As(err, &client) {
		return err
	}
	c.cut = true
	c.readUntil(time.Now().Add(100 * time.Millisecond))
	if c.r.Wait() != nil {
		return err
	}
	return nil
}

// upload sends a streamed request body.
type upload struct {
	c       *h1Conn
	body    exchange.Body
	trailer exchange.Trailer
	done    chan struct{} // nil: sent in the foreground
	err     error
	// panicked is what the client's stream died of.
	panicked any
}

// background runs beside the wait for the response. A body that breaks ends the wait.
func (u *upload) background() {
	buf := writeBuffers.Get().(*[]byte)
	u.guarded((*buf)[:0])
	putWriteBuffer(buf, *buf)
	var client *clientError
	broken := errors.As(u.err, &client)
	close(u.done)
	if broken {
		u.c.net.SetDeadline(past)
	}
}

// guarded keeps a panic of the client's stream for the goroutine that serves the request; see stopUpload.
func (u *upload) guarded(head []byte) {
	defer func() {
		if p := recover(); p != nil {
			u.panicked, u.err = p, &clientError{errPanic}
		}
	}()
	u.err = u.run(head)
}

var errPanic = errors.New("panic in a request body")

// run sends the body piece by piece, and before it what is left to send of the head: together with the first piece, if that
// is there already.
func (u *upload) run(head []byte) error {
	chunked := u.body.Length < 0
	sent := int64(0)
	for {
		if len(head) > 0 && !buffered(u.body.Stream) {
			if err := u.c.write(head); err != nil {
				return err
			}
			head = head[:0]
		}
		p, err := u.body.Stream.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return &clientError{err}
		}
		sent += int64(len(p))
		if !chunked && sent > u.body.Length {
			return &clientError{errTooLong}
		}
		if err := u.write(head, p, chunked); err != nil {
			return err
		}
		head = head[:0]
	}
	if chunked {
		return u.c.write(h1.AppendLastChunk(head[:0], u.trailer))
	}
	if sent != u.body.Length {
		return &clientError{io.ErrUnexpectedEOF}
	}
	if len(head) > 0 {
		return u.c.write(head)
	}
	return nil
}

var errTooLong = errors.New("longer than its Content-Length")

// buffered says that the next piece of a stream is there.
func buffered(s exchange.Stream) bool {
	b, ok := s.(interface{ Buffered() bool })
	return ok && b.Buffered()
}

func (u *upload) write(head, p []byte, chunked bool) error {
	switch {
	case !chunked && len(head) == 0:
		return u.c.write(p)
	case len(p) > inlineBody && chunked:
		return u.c.writeAll(h1.AppendChunkSize(head, len(p)), p, crlf)
	case !chunked && len(head)+len(p) > cap(head):
		return u.c.writeAll(head, p)
	case chunked:
		return u.c.write(h1.AppendChunk(head, p))
	}
	return u.c.write(append(head, p...))
}

var crlf = []byte("\r\n")

// uploaded says whether the request body has been sent. An answer may come at the same moment as its end.
func (c *h1Conn) uploaded() bool {
	if c.upload == nil || c.upload.done == nil {
		return true
	}
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-c.upload.done:
		return true
	case <-timer.C:
		return false
	}
}

// uploadError is what the client's body broke of, if it did.
func (c *h1Conn) uploadError() error {
	u := c.upload
	if u == nil {
		return nil
	}
	select {
	case <-u.done:
		var client *clientError
		if errors.As(u.err, &client) {
			return client
		}
	default:
	}
	return nil
}

// stopUpload ends an upload that is still running; the client's connection is then not usable any more. It says
// whether the whole body was sent.
func (c *h1Conn) stopUpload() bool {
	u := c.upload
	if u == nil {
		return true
	}
	c.upload = nil
	if u.done != nil {
		u.stop()
	}
	if u.panicked != nil {
		c.release()
		c.destroy()
		panic(u.panicked)
	}
	return u.err == nil
}

func (u *upload) stop() {
	select {
	case <-u.done:
		return
	default:
	}
	u.c.net.SetWriteDeadline(past)
	if i, ok := u.body.Stream.(exchange.Interrupter); ok {
		i.Interrupt()
	}
	<-u.done
}
