package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// h2Transport speaks HTTP/2 through net/http: with TLS by ALPN, without by prior knowledge.
type h2Transport struct {
	cfg *Config
	rt  *http.Transport
}

var _ Transport = (*h2Transport)(nil)

func newH2(cfg *Config) *h2Transport {
	dialer := newDialer(cfg)
	rt := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if err := cfg.introduce(c); err != nil {
				c.Close()
				return nil, err
			}
			return c, nil
		},
		TLSHandshakeTimeout:    cfg.ConnectTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    maxIdle,
		DisableCompression:     true,
		MaxResponseHeaderBytes: int64(cfg.MaxResponseHead),
		Protocols:              new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			// A dead connection is noticed though nothing is read from it.
			SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second,
		},
	}
	if cfg.TLS != nil {
		rt.TLSClientConfig = cfg.TLS.Clone()
		rt.Protocols.SetHTTP1(true)
		rt.Protocols.SetHTTP2(true)
	} else {
		rt.Protocols.SetUnencryptedHTTP2(true)
	}
	return &h2Transport{cfg: cfg, rt: rt}
}

// Close implements Transport.
func (t *h2Transport) Close() { t.rt.CloseIdleConnections() }

// RoundTrip implements Transport.
func (t *h2Transport) RoundTrip(x Canceler, e *Endpoint, call *Call) error {
	ctx, cancel := context.WithCancelCause(x.Context())
	s := &h2Stream{call: call, cancel: cancel}
	early := &interim{send: call.Interim}
	req := t.request(early.trace(ctx), e, call, s)
	timer := startTimer(headWait(call), func() { cancel(os.ErrDeadlineExceeded) })
	resp, err := t.rt.RoundTrip(req)
	timer.Stop()
	early.end()
	if err != nil {
		s.Close()
		return t.fail(x, ctx, s, err)
	}
	s.resp = resp
	call.Uploading = s.upload != nil && !s.upload.eof.Load()
	copyHead(call.Resp, resp)
	if noBody(call.Method, resp.StatusCode) || endedByHead(resp) {
		s.readTrailer()
		s.Close()
		return nil
	}
	call.RespBody = exchange.StreamBody(s, resp.ContentLength)
	return nil
}

// endedByHead says whether the head was all of the response, as that of a gRPC call that fails at once: net/http then has a
// length of 0 that no field gives. Passed on as a body it would get a frame of its own, which gRPC takes for a broken stream.
func endedByHead(resp *http.Response) bool {
	return resp.Body == http.NoBody || resp.ContentLength == 0 && len(resp.Header["Content-Length"]) == 0
}

// headWait is the time until the response head must be there; 0: no limit.
func headWait(call *Call) time.Duration {
	wait := call.HeaderTimeout
	if !call.Deadline.IsZero() {
		if left := max(1, time.Until(call.Deadline)); wait == 0 || left < wait {
			wait = left
		}
	}
	return wait
}

type stopper interface{ Stop() bool }
type noTimer struct{}

func (noTimer) Stop() bool { return true }

func startTimer(d time.Duration, f func()) stopper {
	if d == 0 {
		return noTimer{}
	}
	return time.AfterFunc(d, f)
}

// interim passes 1xx responses on while the call waits for its final one. net/http tells of them from a goroutine of its
// own, which may come too late: the exchange can be over by then.
type interim struct {
	mu   sync.Mutex
	send func(h *fasthttp.ResponseHeader)
	n    int
}

func (i *interim) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: i.got})
}

func (i *interim) got(code int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.n++; i.n > maxInterim {
		return errInterim
	}
	if i.send == nil || code == 100 {
		return nil
	}
	var h fasthttp.ResponseHeader
	h.SetNoDefaultContentType(true)
	h.SetStatusCode(code)
	for name, values := range header {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	i.send(&h)
	return nil
}

var errInterim = errors.New("too many interim responses")

func (i *interim) end() {
	i.mu.Lock()
	i.send = nil
	i.mu.Unlock()
}

func (t *h2Transport) fail(x Canceler, ctx context.Context, s *h2Stream, err error) error {
	reason := ReasonReset
	var op *net.OpError
	var ue *Error
	var refused *refusedError
	switch {
	case errors.As(err, &ue):
		return ue
	case errors.As(err, &refused):
		reason = ReasonRefused
	case x.Context().Err() != nil || s.upload != nil && s.upload.broken.Load():
		reason = ReasonClient
	case errors.Is(context.Cause(ctx), os.ErrDeadlineExceeded):
		reason = ReasonTimeout
	case errors.As(err, &op) && op.Op == "dial", isTLSFailure(err):
		reason = ReasonConnect
	}
	return &Error{Reason: reason, Sent: reason != ReasonConnect && reason != ReasonRefused, Err: err}
}

func isTLSFailure(err error) bool {
	var cert *tls.CertificateVerificationError
	var rec tls.RecordHeaderError
	return errors.As(err, &cert) || errors.As(err, &rec)
}

func (t *h2Transport) request(ctx context.Context, e *Endpoint, call *Call, s *h2Stream) *http.Request {
	scheme := "http"
	if t.cfg.TLS != nil {
		scheme = "https"
	}
	req := &http.Request{
		Method: string(call.Method), URL: requestURL(scheme, e.Addr, call), Host: string(call.Host),
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{},
	}
	for name, value := range call.Header.All() {
		if call.forwards(name) {
			req.Header[string(name)] = append(req.Header[string(name)], string(value))
		}
	}
	if call.Cookie != nil {
		req.Header[fasthttp.HeaderCookie] = []string{string(call.Cookie)}
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // net/http would send its own
	}
	if call.TE {
		req.Header["Te"] = []string{"trailers"}
	}
	t.setBody(req, call, s)
	return req.WithContext(ctx)
}

func (t *h2Transport) setBody(req *http.Request, call *Call, s *h2Stream) {
	switch {
	case call.Body.Stream != nil:
		s.upload = &sharedBody{s: call.Body.Stream}
		req.Body, req.ContentLength = s.upload, call.Body.Length
	case len(call.Body.Bytes) > 0:
		s.upload = &sharedBody{s: &bytesStream{b: call.Body.Bytes}}
		req.Body, req.ContentLength = s.upload, int64(len(call.Body.Bytes))
	}
	for _, f := range call.Trailer {
		if req.Trailer == nil {
			req.Trailer = http.Header{}
		}
		req.Trailer.Add(f.Name, f.Value)
	}
}

// requestURL keeps the path as it is: what was matched is what is sent.
func requestURL(scheme, addr string, call *Call) *url.URL {
	u := &url.URL{Scheme: scheme, Host: addr, RawQuery: string(call.Query), ForceQuery: call.HasQuery && len(call.Query) == 0}
	path := string(call.Path)
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
		return u
	}
	u.Path, u.RawPath = path, path
	if p, err := url.PathUnescape(path); err == nil {
		u.Path = p
	}
	return u
}

func copyHead(h *fasthttp.ResponseHeader, resp *http.Response) {
	h.SetNoDefaultContentType(true)
	h.SetStatusCode(resp.StatusCode)
	for name, values := range resp.Header {
		if h1.HopByHop([]byte(name)) {
			continue
		}
		for _, v := range values {
			h.Add(name, v)
		}
	}
	if resp.ContentLength > 0 || resp.ContentLength == 0 && resp.StatusCode != http.StatusNotModified {
		h.SetContentLength(int(resp.ContentLength))
	}
}

// sharedBody is a request body that net/http reads in a goroutine of its own. stop ends a read in progress and waits for
// it: afterwards the stream belongs to its exchange alone again.
type sharedBody struct {
	mu       sync.Mutex
	s        exchange.Stream
	rest     []byte
	closed   bool
	panicked any
	eof      atomic.Bool
	broken   atomic.Bool
}

func (b *sharedBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, exchange.ErrClosed
	}
	if len(b.rest) == 0 {
		if err := b.next(); err != nil {
			b.eof.Store(err == io.EOF)
			b.broken.Store(err != io.EOF)
			return 0, err
		}
	}
	n = copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// next reads a piece. A panic is kept for the goroutine that serves the request: in net/http's it would end the process.
func (b *sharedBody) next() (err error) {
	defer func() {
		if p := recover(); p != nil {
			b.panicked, err = p, errPanic
		}
	}()
	b.rest, err = b.s.Next()
	return err
}

// Close is called by net/http, which may still be reading: it must not wait here.
func (b *sharedBody) Close() error { return nil }

func (b *sharedBody) stop() {
	if !b.mu.TryLock() {
		if i, ok := b.s.(exchange.Interrupter); ok {
			i.Interrupt()
		}
		b.mu.Lock()
	}
	b.closed = true
	p := b.panicked
	b.panicked = nil
	b.mu.Unlock()
	if p != nil {
		panic(p)
	}
}

type bytesStream struct{ b []byte }

func (s *bytesStream) Next() ([]byte, error) {
	if s.b == nil {
		return nil, io.EOF
	}
	b := s.b
	s.b = nil
	return b, nil
}

func (s *bytesStream) Close() error { return nil }
