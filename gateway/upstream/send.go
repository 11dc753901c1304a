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
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func putWriteBuffer(buf *[]byte, b []byte) {
	if cap(b) <= 64<<10 {
		*buf = b[:0]
		writeBuffers.Put(buf)
	}
}

// send writes head and body. A failure to write is not final when the peer has answered already.
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
	if _, err := c.net.Write(b); err != nil {
		return err
	}
	u := &upload{c: c, body: call.Body, trailer: call.Trailer}
	if n := call.Body.Length; n >= 0 && n <= duplexBody {
		return u.run(b[:0])
	}
	u.done = make(chan struct{})
	c.upload = u
	go u.background()
	return nil
}

func (c *h1Conn) sendBytes(head, body []byte) ([]byte, error) {
	if len(body) <= inlineBody {
		head = append(head, body...)
		_, err := c.net.Write(head)
		return head, err
	}
	c.net.SetWriteDeadline(time.Now().Add(writeTimeout))
	bufs := net.Buffers{head, body}
	_, err := bufs.WriteTo(c.net)
	c.net.SetWriteDeadline(time.Time{})
	if err != nil && c.answered() {
		c.call.Body = exchange.Body{}
		return head, nil
	}
	return head, err
}

// answered waits a moment for an answer of a peer that stopped to read (413, 401).
func (c *h1Conn) answered() bool {
	c.net.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	return c.r.Wait() == nil
}

// upload sends a streamed request body.
type upload struct {
	c       *h1Conn
	body    exchange.Body
	trailer exchange.Trailer
	done    chan struct{} // nil: sent in the foreground
	err     error
	// panicked is what the client's stream died of in the background.
	panicked any
}

// background runs beside the wait for the response. A body that breaks ends the wait.
func (u *upload) background() {
	defer u.ended()
	buf := writeBuffers.Get().(*[]byte)
	u.err = u.run((*buf)[:0])
	putWriteBuffer(buf, *buf)
}

func (u *upload) ended() {
	if p := recover(); p != nil {
		u.panicked, u.err = p, &clientError{errPanic}
	}
	var client *clientError
	broken := errors.As(u.err, &client)
	close(u.done)
	if broken {
		u.c.net.SetDeadline(past)
	}
}

var errPanic = errors.New("panic in a request body")

// run sends the body piece by piece.
func (u *upload) run(buf []byte) error {
	chunked := u.body.Length < 0
	sent := int64(0)
	last := time.Time{}
	for {
		p, err := u.body.Stream.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return &clientError{err}
		}
		if now := time.Now(); now.Sub(last) > time.Second {
			u.c.net.SetWriteDeadline(now.Add(writeTimeout))
			last = now
		}
		sent += int64(len(p))
		if err := u.write(buf, p, chunked); err != nil {
			return err
		}
	}
	u.c.net.SetWriteDeadline(time.Time{})
	if chunked {
		_, err := u.c.net.Write(h1.AppendLastChunk(buf[:0], u.trailer))
		return err
	}
	if sent != u.body.Length {
		return &clientError{io.ErrUnexpectedEOF}
	}
	return nil
}

func (u *upload) write(buf, p []byte, chunked bool) error {
	if !chunked {
		_, err := u.c.net.Write(p)
		return err
	}
	if len(p) <= inlineBody {
		_, err := u.c.net.Write(h1.AppendChunk(buf[:0], p))
		return err
	}
	bufs := net.Buffers{h1.AppendChunkSize(buf[:0], len(p)), p, crlf}
	_, err := bufs.WriteTo(u.c.net)
	return err
}

var crlf = []byte("\r\n")

// uploaded says whether the request body has been sent. An answer may come at the same moment as its end.
func (c *h1Conn) uploaded() bool {
	if c.upload == nil {
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
	if c.upload == nil {
		return nil
	}
	select {
	case <-c.upload.done:
		var client *clientError
		if errors.As(c.upload.err, &client) {
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
	select {
	case <-u.done:
	default:
		c.net.SetWriteDeadline(past)
		if i, ok := u.body.Stream.(exchange.Interrupter); ok {
			i.Interrupt()
		}
		<-u.done
	}
	if u.panicked != nil {
		panic(u.panicked)
	}
	return u.err == nil
}
