package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// h1Conn is a client's connection that speaks HTTP/1.1. One goroutine serves its requests, one after the other.
//
// The loop is our own on fasthttp's codec, see docs/adr/0002: fasthttp.Server ties the size of a head to the memory of
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

	body     h1.Body
	upload   clientBody
	deadline time.Time // of reading, as last set
	written  time.Time // when the write deadline was last set
	sent     int64     // bytes written of this response

	// busy is set while a request is served: a connection that is not may be closed at any time.
	busy atomic.Bool
}

func (c *h1Conn) serve() {
	defer c.close()
	for c.await() {
		if !c.serveOne() {
			return
		}
		c.busy.Store(false)
	}
}

func (c *h1Conn) close() {
	c.c.Close()
	c.owner.Close()
	c.r.Release()
	c.p.server.conns.remove(c)
}

// await waits for the first byte of a request.
func (c *h1Conn) await() bool {
	if c.r.Buffered() == 0 {
		c.r.Shrink()
		c.readBy(time.Now().Add(c.p.server.limits().IdleTimeout), time.Second)
		if c.r.Wait() != nil {
			return false
		}
	}
	c.busy.Store(true)
	return !c.p.server.draining() || c.r.Buffered() > 0
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
	defer exchange.Release(x)
	defer func() {
		if p := recover(); p != nil {
			s.panicked(x, p)
			keep = false
		}
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
	x.Proto, x.Minor = 1, 1
	if !x.Req.IsHTTP11() {
		x.Minor = 0
	}
	x.Scheme, x.Client, x.Local, x.TLS = c.p.scheme, c.client, c.local, c.tls
	if x.Minor == 1 {
		x.Interim = c.interim
	}
	if err := c.readTarget(x); err != nil {
		return err
	}
	return c.openBody(x)
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
	if x.Path, err = appendPath(x.Path[:0], path); err != nil {
		return &h1.HeadError{Status: 400, Text: err.Error()}
	}
	x.Query, x.HasQuery = append(x.Query[:0], query...), hasQuery
	if !validHost(x.Req.Host()) {
		return &h1.HeadError{Status: 400, Text: "malformed Host"}
	}
	return nil
}

// openBody makes the request body a stream; nothing is read before somebody asks.
func (c *h1Conn) openBody(x *exchange.Exchange) error {
	c.upload = clientBody{}
	n := int64(x.Req.ContentLength())
	if n == 0 || n == h1.UntilClose {
		return nil
	}
	expect := x.Req.Peek("Expect")
	if len(expect) > 0 && !equalFold(expect, "100-continue") {
		return &h1.HeadError{Status: 417, Text: "unknown expectation"}
	}
	c.upload = clientBody{c: c, timeout: c.p.server.limits().BodyTimeout, expect: len(expect) > 0 && x.Minor == 1}
	x.Req.Del("Expect")
	c.body.Reset(&c.r, n, &x.ReqTrailer, func(error) {})
	x.ReqBody = exchange.StreamBody(&c.upload, n)
	return nil
}

// refuse answers a head that cannot be served, where an answer makes sense, and leaves the connection to be closed.
func (c *h1Conn) refuse(x *exchange.Exchange, err error) {
	var head *h1.HeadError
	switch {
	case errors.As(err, &head):
		x.Reply(head.Status, head.Text)
	case errors.Is(err, h1.ErrHeadTooLarge):
		x.Reply(431, "the request head is larger than the limit (limits.maxRequestHead)")
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
	c.c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	io.CopyN(io.Discard, &c.r, 256<<10)
}

// clientBody is the request body: it sends the 100 that a client waits for, and gives up on clients that stall.
type clientBody struct {
	c           *h1Conn
	timeout     time.Duration
	expect      bool
	interrupted atomic.Bool
}

var (
	_ exchange.Stream      = (*clientBody)(nil)
	_ exchange.Interrupter = (*clientBody)(nil)
)

// Next implements exchange.Stream.
func (b *clientBody) Next() ([]byte, error) {
	if b.expect {
		b.expect = false
		if _, err := b.c.c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return nil, err
		}
	}
	if !b.c.body.Buffered() {
		b.c.readBy(time.Now().Add(b.timeout), time.Second)
		if b.interrupted.Load() {
			b.c.c.SetReadDeadline(past)
		}
	}
	p, err := b.c.body.Next()
	if err != nil && err != io.EOF {
		b.c.body.Close()
	}
	return p, err
}

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
