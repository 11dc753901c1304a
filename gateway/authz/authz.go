// Package authz is the filter ExternalAuth of HTTPRoutes (Gateway API, GEP-1494): it asks an authorization server about each request
// before anything else is done with it, over HTTP or by Envoy's protocol over gRPC (envoy.service.auth.v3).
//
// It fails closed: a request about which the server cannot be asked is refused. Filters are immutable but for their count of calls
// in flight, and shared by all requests. The package must not import table or server.
package authz

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/forward"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

const (
	// timeout bounds one question from its first byte to the last of the answer. The Gateway API names no time.
	timeout = 5 * time.Second
	// maxInFlight bounds the questions of one rule that are not answered yet: a server that hangs takes no more than these along.
	maxInFlight = 1024
	// maxAnswer bounds the body of an answer, in bytes: a login page fits, and it is held in memory.
	maxAnswer = 256 << 10
)

// Results of a question; they are metric labels and stand in the access log.
const (
	Allowed  = "allowed"
	Denied   = "denied"
	Failed   = "failed"    // the server cannot be reached, is too slow, or its answer is not one
	Overflow = "overflow"  // too many questions are not answered yet
	TooLarge = "too_large" // the body is larger than what may be shown to the server
	Client   = "client"    // the client left, or its body broke off
)

// Results are all results.
var Results = [...]string{Allowed, Denied, Failed, Overflow, TooLarge, Client}

// Meter counts the questions to one server. It is called from any goroutine.
type Meter interface {
	Asked(result string, took time.Duration)
}

// Options are what New takes.
type Options struct {
	// Cluster is where the server is; of gRPC it speaks HTTP/2.
	Cluster *upstream.Cluster
	// Meter may be nil.
	Meter Meter
	// Forwarded makes the X-Forwarded fields that the server is shown.
	Forwarded forward.Forwarded
}

// Filter asks one server. It is safe for concurrent use.
type Filter struct {
	o       Options
	maxBody int64
	// show says whether the server is shown a field of the request.
	show     func(name string) bool
	protocol protocol
	inFlight atomic.Int64
}

// protocol is how a server is asked.
type protocol interface {
	// prepare fills in the call. body is what is shown of the request's.
	prepare(f *Filter, x *exchange.Exchange, c *call, body []byte) error
	// read reads the answer whose head is there.
	read(c *call) (*answer, error)
}

var (
	_ filter.Request  = (*Filter)(nil)
	_ filter.Response = (*Filter)(nil)
)

// New makes the filter of a message that passed xdsv1.Validate.
func New(m *xdsv1.ExternalAuth, o Options) *Filter {
	if o.Meter == nil {
		o.Meter = nobody{}
	}
	f := &Filter{o: o, maxBody: int64(m.GetMaxBodyBytes())}
	listed := names(m.GetAllowedRequestHeaders())
	if m.GetGrpc() {
		f.protocol = newGRPC(o.Cluster, len(listed) == 0)
		f.show = func(name string) bool { return len(listed) == 0 || listed[name] }
		return f
	}
	f.protocol = newHTTP(m)
	f.show = func(name string) bool { return name == fasthttp.HeaderAuthorization || listed[name] }
	return f
}

// names are field names as fasthttp normalises them.
func names(list []string) map[string]bool {
	out := map[string]bool{}
	for _, n := range list {
		out[canonical(n)] = true
	}
	return out
}

func canonical(name string) string { return string(fasthttp.AppendNormalizedHeaderKey(nil, name)) }

type nobody struct{}

func (nobody) Asked(string, time.Duration) {}

// OnRequest asks the server, and lets pass what it allows.
func (f *Filter) OnRequest(x *exchange.Exchange) filter.Verdict {
	start := time.Now()
	a := f.ask(x)
	took := time.Since(start)
	f.o.Meter.Asked(a.result, took)
	x.Authz.Result, x.Authz.Took = a.result, x.Authz.Took+took
	if a.result != Allowed {
		x.Note = "external auth " + f.o.Cluster.Name + ": " + a.note()
		a.refuse(x)
		return filter.Reply
	}
	a.allow(x)
	return filter.Continue
}

// OnResponse makes the changes of the response that the server wanted. With several filters on a route the first does it for all.
func (f *Filter) OnResponse(x *exchange.Exchange) {
	edits := x.Authz.Response
	x.Authz.Response = nil
	for i := range edits {
		apply(&x.Resp, &edits[i])
	}
}

func (f *Filter) ask(x *exchange.Exchange) *answer {
	body, refused := f.body(x)
	if refused != nil {
		return refused
	}
	if f.inFlight.Add(1) > maxInFlight {
		f.inFlight.Add(-1)
		return &answer{result: Overflow}
	}
	defer f.inFlight.Add(-1)
	c := &call{}
	defer c.close()
	if err := f.protocol.prepare(f, x, c, body); err != nil {
		return &answer{result: Failed, err: err}
	}
	if err := f.do(x, c); err != nil {
		return &answer{result: resultOf(err), err: err}
	}
	a, err := f.protocol.read(c)
	if err != nil {
		return &answer{result: resultOf(err), err: err}
	}
	return a
}

// body reads what the server is shown of the body. A larger one is refused as a whole: what the server has not seen it has not
// allowed (HTTPExternalAuthFilter.forwardBody).
func (f *Filter) body(x *exchange.Exchange) ([]byte, *answer) {
	if f.maxBody == 0 {
		return nil, nil
	}
	b, err := x.ReadBody(f.maxBody)
	var large *exchange.TooLargeError
	switch {
	case err == nil:
		return b, nil
	case errors.As(err, &large):
		return nil, &answer{result: TooLarge, status: 413, err: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &answer{result: Client, status: 408, err: err}
	}
	return nil, &answer{result: Client, status: 400, err: err}
}

// do makes the call, and once again where its connection broke before the answer: a server may close an idle one at any time, and
// to ask twice changes nothing.
func (f *Filter) do(x *exchange.Exchange, c *call) error {
	c.Affinity = f.o.Cluster.Affinity(x)
	c.Deadline = time.Now().Add(timeout)
	if !x.Deadline.IsZero() && x.Deadline.Before(c.Deadline) {
		c.Deadline = x.Deadline
	}
	err := f.o.Cluster.Do(x, &c.Call)
	var ue *upstream.Error
	if errors.As(err, &ue) && ue.Reason == upstream.ReasonReset && f.o.Cluster.Retry() {
		c.ResetResponse()
		err = f.o.Cluster.Do(x, &c.Call)
	}
	return err
}

func resultOf(err error) string {
	var ue *upstream.Error
	if errors.As(err, &ue) {
		switch ue.Reason {
		case upstream.ReasonOverflow:
			return Overflow
		case upstream.ReasonClient:
			return Client
		}
	}
	return Failed
}

// call is a question on its way.
type call struct {
	upstream.Call
	head    fasthttp.RequestHeader
	resp    fasthttp.ResponseHeader
	trailer exchange.Trailer
}

func (c *call) close() { c.RespBody.Close() }

// answerBody reads the body of the answer.
func (c *call) answerBody() ([]byte, error) {
	if c.RespBody.Stream == nil {
		return c.RespBody.Bytes, nil
	}
	return exchange.AppendStream(nil, &c.RespBody, maxAnswer)
}
