package llm

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/guard"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// call is one request on its way through the targets. It belongs to the goroutine that serves the request.
type call struct {
	task
	// Memory that is kept for other calls.
	order []*target
	// spare are targets that were passed over because of their health.
	spare   []*target
	encoded ai.HTTPRequest
	head    fasthttp.RequestHeader
	resp    fasthttp.ResponseHeader
	trail   exchange.Trailer
	path    []byte
	query   []byte
	// body is the answer of a provider, written that of the gateway where it is another.
	body, written []byte
	// guarded, attempted and spoken are the request, the request of an attempt and the answer as prompt guards left them.
	guarded, attempted, spoken []byte
}

// task is what a call is about.
type task struct {
	h  *Handler
	x  *exchange.Exchange
	ax ai.Exchange

	route    *route
	star     string // what the "*" of the route's name stands for
	at       int    // next of order
	attempts int

	// Of the attempt in progress.
	target *target
	began  time.Time
	// bypass is nil when the attempt is translated.
	bypass ai.Bypass
	up     upstream.Call
	// answered says that resp holds the head of the attempt's answer.
	answered bool

	// err is of the last attempt that failed, refused of the first target that cannot honour the request.
	err     *ai.Error
	refused *ai.Unsupported
	// allow is the method of the path, for a request of another.
	allow string
	// local is set when a provider has no call to count tokens.
	local bool
	// guard is nil where no prompt guard applies; base is the request after it, denied why a provider's own guard refused it.
	guard  *guard.Session
	base   ai.Request
	denied *guard.Refusal
	// told is what a provider answered that asked it to count tokens.
	told int

	charges
}

var calls = sync.Pool{New: func() any { return new(call) }}

var _ exchange.Releaser = (*call)(nil)

// newCall takes a call for x. It lives as long as x: logs read the model of the call after its answer.
func (h *Handler) newCall(x *exchange.Exchange) *call {
	c := calls.Get().(*call)
	c.h, c.x = h, x
	x.LLM = &c.ax
	x.Keep(c)
	return c
}

// kept is the largest body whose memory is kept for other calls.
const kept = 64 << 10

// Release gives c back. Nothing may use it or its answer any more.
func (c *call) Release() {
	c.up.RespBody.Close()
	c.settleAll()
	c.learnInput()
	c.freeRequest()
	if c.guard != nil {
		c.guard.Release()
	}
	c.head.Reset()
	c.resp.Reset()
	clear(c.order)
	clear(c.spare)
	c.task, c.order, c.spare = task{}, c.order[:0], c.spare[:0]
	c.body, c.written = recycle(c.body, kept), recycle(c.written, kept)
	c.guarded, c.attempted, c.spoken = recycle(c.guarded, kept), recycle(c.attempted, kept), recycle(c.spoken, kept)
	calls.Put(c)
}

// recycle empties b, and gives its memory up if it has more than most bytes.
func recycle(b []byte, most int) []byte {
	if cap(b) > most {
		return nil
	}
	return b[:0]
}

// freeRequest gives up the memory of a large request once it has been sent.
func (c *call) freeRequest() {
	c.up.Body = exchange.Body{}
	c.encoded.Reset()
	c.encoded.Body = recycle(c.encoded.Body, kept)
}

// lent is memory for requests that streams have sent: they may last for long, and others need it meanwhile.
var lent = sync.Pool{New: func() any { return new([]byte) }}

// lendRequest lets others have the memory of a request that has been sent.
func (c *call) lendRequest() {
	c.freeRequest()
	b := c.encoded.Body
	c.encoded.Body = nil
	lent.Put(&b)
}

// next readies the next attempt: a target is picked and the request encoded for it. false: none is left, and verdict says
// why.
func (c *call) next() bool {
	for {
		t, wait := c.pick(), false
		if t == nil {
			if t = c.waitFor(); t == nil {
				return false
			}
			wait = true
		}
		err := c.encode(t)
		// A fallback is a retry to whom it goes to.
		if err == nil && (c.attempts > 0 && !t.provider.cluster.Retry() || !c.admitTo(t, wait)) {
			t.health.release(c.h.llm.Now())
			continue
		}
		if err == nil {
			c.attempts++
			c.note(t)
			return true
		}
		t.health.release(c.h.llm.Now())
		if c.deny(t, err) {
			continue
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			c.err = c.end().err
			return false
		}
		var u *ai.Unsupported
		if !errors.As(err, &u) || len(u.Params) == 0 {
			c.err = clientError(err)
			return false
		}
		if c.ax.Op == ai.OpCountTokens && u.Params[0] == "count_tokens" {
			c.local = true
			c.note(t)
			return false
		}
		t.meter.Attempt("unsupported", 0)
		if c.refused == nil {
			c.refused = u
		}
	}
}

// clientError is the error of a request that cannot be encoded. What is not the client's fault is a fault of the gateway.
func clientError(err error) *ai.Error {
	var e *ai.Error
	if errors.As(err, &e) {
		return e
	}
	return &ai.Error{Status: http.StatusInternalServerError, Message: "the gateway could not translate the request"}
}

// pick takes the next target that is fit. When all are unfit, it is the one that recovers first.
func (c *call) pick() *target {
	now := c.h.llm.Now()
	for c.at < len(c.order) && c.attempts < c.route.attempts {
		t := c.order[c.at]
		c.at++
		if t.health.admit(now) {
			return t
		}
		c.spare = append(c.spare, t)
	}
	if c.attempts > 0 || len(c.spare) == 0 {
		return nil
	}
	first := 0
	for i, t := range c.spare {
		if t.health.recovers().Before(c.spare[first].health.recovers()) {
			first = i
		}
	}
	t := c.spare[first]
	c.spare[first] = c.spare[len(c.spare)-1]
	c.spare = c.spare[:len(c.spare)-1]
	return t
}

// encode translates the request for a target, or takes it as it is where client and provider speak alike.
func (c *call) encode(t *target) error {
	x, p := &c.ax, t.provider
	c.target, c.bypass = t, nil
	x.Target = ai.Target{
		Provider: p.wire, Model: t.model(x.Request.Model, c.star),
		Drop: p.drop, APIVersion: p.apiVersion, MaxOutput: t.maxOutput,
	}
	x.Usage, x.Finish, x.Dropped = ai.Usage{}, "", x.Dropped[:0]
	c.encoded.Reset()
	if c.encoded.Body == nil {
		c.encoded.Body = (*lent.Get().(*[]byte))[:0]
	}
	if err := c.guardAttempt(t); err != nil {
		return err
	}
	if p.bypass != nil && p.bypass.Speaks(x.Client.Schema(), x.Op) {
		c.bypass = p.bypass
		return p.bypass.ForwardRequest(x, &c.encoded)
	}
	return p.wire.EncodeRequest(x, &c.encoded)
}

// note tells logs and metrics whom the call is with.
func (c *call) note(t *target) {
	c.x.Backend = t.provider.name
	m := &c.x.Model
	m.Provider, m.Model, m.Attempts = t.provider.name, c.ax.Target.Model, c.attempts
	if c.attempts > 1 {
		t.meter.Fallback()
	}
}

// succeed ends an attempt that was answered in full.
func (c *call) succeed() {
	t := c.target
	t.health.succeed(c.h.llm.Now())
	t.meter.Attempt("ok", time.Since(c.began))
	c.spent()
	c.settle()
	c.x.Note = ""
}

// fail ends an attempt and says whether the next target is to be tried.
func (c *call) fail(f *failure) bool {
	c.up.RespBody.Close()
	if f.outcome != aborted {
		c.unspent()
	}
	t, l := c.target, c.h.llm
	now := l.Now()
	switch {
	case f.neutral:
		t.health.release(now)
	case f.sick:
		t.health.fail(now, l.Rand())
	default:
		t.health.succeed(now)
	}
	t.health.rest(now, f)
	t.meter.Attempt(f.outcome, time.Since(c.began))
	t.provider.discreet(f.err)
	c.guardError(f.err)
	c.err, c.x.Model.Aborted = f.err, f.outcome == aborted
	c.x.Note = "provider " + t.provider.name + ": " + f.note
	return f.causes&c.route.on != 0 && !c.expired()
}

// rest lets a target cool down that asked for it, or that said that it has had too much.
func (h *health) rest(now time.Time, f *failure) {
	switch {
	case f.err.RetryAfter > 0:
		h.coolDown(now, f.err.RetryAfter)
	case f.causes&rateLimited != 0:
		h.coolDown(now, cool)
	}
}

func (c *call) expired() bool { return !c.x.Deadline.IsZero() && !time.Now().Before(c.x.Deadline) }

// verdict is what the client is told when no target is left.
func (c *call) verdict() *ai.Error {
	switch {
	case c.err != nil:
		return c.err
	case c.denied != nil:
		return c.denied.AI()
	case c.full != nil:
		return c.turnAway(c.full)
	case c.refused != nil:
		return refusal(c.refused)
	}
	return &ai.Error{Status: http.StatusServiceUnavailable, Message: "no provider of this model is configured correctly"}
}
