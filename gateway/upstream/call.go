package upstream

import (
	"context"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// Call is one attempt at an endpoint: the request as it goes out, and the response as it comes in. It may be reused
// for a further attempt after ResetResponse; a request body that is a stream can be sent once only. It must outlive
// RespBody.
type Call struct {
	// Method, Path, Query make the request line. Host is the Host field (":authority").
	Method, Path, Query, Host []byte
	HasQuery                  bool
	// Header holds the further fields. Hop-by-hop fields, Host and framing in it are not sent.
	Header *fasthttp.RequestHeader
	// Cookie, if set, is sent in place of Header's own.
	Cookie  []byte
	Body    exchange.Body
	Trailer exchange.Trailer
	// Upgrade is the protocol to switch to ("websocket"); empty: none.
	Upgrade string
	// TE sends "TE: trailers".
	TE bool

	// Resp, RespBody and RespTrailer are the answer. RespTrailer is filled when RespBody has reached io.EOF.
	Resp        *fasthttp.ResponseHeader
	RespBody    exchange.Body
	RespTrailer *exchange.Trailer
	// Tunnel is set after a 101.
	Tunnel exchange.Tunnel
	// Uploading says that the request body is still being sent, by another goroutine, until RespBody ends.
	Uploading bool
	// Interim is called with each 1xx response but 101; nil: they are dropped.
	Interim func(h *fasthttp.ResponseHeader)

	// HeaderTimeout bounds the wait from the last byte of the request to the response head; 0: none.
	HeaderTimeout time.Duration
	// IdleTimeout bounds each wait for a piece of the response body; 0: none. A wait may last an eighth longer.
	IdleTimeout time.Duration
	// Deadline bounds everything; zero: none.
	Deadline time.Time

	// Affinity says which endpoint is wanted (see Cluster.Affinity).
	Affinity
	// At is the address of the endpoint that the call was made to.
	At string

	stream respStream
	// wish is what picks are made by. choice is where the call is in flight, judged who it says something of.
	wish           wish
	choice, judged Choice
	// pending: the status of a gRPC call is still to come, in the trailer.
	pending bool
}

// forwards says whether a field of Header goes out.
func (c *Call) forwards(name []byte) bool {
	switch string(name) {
	case fasthttp.HeaderHost:
		return false
	case fasthttp.HeaderCookie:
		return c.Cookie == nil
	}
	return !h1.HopByHop(name)
}

// release says that the call is over, however it ended.
func (c *Call) release() {
	if c == nil || c.choice.Endpoint == nil {
		return
	}
	choice := c.choice
	c.choice = Choice{}
	choice.Done()
	if c.pending {
		c.pending = false
		choice.judgeTrailer(c.RespTrailer)
	}
}

// broke says that the body of the response broke off.
func (c *Call) broke(reason Reason) {
	c.pending = false
	if c.judged.Endpoint != nil {
		c.judged.judge(resultOfReason(reason))
	}
}

// ResetResponse makes a call ready for another attempt.
func (c *Call) ResetResponse() {
	c.RespBody.Close()
	c.RespBody, c.Tunnel, c.stream, c.Uploading = exchange.Body{}, nil, respStream{}, false
	c.At, c.pending, c.judged = "", false, Choice{}
	c.Resp.Reset()
	if c.RespTrailer != nil {
		*c.RespTrailer = (*c.RespTrailer)[:0]
	}
}

// Canceler ends calls whose client has left. *exchange.Exchange is one. Context is called only when a call has to wait
// for more than a moment.
type Canceler interface{ Context() context.Context }

// Transport speaks a protocol with endpoints. Implementations are safe for concurrent use.
type Transport interface {
	// RoundTrip sends call to e and returns when the response head is there. Errors are *Error.
	RoundTrip(c Canceler, e *Endpoint, call *Call) error
	// Close closes idle connections; those in use are closed when they are given back.
	Close()
}

// Reason tells failures of a call apart; it is a metric label and decides on retry and fallback.
type Reason string

// The reasons.
const (
	ReasonConnect  Reason = "connect"   // no connection could be made; nothing was sent
	ReasonTimeout  Reason = "timeout"   // header, idle or total timeout
	ReasonReset    Reason = "reset"     // the connection broke
	ReasonProtocol Reason = "protocol"  // what came is not HTTP, or too large a head
	ReasonClient   Reason = "client"    // the client left, or its body broke
	ReasonNoHost   Reason = "no_host"   // no endpoint to send to
	ReasonOverflow Reason = "overflow"  // circuit breaker: too many requests in flight
	ReasonRefused  Reason = "forbidden" // the address is not allowed
)

// Error is a failed call. Sent says that bytes of the request may have reached the endpoint.
type Error struct {
	Reason Reason
	Sent   bool
	Err    error
}

func (e *Error) Error() string { return string(e.Reason) + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }
