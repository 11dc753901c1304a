package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// h1Conn is a client's connection that speaks HTTP/1.1. One goroutine serves its requests, one after the other.
//
// The loop is our own on fasthttp's codec, see docs/adr/0011: fasthttp.Server ties the size of a head to the memory of
// every stream, answers what is too large by a reset, and does not see a client leave.
type h1Conn struct {
	p             *port
	owner         *clientConn
	c             net.Conn // TLS or the connection itself
	r             h1.Reader
	tls           *tls.ConnectionState
	client, local netip.AddrPort
	watch         exchange.Watch
	interim       func(*fasthttp.ResponseHeader)

	// writing guards answering.
	writing   sync.Mutex
	answering bool // the response has begun: a 100 must not follow it

	body     h1.Body
	upload   clientBody
	deadline time.Time // of reading, as last set
	written  time.Time // when the write deadline was last set
	sent     int64     // bytes written of this response
	last     bool      // the connection ends after this request

	// lost says that something may still read the connection after a panic: its memory is not used again.
	lost bool
}

func (c *h1Conn) serve() {
	defer c.close()
	for c.await() && c.serveOne() {
		c.owner.rest()
	}
}

func (c *h1Conn) close() {
	c.c.Close()
	c.owner.Close()
	if !c.lost {
		c.r.Release()
	}
}

// await waits for the first byte of a request.
func (c *h1Conn) await() bool {
	if c.r.Buffered() == 0 {
		c.r.Shrink()
		c.readBy(time.Now().Add(c.p.server.limits().IdleTimeout), time.Second)
		if c.owner.rested.Load() && c.p.server.conns.crowded() {
			c.owner.hurry()
		}
		if (c.owner.idleEnded() || c.r.Wait() != nil) && !c.lastWord() {
			return false
		}
	}
	if c.owner.begin() {
		c.deadline = time.Time{} // it was set behind our back
		c.last = true
	}
	return true
}

// lastWord says whether a request has come to a connection that was asked to end: it is served.
func (c *h1Conn) lastWord() bool {
	if !c.owner.idleEnded() || !pending(c.owner.Conn) {
		return false
	}
	c.c.SetReadDeadline(time.Now().Add(c.p.server.limits().HeadTimeout))
	return c.r.Wait() == nil
}

// readBy sets the read deadline, unless the one in force is within slack of it.
func (c *h1Conn) readBy(t time.Time, slack time.Duration) {
	if d := t.Sub(c.deadline); d < 0 || d > slack {
		c.c.SetReadDeadline(t)
		c.deadline = t
	}
}

// serveOne serves one request and says whether the connection can take another.
func (c *h1Conn) serveOne() (keep bool) {
	s := c.p.server
	x := exchange.Acquire(context.Background(), c.watch)
	c.sent = 0
	c.setAnswering(false)
	defer func() {
		if p := recover(); p != nil {
			keep, c.lost = false, true
			c.apologize(x, p)
			return
		}
		exchange.Release(x)
	}()
	if err := c.readHead(x); err != nil {
		c.refuse(x, err)
		return false
	}
	s.handle(c.p, x)
	keep = c.respond(x)
	s.finish(x, c.sent)
	return keep
}

// apologize answers for a panic, if nothing has been written yet, and abandons the exchange.
func (c *h1Conn) apologize(x *exchange.Exchange, cause any) {
	if c.sent == 0 {
		const text = "internal error\n"
		c.extendWrite()
		fmt.Fprintf(c.c, "HTTP/1.1 500 Internal Server Error\r\nDate: %s\r\nContent-Type: text/plain; charset=utf-8\r\n"+
			"Content-Length: %d\r\nConnection: close\r\n\r\n%s", now.get(), len(text), text)
	}
	c.p.server.panicked(x, cause, c.sent)
	if c.sent == 0 {
		c.linger()
	}
}

// readHead reads the head of a request and fills in x.
func (c *h1Conn) readHead(x *exchange.Exchange) error {
	l := c.p.server.limits()
	x.Start = time.Now()
	if !c.r.HasHead() {
		c.readBy(x.Start.Add(l.HeadTimeout), 0)
	}
	if err := c.r.ReadRequest(&x.Req, l.MaxRequestHead); err != nil {
		return err
	}
	if len(x.Req.PeekTrailerKeys()) > 0 {
		x.Req.Del("Trailer") // fasthttp would keep fields of those names apart, whoever sets them later
	}
	x.KeepCookie()
	x.Proto, x.Minor = 1, 1
	if !x.Req.IsHTTP11() {
		x.Minor = 0
	}
	x.Scheme, x.Client, x.Local, x.TLS = c.p.scheme, c.client, c.local, c.tls
	x.Accepted, x.Served = c.owner.accepted, c.owner.served.Add(1)
	if x.Minor == 1 {
		x.Interim = c.interim
	}
	if err := c.readTarget(x); err != nil {
		return err
	}
	expects, err := expectation(x)
	if err != nil {
		return err
	}
	c.openBody(x, expects)
	return nil
}

// expectation takes the Expect field, of which 100-continue is the only one that there is (RFC 9110, section 10.1.1).
func expectation(x *exchange.Exchange) (expects100 bool, err error) {
	e := x.Req.Peek("Expect")
	if len(e) == 0 {
		return false, nil
	}
	if !equalFold(e, "100-continue") {
		return false, &h1.HeadError{Status: 417, Text: "unknown expectation"}
	}
	h1.Remove(&x.Req, "Expect")
	return true, nil
}

func (c *h1Conn) readTarget(x *exchange.Exchange) error {
	if x.Req.IsConnect() {
		return &h1.HeadError{Status: 501, Text: "CONNECT is not served"}
	}
	host, path, query, hasQuery, err := splitTarget(x.Req.RequestURI())
	if err != nil {
		return &h1.HeadError{Status: 400, Text: err.Error()}
	}
	if host != nil {
		x.Req.SetHostBytes(host)
	}
	return setTarget(x, path, query, hasQuery)
}

// setTarget normalises the path and checks the host, for both front ends.
func setTarget(x *exchange.Exchange, path, query []byte, hasQuery bool) (err error) {
	if x.Path, err = exchange.AppendPath(x.Path[:0], path); err != nil {
		return &h1.HeadError{Status: 400, Text: err.Error()}
	}
	if !validQuery(query) {
		return &h1.HeadError{Status: 400, Text: errQuery.Error()}
	}
	x.Query, x.HasQuery = append(x.Query[:0], query...), hasQuery
	if !validHost(x.Req.Host()) {
		return &h1.HeadError{Status: 400, Text: "malformed Host"}
	}
	return nil
}

// openBody makes the request body a stream; nothing is read before somebody asks.
func (c *h1Conn) openBody(x *exchange.Exchange, expects bool) {
	c.upload = clientBody{}
	n := int64(x.Req.ContentLength())
	if n == 0 || n == h1.UntilClose {
		return
	}
	c.upload = clientBody{c: c, timeout: c.p.server.limits().BodyTimeout, expect: expects && x.Minor == 1}
	c.body.Reset(&c.r, n, &x.ReqTrailer, func(error) {})
	x.ReqBody = exchange.StreamBody(&c.upload, n)
}

// refuse answers a head that cannot be served, where an answer makes sense, and leaves the connection to be closed.
func (c *h1Conn) refuse(x *exchange.Exchange, err error) {
	var head *h1.HeadError
	switch {
	case errors.As(err, &head):
		x.Reply(head.Status, head.Text)
	case errors.Is(err, h1.ErrHeadTooLarge):
		head = tooLarge(c.p.server.limits().MaxRequestHead)
		x.Reply(head.Status, head.Text)
	case errors.Is(err, os.ErrDeadlineExceeded) && c.r.Buffered() > 0:
		x.Reply(408, "the request head did not arrive in time")
	default:
		return
	}
	x.Note = "bad request head"
	x.Req.SetConnectionClose()
	c.respond(x)
	c.p.server.finish(x, c.sent)
	c.linger()
}

// linger lets the answer arrive before the connection is closed: closing with unread data would reset it
// (RFC 9112, section 9.6).
func (c *h1Conn) linger() {
	if w, ok := c.c.(interface{ CloseWrite() error }); !ok || w.CloseWrite() != nil {
		return
	}
	c.c.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, c.c, lingerBytes)
}

// A client that goes on sending what nobody reads has this long, and so many bytes, to notice its answer.
const (
	lingerTime  = time.Second
	lingerBytes = 32 << 20
)

// clientBody is the request body: it sends the 100 that a client waits for, and gives up on clients that stall.
type clientBody struct {
	c           *h1Conn
	timeout     time.Duration
	expect      bool
	interrupted atomic.Bool
}

var (
	_ exchange.Stream      = (*clientBody)(nil)
	_ exchange.Direct      = (*clientBody)(nil)
	_ exchange.Interrupter = (*clientBody)(nil)
)

// Next implements exchange.Stream.
func (b *clientBody) Next() ([]byte, error) {
	if b.expect {
		b.expect = false
		if err := b.c.writeContinue(); err != nil {
			return nil, err
		}
	}
	b.patience()
	p, err := b.c.body.Next()
	if err != nil && err != io.EOF {
		b.c.body.Close()
	}
	return p, err
}

// ReadDirect implements exchange.Direct.
func (b *clientBody) ReadDirect(p []byte) (int, error) {
	if b.expect {
		return 0, nil
	}
	b.patience()
	n, err := b.c.body.ReadDirect(p)
	if err != nil {
		b.c.body.Close()
	}
	return n, err
}

// patience bounds the wait for what is not there yet.
func (b *clientBody) patience() {
	if b.c.body.Buffered() {
		return
	}
	b.c.readBy(time.Now().Add(b.timeout), time.Second)
	if b.interrupted.Load() {
		b.c.c.SetReadDeadline(past)
	}
}

// Buffered says whether Next will return without a wait.
func (b *clientBody) Buffered() bool { return !b.expect && b.c.body.Buffered() }

// Interrupt implements exchange.Interrupter.
func (b *clientBody) Interrupt() {
	b.interrupted.Store(true)
	b.c.c.SetReadDeadline(past)
}

// Close implements exchange.Stream.
func (b *clientBody) Close() error { return b.c.body.Close() }

var past = time.Unix(1, 0)

// drain reads what is left of a request body that nobody wanted, if it is little and there already. It says whether the
// next request can follow.
func (c *h1Conn) drain(x *exchange.Exchange) bool {
	if x.Uploading {
		return false
	}
	if c.upload.c == nil || c.body.Done() {
		return true
	}
	if c.upload.expect || c.upload.interrupted.Load() {
		return false
	}
	for range 16 {
		if !c.body.Buffered() {
			return false
		}
		if _, err := c.body.Next(); err != nil {
			return err == io.EOF
		}
	}
	return false
}
