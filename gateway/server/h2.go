package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// headRoom is how much more than the limit net/http may read of a head: what is beyond the limit is then refused here, where
// it is logged and counted. net/http's own 431, for heads that are larger still, is seen by nobody but the client.
const headRoom = 4

// h2Front is net/http's server, which serves HTTP/2: its requests are adapted to exchanges and go the same way as all
// others.
type h2Front struct {
	*http.Server
	conns *handover
}

func (s *Server) newH2(l Limits) *h2Front {
	f := &h2Front{conns: newHandover(), Server: &http.Server{
		Handler:        http.HandlerFunc(s.serveH2),
		MaxHeaderBytes: headRoom * l.MaxRequestHead,
		IdleTimeout:    l.IdleTimeout,
		Protocols:      new(http.Protocols),
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000,
			SendPingTimeout:      60 * time.Second,
			PingTimeout:          20 * time.Second,
			WriteByteTimeout:     l.WriteTimeout,
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, h2ConnKey{}, clientOf(c))
		},
		ConnState: h2State,
	}}
	f.Protocols.SetHTTP2(true)
	f.Protocols.SetUnencryptedHTTP2(true)
	return f
}

// h2State keeps account of connections that serve nothing.
func h2State(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateActive:
		clientOf(c).begin()
	case http.StateIdle:
		clientOf(c).rest()
	}
}

type h2ConnKey struct{}

// serveH2 adapts one HTTP/2 request.
func (s *Server) serveH2(w http.ResponseWriter, r *http.Request) {
	c := r.Context().Value(h2ConnKey{}).(*clientConn)
	x := exchange.Acquire(r.Context(), nil)
	f := &h2Writer{w: w, ctl: http.NewResponseController(w), port: c.p}
	cut := false
	defer func() {
		if p := recover(); p != nil {
			s.panicked(x, p, f.sent)
			f.apologize()
			return
		}
		exchange.Release(x)
		if cut {
			panic(http.ErrAbortHandler) // resets the stream: the client must not take it for complete
		}
	}()
	if err := readH2(x, r, c, s.limits().MaxRequestHead); err != nil {
		x.Reply(err.Status, err.Text)
		x.Note = "bad request head"
	} else {
		x.Interim = f.interim
		s.handle(c.p, x)
	}
	gone := x.Gone()
	err := f.respond(x)
	x.Left = gone || f.failed || err != nil && x.Gone()
	f.whole = err == nil
	s.finish(x, f.sent)
	if err != nil {
		cut = true
	}
}

// readH2 fills x from an HTTP/2 request. net/http has checked names, values and pseudo-header fields (RFC 9113, 8.2, 8.3).
func readH2(x *exchange.Exchange, r *http.Request, c *clientConn, most int) *h1.HeadError {
	x.Start = time.Now()
	x.Proto = 2
	x.Scheme, x.Local, x.TLS = c.p.scheme, c.local, r.TLS
	x.Client = c.client
	x.Accepted, x.Served = c.accepted, c.served.Add(1)
	h := &x.Req
	h.SetNoDefaultContentType(true)
	if !h1.ValidMethod(r.Method) {
		return &h1.HeadError{Status: 400, Text: "malformed method"}
	}
	h.SetMethod(r.Method)
	h.SetHost(r.Host)
	if size, fields := headSize(r); size > most || fields > h1.MaxFields {
		return tooLarge(most)
	}
	for name, values := range r.Header {
		switch {
		case name == fasthttp.HeaderCookie: // may be split for compression (RFC 9113, 8.2.3)
			x.SetCookie(values)
		case name != fasthttp.HeaderHost:
			addH2Field(h, name, values)
		case len(values) != 1 || !strings.EqualFold(values[0], r.Host):
			return &h1.HeadError{Status: 400, Text: "Host differs from :authority"}
		}
	}
	if r.Method == http.MethodConnect {
		return &h1.HeadError{Status: 501, Text: "CONNECT is not served"}
	}
	return readH2Target(x, r)
}

// headSize is what a head measures, as it would over HTTP/1.1.
func headSize(r *http.Request) (bytes, fields int) {
	bytes = len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		fields += len(values)
		for _, v := range values {
			bytes += len(name) + len(v) + len(": \r\n")
		}
	}
	return bytes, fields
}

// tooLarge refuses a head beyond the limit.
func tooLarge(most int) *h1.HeadError {
	return &h1.HeadError{Status: http.StatusRequestHeaderFieldsTooLarge, Text: fmt.Sprintf("the request head is larger than the limit, %d bytes and %d fields", most, h1.MaxFields)}
}

func readH2Target(x *exchange.Exchange, r *http.Request) *h1.HeadError {
	_, path, query, hasQuery, err := splitTarget([]byte(r.RequestURI))
	if err == nil {
		err = setTarget(x, path, query, hasQuery)
	}
	if err == nil {
		_, err = expectation(x) // net/http has taken the 100-continue that it serves
	}
	var bad *h1.HeadError
	switch {
	case errors.As(err, &bad):
		return bad
	case err != nil:
		return &h1.HeadError{Status: 400, Text: err.Error()}
	}
	if err := checkLength(r); err != nil {
		return err
	}
	if r.ContentLength != 0 { // without a body it is 0, though Body is not NoBody
		x.ReqBody = exchange.StreamBody(&h2Body{r: r, x: x}, r.ContentLength)
	}
	return nil
}

// checkLength refuses what net/http lets pass: it holds a body to the first Content-Length, and to none that it cannot read.
func checkLength(r *http.Request) *h1.HeadError {
	switch n := r.Header["Content-Length"]; {
	case len(n) > 1:
		return &h1.HeadError{Status: 400, Text: "more than one Content-Length"} // as over HTTP/1.1
	case len(n) == 1 && r.ContentLength == 0 && n[0] != "0":
		return &h1.HeadError{Status: 400, Text: "a Content-Length without a body"}
	}
	return nil
}

func addH2Field(h *fasthttp.RequestHeader, name string, values []string) {
	for _, v := range values {
		h.Add(name, v)
	}
}

// h2Body is the request body of an HTTP/2 request.
type h2Body struct {
	r   *http.Request
	x   *exchange.Exchange
	buf *[]byte
	err error
}

var (
	_         exchange.Stream      = (*h2Body)(nil)
	_         exchange.Interrupter = (*h2Body)(nil)
	h2Buffers                      = sync.Pool{New: func() any { b := make([]byte, 16<<10); return &b }}
)

// Next implements exchange.Stream.
func (b *h2Body) Next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.buf == nil {
		b.buf = h2Buffers.Get().(*[]byte)
	}
	for {
		n, err := b.r.Body.Read(*b.buf)
		if n > 0 {
			return (*b.buf)[:n], nil
		}
		if err != nil {
			b.end(err)
			return nil, err
		}
	}
}

func (b *h2Body) end(err error) {
	b.err = err
	h2Buffers.Put(b.buf)
	b.buf = nil
	if err != io.EOF {
		return
	}
	for name, values := range b.r.Trailer {
		for _, v := range values {
			b.x.ReqTrailer = append(b.x.ReqTrailer, exchange.Field{Name: strings.ToLower(name), Value: v})
		}
	}
}

// Interrupt implements exchange.Interrupter.
func (b *h2Body) Interrupt() { b.r.Body.Close() }

// Close implements exchange.Stream. The rest of the body is net/http's to discard.
func (b *h2Body) Close() error {
	if b.err == nil && b.buf != nil {
		b.end(exchange.ErrClosed)
	}
	return nil
}

// h2Writer writes the response of an HTTP/2 request.
type h2Writer struct {
	w    http.ResponseWriter
	ctl  *http.ResponseController
	port *port
	sent int64
	// begun says that the head has been written, whole that all of the response has, failed that the client did not take
	// what was written.
	begun, whole, failed bool
}

// apologize answers for a panic, or cuts the response off.
func (f *h2Writer) apologize() {
	if f.whole {
		return
	}
	if f.begun {
		panic(http.ErrAbortHandler)
	}
	clear(f.w.Header())
	http.Error(f.w, "internal error", http.StatusInternalServerError)
}

// errUpgradeH2: extended CONNECT (RFC 8441) is not served, so nothing can have asked for an upgrade.
var errUpgradeH2 = errors.New("upgrade over HTTP/2")

func (f *h2Writer) respond(x *exchange.Exchange) error {
	if x.Upgrade != nil {
		return errUpgradeH2
	}
	f.head(x)
	if noBody(x) {
		x.RespBody.Close()
		return nil
	}
	if x.RespBody.Stream == nil {
		err := f.write(x.RespBody.Bytes)
		f.trailer(x)
		return err
	}
	return f.stream(x)
}

func (f *h2Writer) head(x *exchange.Exchange) {
	out := f.w.Header()
	for name, value := range x.Resp.All() {
		if !h1.HopByHop(name) {
			out[string(name)] = append(out[string(name)], string(value))
		}
	}
	if _, ok := out["Content-Type"]; !ok {
		out["Content-Type"] = nil // net/http would guess one
	}
	if n := contentLength(x); n >= 0 {
		out["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	}
	if f.port.stopped.Load() || x.LastServed {
		out["Connection"] = []string{"close"} // net/http makes a GOAWAY of it
	}
	f.begun = true
	f.w.WriteHeader(x.Resp.StatusCode())
}

// stream copies the body piece by piece; each is flushed unless the next is there already.
func (f *h2Writer) stream(x *exchange.Exchange) error {
	ready, _ := x.RespBody.Stream.(buffered)
	for {
		if ready == nil || !ready.Buffered() {
			if err := f.ctl.Flush(); err != nil {
				f.failed = true
				return err
			}
		}
		p, err := x.RespBody.Stream.Next()
		if err == io.EOF {
			f.trailer(x)
			return f.complete(x)
		}
		if err != nil {
			return err
		}
		if err := f.write(p); err != nil {
			return err
		}
	}
}

func (f *h2Writer) write(p []byte) error {
	n, err := f.w.Write(p)
	f.sent += int64(n)
	f.failed = f.failed || err != nil
	return err
}

// complete refuses a body shorter than its Content-Length.
func (f *h2Writer) complete(x *exchange.Exchange) error {
	if n := x.RespBody.Length; n >= 0 && n != f.sent {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (f *h2Writer) trailer(x *exchange.Exchange) {
	for _, t := range x.RespTrailer {
		f.w.Header().Add(http.TrailerPrefix+http.CanonicalHeaderKey(t.Name), t.Value)
	}
}

func (f *h2Writer) interim(h *fasthttp.ResponseHeader) {
	out := f.w.Header()
	for name, value := range h.All() {
		if !h1.HopByHop(name) && string(name) != "Content-Type" {
			out[string(name)] = append(out[string(name)], string(value))
		}
	}
	f.w.WriteHeader(h.StatusCode())
	clear(out)
}

// addrOf is the address of a connection's end; the zero AddrPort for what is not TCP.
func addrOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
