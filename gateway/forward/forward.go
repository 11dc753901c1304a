// Package forward is the handler that ends most rules: it sends the request to a backend and gives its answer back, with
// timeouts, retries and upgrades.
package forward

import (
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Options configure a Handler.
type Options struct {
	Cluster *upstream.Cluster
	// Name of the backend for logs and metrics: "<ns>/<service>:<port>".
	Name string
	// BackendTimeout bounds each attempt; 0: no limit but the exchange's deadline.
	BackendTimeout time.Duration
	// IdleTimeout bounds each wait for a piece of the answer's body; 0: no limit.
	IdleTimeout time.Duration
	Retry       Retry
	// GRPC answers failures in gRPC's form.
	GRPC      bool
	Forwarded Forwarded
}

// Retry says when an attempt is repeated. The zero value: never.
type Retry struct {
	Attempts int // beyond the first
	Codes    map[int]bool
	Backoff  time.Duration
}

// Handler forwards to one backend. It is safe for concurrent use.
type Handler struct{ o Options }

var _ exchange.Handler = (*Handler)(nil)

// New makes a Handler.
func New(o Options) *Handler { return &Handler{o: o} }

// call is an upstream.Call that goes back to its pool with the exchange.
type call struct{ upstream.Call }

var calls = sync.Pool{New: func() any { return new(call) }}

// Release implements exchange.Releaser.
func (c *call) Release() {
	c.Call = upstream.Call{}
	calls.Put(c)
}

// Serve implements exchange.Handler.
func (h *Handler) Serve(x *exchange.Exchange) {
	x.Backend = h.o.Name
	c := calls.Get().(*call)
	x.Keep(c)
	h.prepare(x, c)
	if err := h.attempts(x, &c.Call); err != nil {
		h.fail(x, err)
		return
	}
	x.Reached = exchange.Place{Backend: h.o.Cluster.Key, Endpoint: c.At}
	x.RespBody, x.Upgrade, x.Uploading = c.RespBody, c.Tunnel, c.Uploading
}

// prepare makes the call of the exchange. The body is handed over: the call closes it.
func (h *Handler) prepare(x *exchange.Exchange, c *call) {
	c.Method, c.Path, c.Query, c.HasQuery = x.Req.Method(), x.Path, x.Query, x.HasQuery
	c.Host, c.Header, c.Body, c.Trailer = x.Req.Host(), &x.Req, x.ReqBody, x.ReqTrailer
	c.Cookie = x.Cookie()
	c.Resp, c.RespTrailer, c.Interim = &x.Resp, &x.RespTrailer, x.Interim
	c.IdleTimeout = h.o.IdleTimeout
	c.Affinity = h.o.Cluster.Affinity(x)
	if x.Wanted.Backend == h.o.Cluster.Key {
		c.Session = x.Wanted.Endpoint
	}
	c.TE = string(x.Req.Peek("Te")) == "trailers"
	c.Upgrade = upgrade(x)
	h1.RemoveNamed(&x.Req)
	h.o.Forwarded.Set(&x.Req, x)
}

// upgrade is the protocol that the client wants to switch to, if it is one that the gateway passes on: others (h2c) would
// let the client speak to the backend past all routes.
func upgrade(x *exchange.Exchange) string {
	const websocket = "websocket"
	if x.Proto != 1 || x.Minor != 1 || !x.ReqBody.Empty() || !x.Req.ConnectionUpgrade() ||
		!strings.EqualFold(string(x.Req.Peek("Upgrade")), websocket) {
		return ""
	}
	return websocket
}

// attempts makes the call, and again while the rule's retry allows it.
func (h *Handler) attempts(x *exchange.Exchange, c *upstream.Call) error {
	h.buffer(x, c)
	for n := 0; ; n++ {
		c.Deadline = x.Deadline
		if t := h.o.BackendTimeout; t > 0 {
			c.Deadline = earlier(time.Now().Add(t), x.Deadline)
		}
		err := h.o.Cluster.Do(x, c)
		if n == h.o.Retry.Attempts || !h.again(x, c, err) {
			return err
		}
		if !h.o.Cluster.Retry() {
			c.ResetResponse()
			return errBudget
		}
		if !h.pause(x, n) {
			return err
		}
		c.ResetResponse()
	}
}

// errBudget ends a request that would need a retry which its backend's budget does not allow.
var errBudget error = &upstream.Error{Reason: upstream.ReasonOverflow, Err: errors.New("the budget of retries is used up")}

// Request bodies up to this size are kept for a retry; larger ones, and those of unknown length, are sent once.
const maxRetryBody = 64 << 10

func (h *Handler) buffer(x *exchange.Exchange, c *upstream.Call) {
	if n := x.ReqBody.Length; h.o.Retry.Attempts == 0 || x.ReqBody.Stream == nil || n < 0 || n > maxRetryBody {
		return
	}
	if _, err := x.ReadBody(maxRetryBody); err == nil {
		c.Body = x.ReqBody
	}
}

// again says whether an attempt is to be repeated: its body must be there still, the client too, and the time.
func (h *Handler) again(x *exchange.Exchange, c *upstream.Call, err error) bool {
	if c.Body.Stream != nil || x.Gone() || !x.Deadline.IsZero() && time.Now().After(x.Deadline) {
		return false
	}
	if err == nil {
		return h.o.Retry.Codes[c.Resp.StatusCode()]
	}
	var ue *upstream.Error
	if !errors.As(err, &ue) {
		return false
	}
	switch ue.Reason {
	case upstream.ReasonConnect, upstream.ReasonReset, upstream.ReasonTimeout, upstream.ReasonProtocol:
		return true
	}
	return false
}

// pause waits before the next attempt: the backoff, doubled each time up to 16 times.
func (h *Handler) pause(x *exchange.Exchange, n int) bool {
	d := h.o.Retry.Backoff << min(n, 4)
	if d <= 0 {
		return true
	}
	if !x.Deadline.IsZero() && time.Until(x.Deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.Context().Done():
		return false
	}
}

func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// failure is what a client is told of a failed call.
type failure struct {
	status, grpc int
	text         string
}

// fail answers for a backend that did not. The texts name no address: it is nobody's business outside.
func (h *Handler) fail(x *exchange.Exchange, err error) {
	f := failure{502, 14, "the backend did not answer"}
	var ue *upstream.Error
	if errors.As(err, &ue) {
		if ue.Reason == upstream.ReasonReset && x.OutOfTime() {
			ue = &upstream.Error{Reason: upstream.ReasonTimeout, Sent: ue.Sent, Err: ue.Err}
		}
		x.Note = "upstream: " + string(ue.Reason)
		f = failureOf(ue)
	}
	if h.o.GRPC || x.RPC() {
		x.ReplyGRPC(f.grpc, f.text)
		return
	}
	x.Reply(f.status, f.text)
}

func failureOf(e *upstream.Error) failure {
	switch e.Reason {
	case upstream.ReasonNoHost:
		return failure{503, 14, "no endpoint of the backend is ready"}
	case upstream.ReasonOverflow:
		return failure{503, 14, "the backend has too many requests in flight, or too many are retried"}
	case upstream.ReasonTimeout:
		return failure{504, 4, "the backend did not answer in time"}
	case upstream.ReasonConnect:
		return failure{503, 14, "no connection to the backend could be made"}
	case upstream.ReasonRefused:
		return failure{502, 7, "the backend's address is not allowed"}
	case upstream.ReasonProtocol:
		return failure{502, 13, "the backend's answer is not valid HTTP, or its head is too large"}
	case upstream.ReasonClient:
		var large *exchange.TooLargeError
		if errors.As(e, &large) {
			return failure{413, 8, large.Error()}
		}
		if errors.Is(e, os.ErrDeadlineExceeded) {
			return failure{408, 4, "the request body did not arrive in time"}
		}
		return failure{400, 1, "the request body is malformed or did not arrive"}
	}
	return failure{502, 14, "the backend closed the connection"}
}
