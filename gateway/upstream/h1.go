package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// patience is how long a call waits for its response before it asks for its client's context: what is answered sooner
// never pays for the watch on the client's connection.
const patience = 2 * time.Millisecond

// h1Transport speaks HTTP/1.1 on fasthttp's codec, over connections of its own: fasthttp.HostClient gives half-read
// responses to the next request, and cuts streams at an absolute timeout.
type h1Transport struct {
	cfg    *Config
	dialer net.Dialer
}

var _ Transport = (*h1Transport)(nil)

func newH1(cfg *Config) *h1Transport {
	return &h1Transport{cfg: cfg, dialer: newDialer(cfg)}
}

func newDialer(cfg *Config) net.Dialer {
	d := net.Dialer{Timeout: cfg.ConnectTimeout, KeepAlive: 30 * time.Second}
	if cfg.Control != nil {
		d.Control = func(network, address string, _ syscallRawConn) error { return cfg.Control(network, address) }
	}
	return d
}

// RoundTrip implements Transport.
func (t *h1Transport) RoundTrip(x Canceler, e *Endpoint, call *Call) error {
	for {
		c := e.idle.get()
		reused := c != nil
		if !reused {
			var err error
			if c, err = t.dial(x, e); err != nil {
				return err
			}
		}
		err := c.roundTrip(x, call)
		if err == nil {
			return nil
		}
		if !reused || !err.stale || !replayable(call) {
			return &err.Error
		}
	}
}

// replayable says whether a call may be sent again after its connection was closed by a peer that had answered nothing
// (RFC 9110, section 9.2.2).
func replayable(call *Call) bool {
	if call.Body.Stream != nil {
		return false
	}
	switch string(call.Method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// Close implements Transport; the connections belong to the endpoints.
func (t *h1Transport) Close() {}

func (t *h1Transport) dial(x Canceler, e *Endpoint) (*h1Conn, error) {
	ctx, cancel := context.WithTimeout(x.Context(), t.cfg.ConnectTimeout)
	defer cancel()
	raw, err := t.dialer.DialContext(ctx, "tcp", e.Addr)
	if err != nil {
		return nil, dialError(x, err)
	}
	c := &h1Conn{net: raw, raw: raw, e: e, cfg: t.cfg}
	if t.cfg.TLS != nil {
		tc := tls.Client(raw, t.cfg.TLS)
		if err := tc.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, dialError(x, err)
		}
		c.net = tc
	}
	c.r = h1.NewReader(c.net)
	return c, nil
}

func dialError(x Canceler, err error) error {
	reason := ReasonConnect
	if x.Context().Err() != nil {
		reason = ReasonClient
	}
	return &Error{Reason: reason, Err: err}
}

// h1Conn is one connection: idle, or in the hands of one call.
type h1Conn struct {
	net net.Conn // TLS or raw
	raw net.Conn
	e   *Endpoint
	cfg *Config
	r   h1.Reader

	idleSince time.Time

	// Of the call in progress.
	call     *Call
	body     h1.Body
	keep     bool
	canceler Canceler
	ctx      context.Context
	disarm   func() bool
	upload   *upload
	once     sync.Once
}

// callError is an Error that knows whether the connection had died before the call.
type callError struct {
	Error
	stale bool
}

func (c *h1Conn) idle() time.Duration { return time.Since(c.idleSince) }

func (c *h1Conn) destroy() {
	c.once.Do(func() {
		c.net.Close()
		c.r.Release()
	})
}

func (c *h1Conn) roundTrip(x Canceler, call *Call) *callError {
	c.call, c.canceler, c.ctx, c.disarm, c.upload = call, x, nil, nil, nil
	if err := c.send(call); err != nil {
		return c.fail(err, true)
	}
	if err := c.receive(call); err != nil {
		return c.fail(err, c.r.Buffered() == 0)
	}
	c.respond(call)
	return nil
}

// fail destroys the connection and names the reason.
func (c *h1Conn) fail(err error, nothingRead bool) *callError {
	c.stopUpload()
	reason := ReasonReset
	var head *h1.HeadError
	var client *clientError
	switch {
	case c.clientGone() || errors.As(err, &client):
		reason = ReasonClient
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = ReasonTimeout
	case errors.As(err, &head) || errors.Is(err, h1.ErrHeadTooLarge):
		reason = ReasonProtocol
	}
	c.release()
	c.destroy()
	return &callError{Error: Error{Reason: reason, Sent: true, Err: err}, stale: reason == ReasonReset && nothingRead}
}

// clientError is a failure of the client's request body.
type clientError struct{ err error }

func (e *clientError) Error() string { return "request body: " + e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }

// receive reads response heads until the final one.
func (c *h1Conn) receive(call *Call) error {
	deadline := c.headDeadline(call)
	c.patient(deadline)
	for {
		if err := c.r.ReadResponse(call.Resp, c.cfg.MaxResponseHead); err != nil {
			if err := c.wait(err, deadline); err != nil {
				return err
			}
			continue
		}
		status := call.Resp.StatusCode()
		if status/100 != 1 || status == 101 && call.Upgrade != "" {
			return nil
		}
		if status == 101 {
			return &h1.HeadError{Status: 502, Text: "switching protocols without being asked to"}
		}
		if call.Interim != nil && status != 100 {
			call.Interim(call.Resp)
		}
		call.Resp.Reset()
	}
}

// wait goes on after the first, short deadline; any other error is final.
func (c *h1Conn) wait(err error, deadline time.Time) error {
	if isTimeout(err) && c.ctx == nil {
		err = c.arm(deadline)
	}
	if broken := c.uploadError(); broken != nil {
		return broken
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// patient sets the first, short deadline of a wait.
func (c *h1Conn) patient(deadline time.Time) {
	if c.ctx == nil && c.r.Buffered() == 0 {
		c.net.SetReadDeadline(earlier(time.Now().Add(patience), deadline))
	}
}

// arm asks for the client's context, so that the call ends when the client leaves, and sets the real deadline.
func (c *h1Conn) arm(deadline time.Time) error {
	c.ctx = c.canceler.Context()
	c.net.SetReadDeadline(deadline)
	c.disarm = context.AfterFunc(c.ctx, func() { c.net.SetDeadline(past) })
	return c.ctx.Err()
}

var past = time.Unix(1, 0)

func (c *h1Conn) headDeadline(call *Call) time.Time {
	if call.HeaderTimeout == 0 {
		return call.Deadline
	}
	return earlier(time.Now().Add(call.HeaderTimeout), call.Deadline)
}

// earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (c *h1Conn) clientGone() bool { return c.ctx != nil && c.ctx.Err() != nil }

// respond makes the body of the response.
func (c *h1Conn) respond(call *Call) {
	h := call.Resp
	call.Uploading = !c.uploaded()
	if h.StatusCode() == 101 {
		call.Tunnel = &tunnel{c: c}
		return
	}
	h1.RemoveNamed(h)
	length := int64(h.ContentLength())
	if noBody(call.Method, h.StatusCode()) {
		length = 0
	}
	c.keep = !h.ConnectionClose() && length != h1.UntilClose
	c.body.Reset(&c.r, length, call.RespTrailer, c.ended)
	if length == 0 {
		c.body.Close()
		return
	}
	call.stream = respStream{c: c}
	call.RespBody = exchange.StreamBody(&call.stream, max(length, -1))
}

// noBody: RFC 9112, section 6.3.
func noBody(method []byte, status int) bool {
	return status == 204 || status == 304 || bytes.Equal(method, []byte(fasthttp.MethodHead))
}

// ended is called by the body, once: the connection goes back to the pool or is destroyed.
func (c *h1Conn) ended(err error) {
	c.call.stream.c = nil
	uploaded := c.stopUpload()
	gone := c.clientGone()
	c.release()
	if err != nil || !c.keep || gone || !uploaded || c.r.Buffered() > 0 {
		c.destroy()
		return
	}
	c.r.Shrink()
	c.e.idle.put(c)
}

// release ends the watch on the client.
func (c *h1Conn) release() {
	if c.disarm != nil && !c.disarm() {
		c.keep = false // the deadline in the past may still be on its way
	}
	c.call, c.canceler, c.disarm = nil, nil, nil
}

// alive looks, without waiting, whether an idle connection has been closed, or has something unasked for to say.
func (c *h1Conn) alive() bool { return peekQuiet(c.raw) }

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// appendHead appends the request head of call; length is the body's, -1 for chunks.
func appendHead(dst []byte, call *Call, length int64) []byte {
	dst = append(dst, call.Method...)
	dst = append(dst, ' ')
	dst = append(dst, call.Path...)
	if call.HasQuery {
		dst = append(dst, '?')
		dst = append(dst, call.Query...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, call.Host...)
	dst = append(dst, "\r\n"...)
	for name, value := range call.Header.All() {
		if !h1.HopByHop(name) && string(name) != "Host" {
			dst = h1.AppendField(dst, name, value)
		}
	}
	return appendFraming(dst, call, length)
}

func appendFraming(dst []byte, call *Call, length int64) []byte {
	switch {
	case call.Upgrade != "":
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, call.Upgrade...)
		dst = append(dst, "\r\n"...)
	case call.TE:
		dst = append(dst, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	switch {
	case length < 0:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case length > 0 || needsLength(call.Method):
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, length, 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// needsLength: methods whose meaning includes a body send a length even if it is zero (RFC 9110, section 8.6).
func needsLength(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return true
	}
	return false
}
