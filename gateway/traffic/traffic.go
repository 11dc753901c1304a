// Package traffic enforces RoutePolicies, their timeouts apart, which package table gives to rules: sizes of requests, the life
// of connections, requests in a window.
//
// Its filters stand behind those that ask who calls, so that limits can count callers. They are compiled with a table, immutable
// and safe for concurrent use.
package traffic

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"time"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/limit"
)

// maxBuffered is the largest body that is read whole where the policy has no limit, in bytes.
const maxBuffered = 32 << 20

// Filters makes the filters of the RoutePolicy among list; without one the chain is empty. limits counts requests.
func Filters(list []*xdsv1.Policy, limits *limit.Limits) (c filter.Chain, err error) {
	for _, p := range list {
		t := p.GetTraffic()
		if t == nil {
			continue
		}
		name := p.GetNamespace() + "/" + p.GetName()
		if n := t.GetMaxRequestHead(); n > 0 {
			c.Request = append(c.Request, &head{policy: name, limit: int(n)})
		}
		set, err := limits.Requests(p)
		if err != nil {
			return c, err
		}
		if set != nil {
			c.Request = append(c.Request, &rate{limits: limits, set: set})
		}
		if t.MaxRequestBody != nil || t.GetBufferRequest() {
			c.Request = append(c.Request, newBody(name, t))
		}
		if n, age := t.GetConnectionRequests(), t.GetConnectionAge().AsDuration(); n > 0 || age > 0 {
			c.Response = append(c.Response, &connection{requests: int64(n), age: age})
		}
	}
	return c, nil
}

// head bounds the size of request heads.
type head struct {
	policy string
	limit  int
}

// OnRequest implements filter.Request. The head is measured as HTTP/1.1 writes it.
func (h *head) OnRequest(x *exchange.Exchange) filter.Verdict {
	size := len(x.Req.Method()) + len(x.Path) + len(x.Query) + len("  HTTP/1.1\r\n")
	for name, value := range x.Req.All() {
		size += len(name) + len(value) + len(": \r\n")
	}
	if size <= h.limit {
		return filter.Continue
	}
	x.Note = "RoutePolicy " + h.policy + ": request head too large"
	filter.Refuse(x, &ai.Error{
		Status:  http.StatusRequestHeaderFieldsTooLarge,
		Message: fmt.Sprintf("the request head is larger than RoutePolicy %s allows, %d bytes", h.policy, h.limit),
	})
	return filter.Reply
}

// body bounds and buffers request bodies.
type body struct {
	policy string
	limit  int64
	buffer bool
}

func newBody(policy string, t *xdsv1.Traffic) *body {
	b := &body{policy: policy, limit: math.MaxInt64, buffer: t.GetBufferRequest()}
	switch {
	case t.MaxRequestBody != nil:
		b.limit = int64(min(t.GetMaxRequestBody(), math.MaxInt64))
	case b.buffer:
		b.limit = maxBuffered
	}
	return b
}

// OnRequest implements filter.Request.
func (b *body) OnRequest(x *exchange.Exchange) filter.Verdict {
	if x.ReqBody.Stream == nil {
		return filter.Continue
	}
	if x.ReqBody.Length > b.limit {
		return b.refuse(x, b.tooLarge())
	}
	if x.ReqBody.Length < 0 {
		x.ReqBody.Stream = &bounded{Stream: x.ReqBody.Stream, left: b.limit, tooLarge: b.tooLarge()}
	}
	if b.buffer {
		if _, err := x.ReadBody(b.limit); err != nil {
			return b.refuse(x, err)
		}
	}
	return filter.Continue
}

func (b *body) tooLarge() error { return &exchange.TooLargeError{Limit: b.limit, Policy: b.policy} }

func (b *body) refuse(x *exchange.Exchange, err error) filter.Verdict {
	e := &ai.Error{Status: http.StatusBadRequest, Message: "the request body is malformed or did not arrive"}
	var large *exchange.TooLargeError
	switch {
	case errors.As(err, &large):
		e.Status, e.Message = http.StatusRequestEntityTooLarge, b.tooLarge().Error()
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.Status, e.Message = http.StatusRequestTimeout, "the request body did not arrive in time"
	}
	x.Note = "RoutePolicy " + b.policy + ": request body"
	filter.Refuse(x, e)
	return filter.Reply
}

// bounded is a body of unknown length that fails when it is larger than it may be.
type bounded struct {
	exchange.Stream
	left     int64
	tooLarge error
}

var (
	_ exchange.Stream      = (*bounded)(nil)
	_ exchange.Interrupter = (*bounded)(nil)
)

// Next implements exchange.Stream.
func (b *bounded) Next() ([]byte, error) {
	p, err := b.Stream.Next()
	if b.left -= int64(len(p)); b.left < 0 {
		b.Stream.Close()
		return nil, b.tooLarge
	}
	return p, err
}

// Interrupt implements exchange.Interrupter, as far as the stream does.
func (b *bounded) Interrupt() {
	if i, ok := b.Stream.(exchange.Interrupter); ok {
		i.Interrupt()
	}
}

// connection bounds the life of clients' connections.
type connection struct {
	requests int64 // 0: no limit
	age      time.Duration
}

// OnResponse implements filter.Response.
func (c *connection) OnResponse(x *exchange.Exchange) {
	if c.requests > 0 && x.Served >= c.requests || c.age > 0 && x.Start.Sub(x.Accepted) >= c.age {
		x.LastServed = true
	}
}

// rate bounds requests in a window. A request counts when it is let through, whatever becomes of it.
type rate struct {
	limits *limit.Limits
	set    *limit.Set
}

// OnRequest implements filter.Request.
func (r *rate) OnRequest(x *exchange.Exchange) filter.Verdict {
	lease, refused := r.limits.Reserve(r.set, &limit.Subject{X: x}, nil, false)
	if refused == nil {
		lease.Settle(limit.Usage{Requests: 1})
		return filter.Continue
	}
	x.Note = "limit " + refused.Limit
	filter.Refuse(x, &ai.Error{Status: refused.Status, Code: codeOf(refused.Status), Message: refused.Message})
	refused.Show(&x.Resp)
	return filter.Reply
}

// codeOf is OpenAI's word for a refusal.
func codeOf(status int) string {
	if status == http.StatusTooManyRequests {
		return "rate_limit_exceeded"
	}
	return ""
}
