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
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

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
		d.Control = func(network, address string, _ syscall.RawConn) error {
			if err := cfg.Control(network, address); err != nil {
				return &refusedError{err}
			}
			return nil
		}
	}
	return d
}

// refusedError is an address that Config.Control does not want.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// RoundTrip implements Transport.
func (t *h1Transport) RoundTrip(x Canceler, e *Endpoint, call *Call) error {
	for {
		c := e.idle.get()
		reused := c != nil
		if !reused {
			var err error
			if c, err = t.dial(x, e, call.Deadline); err != nil {
				return err
			}
		}
		err := c.roundTrip(x, call)
		if err == nil {
			return nil
		}
		if !reused || !err.stale || err.Sent && !replayable(call) {
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

func (t *h1Transport) dial(x Canceler, e *Endpoint, limit time.Time) (*h1Conn, error) {
	ctx, cancel := context.WithDeadline(x.Context(), earlier(time.Now().Add(t.cfg.ConnectTimeout), limit))
	defer cancel()
	raw, err := t.dialer.DialContext(ctx, "tcp", e.Addr)
	if err != nil {
		return nil, dialError(x, limit, err)
	}
	if err := t.cfg.introduce(raw); err != nil {
		raw.Close()
		return nil, dialError(x, limit, err)
	}
	c := &h1Conn{net: raw, e: e, cfg: t.cfg}
	c.onEnd, c.turn.step = c.ended, c.step
	if c.turn.raw, err = raw.(syscall.Conn).SyscallConn(); err != nil {
		raw.Close()
		return nil, dialError(x, limit, err)
	}
	if t.cfg.TLS != nil {
		tc := tls.Client(raw, t.cfg.TLS)
		if err := tc.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, dialError(x, limit, err)
		}
		c.net = tc
	}
	c.r = h1.NewReader(c.net)
	return c, nil
}

func dialError(x Canceler, limit time.Time, err error) error {
	reason := ReasonConnect
	var refused *refusedError
	switch {
	case x.Context().Err() != nil:
		reason = ReasonClient
	case errors.As(err, &refused):
		reason = ReasonRefused
	case !limit.IsZero() && time.Now().After(limit):
		reason = ReasonTimeout
	}
	return &Error{Reason: reason, Err: err}
}

// h1Conn is one connection: idle, or in the hands of one call.
type h1Conn struct {
	net  net.Conn // TLS, or the connection itself
	e    *Endpoint
	cfg  *Config
	r    h1.Reader
	turn turn

	idleSince       time.Time   // zero before the first call has ended
	readBy, writeBy time.Time   // the deadlines, as last set
	onEnd           func(error) // ended, made once
	sending         upload      // memory for upload

	// Of the call in progress.
	call     *Call
	headBy   time.Time // when the head of the response must be there; zero: at any time
	body     h1.Body
	keep     bool
	canceler Canceler
	ctx      context.Context
	disarm   func() bool
	upload   *upload
	cut      bool // the request was not sent whole
	once     sync.Once
}

// callError is an Error that knows whether the connection had died before the call.
type callError struct {
	Error
	stale bool
}

func (c *h1Conn) destroy() {
	c.once.Do(func() {
		c.net.Close()
		c.r.Release()
	})
}

func (c *h1Conn) roundTrip(x Canceler, call *Call) *callError {
	c.call, c.canceler, c.ctx, c.disarm, c.upload, c.cut = call, x, nil, nil, nil, false
	if err := c.begin(); err == errStale {
		c.call = nil
		c.destroy()
		return &stale
	} else if err != nil {
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
	for interim := 0; interim < maxInterim; {
		if err := c.r.ReadResponse(call.Resp, c.cfg.MaxResponseHead); err != nil {
			if err := c.wait(err); err != nil {
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
		if interim++; call.Interim != nil && status != 100 {
			h1.RemoveNamed(call.Resp)
			call.Interim(call.Resp)
		}
		call.Resp.Reset()
	}
	return &h1.HeadError{Status: 502, Text: "too many interim responses"}
}

// maxInterim bounds the 1xx responses before the final one. Some peers send a 102 every few seconds.
const maxInterim = 256

// wait goes on after the first, short deadline; any other error is final.
func (c *h1Conn) wait(err error) error {
	if isTimeout(err) && c.ctx == nil {
		err = c.arm(c.headBy)
	}
	if broken := c.uploadError(); broken != nil {
		return broken
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// headDeadline is when the head of the response must be there, if the request has been sent now.
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
		h1.RemoveNamed(h)
		call.Tunnel = &tunnel{c: c}
		return
	}
	h1.RemoveNamed(h)
	length := int64(h.ContentLength())
	if noBody(call.Method, h.StatusCode()) {
		length = 0
	}
	c.keep = !h.ConnectionClose() && length != h1.UntilClose
	c.body.Reset(&c.r, length, call.RespTrailer, c.onEnd)
	if length == 0 {
		c.body.Close()
		return
	}
	call.stream = respStream{c: c, call: call}
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
	if err != nil || !c.keep || c.cut || gone || !uploaded || c.r.Buffered() > 0 {
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
	c.call.release()
	c.call, c.canceler, c.disarm = nil, nil, nil
}

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
		if call.forwards(name) {
			dst = h1.AppendField(dst, name, value)
		}
	}
	if call.Cookie != nil {
		dst = h1.AppendField(dst, []byte(fasthttp.HeaderCookie), call.Cookie)
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
