package server

import (
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

const (
	// Pieces up to this size are copied behind what is to be written before them, and sent in one write.
	copyLimit = 16 << 10
	// What is written with one deadline, in bytes: a slow client has time, one that takes nothing does not.
	writeStep = 256 << 10
)

var writeBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// output gathers what is to be written. Its buffer is from a pool and is given back when a wait begins.
type output struct {
	c *h1Conn
	b *[]byte
	// failed says that the client did not take what was written.
	failed bool
}

func (o *output) buf() []byte {
	if o.b == nil {
		o.b = writeBuffers.Get().(*[]byte)
		*o.b = (*o.b)[:0]
	}
	return *o.b
}

func (o *output) set(b []byte) { *o.b = b }

func (o *output) release() {
	if o.b != nil && cap(*o.b) <= 4*copyLimit {
		writeBuffers.Put(o.b)
	}
	o.b = nil
}

// flush writes what was gathered, and then p.
func (o *output) flush(p []byte) error {
	b := o.buf()
	if len(b) == 0 && len(p) == 0 {
		return nil
	}
	err := o.write(b, p[:min(len(p), writeStep)])
	for p = p[min(len(p), writeStep):]; err == nil && len(p) > 0; p = p[min(len(p), writeStep):] {
		err = o.write(nil, p[:min(len(p), writeStep)])
	}
	o.set(b[:0])
	return err
}

// write writes a and then b.
func (o *output) write(a, b []byte) error {
	o.c.extendWrite()
	n, err := writeBoth(o.c.c, a, b)
	o.c.sent += n
	o.failed = o.failed || err != nil
	return err
}

func writeBoth(c net.Conn, a, b []byte) (int64, error) {
	if len(b) == 0 {
		n, err := c.Write(a)
		return int64(n), err
	}
	if len(a) == 0 {
		n, err := c.Write(b)
		return int64(n), err
	}
	bufs := net.Buffers{a, b}
	return bufs.WriteTo(c)
}

// extendWrite sets the deadline of a write, unless the one in force is far enough.
func (c *h1Conn) extendWrite() {
	limit := c.p.server.limits().WriteTimeout
	if now := time.Now(); now.Sub(c.written) > limit/8 {
		c.c.SetWriteDeadline(now.Add(limit))
		c.written = now
	}
}

// respond writes the response and says whether the connection may be kept.
func (c *h1Conn) respond(x *exchange.Exchange) (keep bool) {
	out := output{c: c}
	defer out.release()
	defer c.r.Unpark()
	c.setAnswering(true)
	if x.Upgrade != nil {
		c.switchProtocols(x, &out)
		return false
	}
	gone := x.Gone()
	keep, err := c.write(x, &out)
	x.Left = gone || out.failed || err != nil && x.Gone()
	if err != nil {
		x.RespBody.Close()
		return false
	}
	if !keep {
		c.finishWrite()
	}
	return keep
}

func (c *h1Conn) setAnswering(v bool) {
	c.writing.Lock()
	c.answering = v
	c.writing.Unlock()
}

// writeContinue writes the 100 that a client waits for. It may be called while another goroutine begins the response.
func (c *h1Conn) writeContinue() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.answering {
		return nil
	}
	_, err := c.c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	return err
}

// write writes head and body. keep says whether another request may follow.
func (c *h1Conn) write(x *exchange.Exchange, out *output) (keep bool, err error) {
	keep = c.keeps(x)
	stream := x.RespBody.Stream != nil && !noBody(x)
	chunked := stream && x.RespBody.Length < 0 && x.Minor > 0
	untilClose := stream && x.RespBody.Length < 0 && !chunked
	keep = keep && !untilClose
	out.set(appendResponseHead(out.buf(), x, chunked, keep))
	switch {
	case noBody(x):
		x.RespBody.Close()
		return keep, out.flush(nil)
	case !stream:
		return keep, c.writeBytes(out, x.RespBody.Bytes)
	}
	err = c.writeStream(x, out, chunked)
	if err != nil && untilClose {
		c.reset() // nothing else tells the client that this is not the end
	}
	return keep, err
}

// keeps says whether the connection can take another request after this one.
func (c *h1Conn) keeps(x *exchange.Exchange) bool {
	return !x.Req.ConnectionClose() && !x.LastServed && !c.last && !c.p.stopped.Load() && !c.p.server.draining() && c.drain(x)
}

// reset makes the connection end with an error.
func (c *h1Conn) reset() {
	if t, ok := c.owner.Conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
}

// finishWrite lets the last bytes arrive where the request was not read to its end.
func (c *h1Conn) finishWrite() {
	if c.upload.c != nil && !c.body.Done() {
		c.linger()
	}
}

func noBody(x *exchange.Exchange) bool {
	status := x.Resp.StatusCode()
	return status == 204 || status == 304 || x.Req.IsHead()
}

func (c *h1Conn) writeBytes(out *output, p []byte) error {
	if len(p) <= copyLimit {
		out.set(append(out.buf(), p...))
		p = nil
	}
	return out.flush(p)
}

// buffered is a stream that knows whether its next piece is there.
type buffered interface{ Buffered() bool }

// writeStream writes piece by piece, each as soon as it is there.
func (c *h1Conn) writeStream(x *exchange.Exchange, out *output, chunked bool) error {
	s := x.RespBody.Stream
	ready, _ := s.(buffered)
	left := x.RespBody.Length
	for {
		if wait := ready == nil || !ready.Buffered(); wait || len(out.buf()) > copyLimit {
			if err := out.flush(nil); err != nil {
				return err
			}
			if wait {
				out.release()
				park(c, x)
			}
		}
		p, err := s.Next()
		if err == io.EOF {
			return c.endStream(x, out, chunked, left)
		}
		if err != nil {
			return err
		}
		left -= int64(len(p))
		if err := out.piece(p, chunked); err != nil {
			return err
		}
	}
}

// park gives the read buffer back while a stream waits, unless the request is still being read.
func park(c *h1Conn, x *exchange.Exchange) {
	if x.ReqBody.Stream == nil && !x.Uploading {
		c.r.Park()
	}
}

// endStream ends a chunked body. A body shorter than its Content-Length must not end the response well.
func (c *h1Conn) endStream(x *exchange.Exchange, out *output, chunked bool, left int64) error {
	if chunked {
		out.set(h1.AppendLastChunk(out.buf(), x.RespTrailer))
	} else if x.RespBody.Length >= 0 && left != 0 {
		return io.ErrUnexpectedEOF
	}
	return out.flush(nil)
}

// piece adds one piece; one that is too large to copy is written at once.
func (o *output) piece(p []byte, chunked bool) error {
	b := o.buf()
	if !chunked {
		if len(p) > copyLimit {
			return o.flush(p)
		}
		o.set(append(b, p...))
		return nil
	}
	if len(p) <= copyLimit {
		o.set(h1.AppendChunk(b, p))
		return nil
	}
	o.set(h1.AppendChunkSize(b, len(p)))
	if err := o.flush(p); err != nil {
		return err
	}
	o.set(append(o.buf(), '\r', '\n'))
	return nil
}

// appendResponseHead appends status line and fields. Hop-by-hop fields are the front end's own.
func appendResponseHead(dst []byte, x *exchange.Exchange, chunked, keep bool) []byte {
	h := &x.Resp
	dst = appendStatusLine(dst, h)
	dated := false
	for name, value := range h.All() {
		if h1.HopByHop(name) {
			continue
		}
		dated = dated || string(name) == "Date"
		dst = h1.AppendField(dst, name, value)
	}
	if !dated {
		dst = append(dst, "Date: "...)
		dst = append(dst, now.get()...)
		dst = append(dst, "\r\n"...)
	}
	return append(appendConnection(appendLength(dst, x, chunked), x, keep), "\r\n"...)
}

func appendStatusLine(dst []byte, h *fasthttp.ResponseHeader) []byte {
	status := h.StatusCode()
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, fasthttp.StatusMessage(status)...)
	return append(dst, '\r', '\n')
}

func appendLength(dst []byte, x *exchange.Exchange, chunked bool) []byte {
	if chunked {
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	n := contentLength(x)
	if n < 0 {
		return dst
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, "\r\n"...)
}

// contentLength is the value of the Content-Length field; negative: there is none (RFC 9110, section 8.6).
func contentLength(x *exchange.Exchange) int64 {
	status := x.Resp.StatusCode()
	switch {
	case status == 204 || status/100 == 1:
		return -1
	case x.RespBody.Stream != nil:
		return x.RespBody.Length
	case (x.Req.IsHead() || status == 304) && len(x.RespBody.Bytes) == 0:
		return int64(x.Resp.ContentLength())
	}
	return int64(len(x.RespBody.Bytes))
}

func appendConnection(dst []byte, x *exchange.Exchange, keep bool) []byte {
	if !keep {
		return append(dst, "Connection: close\r\n"...)
	}
	if x.Minor == 0 {
		return append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}

// writeInterim writes a 1xx response at once.
func (c *h1Conn) writeInterim(h *fasthttp.ResponseHeader) {
	b := appendStatusLine(nil, h)
	for name, value := range h.All() {
		if !h1.HopByHop(name) {
			b = h1.AppendField(b, name, value)
		}
	}
	c.extendWrite()
	c.c.Write(append(b, "\r\n"...))
}

// switchProtocols writes the 101 and joins the two connections until both have ended.
func (c *h1Conn) switchProtocols(x *exchange.Exchange, out *output) {
	b := appendStatusLine(out.buf(), &x.Resp)
	for name, value := range x.Resp.All() {
		if !h1.HopByHop(name) || string(name) == "Upgrade" {
			b = h1.AppendField(b, name, value)
		}
	}
	out.set(append(b, "Connection: Upgrade\r\n\r\n"...))
	client := &duplex{Conn: c.c, r: &c.r}
	if err := out.flush(nil); err != nil {
		client.Close()
	}
	out.release()
	x.Unwatch()
	x.Upgrade.Join(client)
}

// duplex is the client's side of an upgraded connection; it reads first what was read ahead.
type duplex struct {
	net.Conn
	r *h1.Reader
}

func (d *duplex) Read(p []byte) (int, error) {
	if d.r.Buffered() > 0 {
		return d.r.Read(p)
	}
	return d.Conn.Read(p)
}

func (d *duplex) CloseWrite() error {
	if w, ok := d.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return d.Conn.Close()
}
