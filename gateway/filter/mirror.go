package filter

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Metrics is told how mirrored requests ended. It is called from any goroutine.
type Metrics interface {
	Mirrored(backend string, o Outcome)
}

// Outcome is how a mirrored request ended; it is a metric label.
type Outcome string

// The outcomes.
const (
	MirrorSent    Outcome = "sent"    // the backend answered, whatever it said
	MirrorFailed  Outcome = "failed"  // it could not be reached, or broke off
	MirrorDropped Outcome = "dropped" // too many at once, or the backend reads its body slower than the primary one
)

const (
	// maxMirrors bounds the mirrored requests in flight of a gateway.
	maxMirrors = 256
	// maxMirrorBody bounds a body that is copied whole, in bytes.
	maxMirrorBody = 4 << 20
	// mirrorTimeout bounds a mirrored request from head to end of the response.
	mirrorTimeout = 60 * time.Second
	// maxDiscard bounds what is read of a response to give its connection back, in bytes.
	maxDiscard = 1 << 20
)

// Mirrors bounds and counts the mirrored requests of a gateway. It outlives tables.
type Mirrors struct {
	metrics  Metrics
	inFlight atomic.Int64
}

// NewMirrors returns a Mirrors that tells m; nil: nobody.
func NewMirrors(m Metrics) *Mirrors { return &Mirrors{metrics: m} }

func (m *Mirrors) enter() bool {
	if m.inFlight.Add(1) <= maxMirrors {
		return true
	}
	m.inFlight.Add(-1)
	return false
}

func (m *Mirrors) leave() { m.inFlight.Add(-1) }

func (m *Mirrors) count(backend string, o Outcome) {
	if m.metrics != nil {
		m.metrics.Mirrored(backend, o)
	}
}

// mirror is the RequestMirror filter: it sends a copy of the request to another backend, whose answer is thrown away. It
// never waits for that backend; a copy that cannot keep up is given up.
type mirror struct {
	cluster                *upstream.Cluster
	numerator, denominator uint32
	shared                 *Mirrors
}

var _ Request = (*mirror)(nil)

func (c *Chain) addMirror(m *xdsv1.Mirror, env Env) error {
	if m.GetBackend() == "" {
		return nil // the reference is not valid; the control plane says so in the route's status
	}
	cl, err := env.Cluster(m.GetBackend())
	if err != nil {
		return fmt.Errorf("mirror.backend: %w", err)
	}
	c.Request = append(c.Request, &mirror{
		cluster: cl, numerator: m.GetNumerator(), denominator: m.GetDenominator(), shared: env.Mirrors,
	})
	return nil
}

// OnRequest starts the copy. Upgrades are not copied: what follows them is no request.
func (f *mirror) OnRequest(x *exchange.Exchange) Verdict {
	if f.denominator > 0 && rand.Uint32N(f.denominator) >= f.numerator || x.Req.ConnectionUpgrade() {
		return Continue
	}
	if len(x.ReqBody.Bytes) > maxMirrorBody || !f.shared.enter() {
		f.shared.count(f.cluster.Name, MirrorDropped)
		return Continue
	}
	c := newCopy(f, x)
	go c.send()
	return Continue
}

// copied is a request on its way to a mirror. It holds nothing of the exchange.
type copied struct {
	filter *mirror
	head   fasthttp.RequestHeader
	resp   fasthttp.ResponseHeader
	call   upstream.Call
	ctx    context.Context
	cancel context.CancelFunc
	pipe   *pipe // nil: the body is in memory
}

var _ upstream.Canceler = (*copied)(nil)

func newCopy(f *mirror, x *exchange.Exchange) *copied {
	c := &copied{filter: f}
	c.ctx, c.cancel = context.WithTimeout(context.Background(), mirrorTimeout)
	x.Req.CopyTo(&c.head)
	c.head.Del(fasthttp.HeaderExpect)
	c.call = upstream.Call{
		Method: bytes.Clone(x.Req.Method()), Host: bytes.Clone(x.Req.Host()),
		Path: bytes.Clone(x.Path), Query: bytes.Clone(x.Query), HasQuery: x.HasQuery,
		Header: &c.head, Cookie: bytes.Clone(x.Cookie()), Resp: &c.resp, RespTrailer: new(exchange.Trailer),
		TE:       bytes.Equal(x.Req.Peek(fasthttp.HeaderTE), []byte("trailers")),
		Affinity: f.cluster.Affinity(x), HeaderTimeout: mirrorTimeout, Deadline: time.Now().Add(mirrorTimeout),
	}
	if x.ReqBody.Stream == nil {
		c.call.Body = exchange.BytesBody(bytes.Clone(x.ReqBody.Bytes))
		return c
	}
	c.pipe = newPipe(c.ctx)
	c.call.Body = exchange.StreamBody(c.pipe, x.ReqBody.Length)
	x.ReqBody.Stream = newTee(x.ReqBody.Stream, c.pipe, x.ReqBody.Length)
	return c
}

// Context ends with the time that a mirrored request has.
func (c *copied) Context() context.Context { return c.ctx }

func (c *copied) send() {
	outcome := MirrorFailed
	defer func() {
		// A fault in the copy must not end the gateway.
		if recover() != nil {
			outcome = MirrorFailed
		}
		c.call.RespBody.Close()
		c.call.Body.Close()
		c.cancel()
		c.filter.shared.leave()
		if c.pipe != nil && c.pipe.lagged() {
			outcome = MirrorDropped
		}
		c.filter.shared.count(c.filter.cluster.Name, outcome)
	}()
	if c.filter.cluster.Do(c, &c.call) == nil && c.discard() {
		outcome = MirrorSent
	}
}

// discard reads the response to its end, so that its connection can be used again, and says whether it was whole.
func (c *copied) discard() bool {
	if c.call.RespBody.Stream == nil {
		return true
	}
	for n := 0; n < maxDiscard; {
		p, err := c.call.RespBody.Stream.Next()
		if err != nil {
			return isEOF(err)
		}
		n += len(p)
	}
	return true
}
