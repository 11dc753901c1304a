// Package exchange holds one request and its response, the only message type that filters and handlers see.
//
// HTTP/1.1 and HTTP/2 front ends fill the same Exchange; which of them a client used is not visible in it, save for what
// the protocol itself says (Proto). The package knows no listener, table or upstream.
package exchange

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/ai"
)

// Handler ends a rule: it forwards, redirects, answers. It fills Resp and RespBody and never writes to the client. It is
// shared by all requests and safe for concurrent use.
type Handler interface{ Serve(x *Exchange) }

// HandlerFunc is a function as a Handler.
type HandlerFunc func(x *Exchange)

// Serve calls f.
func (f HandlerFunc) Serve(x *Exchange) { f(x) }

// RouteInfo names what matched, for logs, metrics and traces. It is immutable.
type RouteInfo struct {
	// Gateway and Listener: "<ns>/<name>" and the listener's name.
	Gateway, Listener string
	// Kind is HTTPRoute or GRPCRoute; Route is "<ns>/<name>".
	Kind, Route string
	// Rule is the rule's own name, or its index in decimal.
	Rule string
	// Memo is for the observer; nil: it finds its instruments anew each time.
	Memo *Memo
}

// Memo keeps what an observer has made of a route, for as long as the route lives. It is safe for concurrent use.
type Memo struct{ v atomic.Value }

// Get is what was kept; nil: nothing.
func (m *Memo) Get() any {
	if m == nil {
		return nil
	}
	return m.v.Load()
}

// Keep keeps a value, which is always of one type.
func (m *Memo) Keep(v any) {
	if m != nil {
		m.v.Store(v)
	}
}

// Exchange is one request and its response. It belongs to the goroutine that serves the request and is pooled: nothing
// may keep it, or bytes of it, after the front end has finished with it.
type Exchange struct {
	// Req is the request head as the client sent it, after the filters that ran. Method, host and header fields are
	// read from it; the path is in Path and Query.
	Req fasthttp.RequestHeader
	// Resp is the response head. Status, header fields.
	Resp fasthttp.ResponseHeader

	// Path is the normalised path (see AppendPath): what is matched, rewritten, logged and forwarded.
	Path []byte
	// Query is the raw query without "?". HasQuery tells "/a?" from "/a".
	Query    []byte
	HasQuery bool
	// MatchedPrefix is the number of bytes of Path that the rule's prefix match found, for prefix rewrites.
	MatchedPrefix int

	ReqBody, RespBody       Body
	ReqTrailer, RespTrailer Trailer

	// Proto is 1 or 2, Minor is the minor version of HTTP/1.
	Proto, Minor int
	// Scheme is http or https, from the listener.
	Scheme string
	// Client is the peer of the connection (or of the PROXY protocol); Local is the address that it reached.
	Client, Local netip.AddrPort
	TLS           *tls.ConnectionState
	// Accepted is when the client's connection was made, and Served the number of requests on it, this one included. LastServed,
	// set by a filter, ends the connection with this response.
	Accepted   time.Time
	Served     int64
	LastServed bool

	// Route is nil until a rule matched.
	Route *RouteInfo
	// Backend names what the request was forwarded to ("<ns>/<service>:<port>", "<ns>/<provider>"), for logs and metrics.
	Backend string

	// Wanted is where the session of the request is, and Reached where the request went; see Place.
	Wanted, Reached Place

	// Uploading says that the request body is still being read by another goroutine while the response goes out.
	Uploading bool

	// Upgrade is set by the forward handler after a 101: the front end sends the head and then joins the two connections.
	Upgrade Tunnel
	// Interim, set by the front end, sends a 1xx response (103 Early Hints) at once. nil: not possible.
	Interim func(h *fasthttp.ResponseHeader)

	// Left says that the client was gone before its response had been written.
	Left bool

	Start    time.Time
	Deadline time.Time // of the whole request; zero: none

	// Identity is who calls, where an AuthPolicy asked and the caller proved it.
	Identity *Identity
	// Authz is what authorization servers said.
	Authz Authorization

	// LLM is set for model calls alone.
	LLM *ai.Exchange
	// Model is what the access log and the metrics say of a model call.
	Model ModelInfo

	// Note is a short reason for the log, in the gateway's own words: why a request failed. Never text of the client.
	Note string

	web web

	// kept is released with x; see Keep.
	kept []Releaser

	// cookie and parsed are the Cookie field as the client and as fasthttp wrote it, if they differ.
	cookie, parsed []byte

	// scratch holds a body that had to be read whole; see ReadBody.
	scratch []byte

	// watch arms the detection of a client that leaves; see Context.
	watch  Watch
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
	unarm  func()
}

// ModelInfo is what is recorded of a model call beyond ai.Exchange.
type ModelInfo struct {
	Provider  string // "<ns>/<name>" of the AIProvider that answered
	Model     string // the provider's name of the model
	Requested string // what the client asked for
	Attempts  int
	// FirstToken is the time from the arrival of the request to the first event with content; 0: none came.
	FirstToken time.Duration
	Streamed   bool
	// Limit is "<ns>/<policy>/<limit>" of a limit that was reached, and LimitOutcome what became of it: refused, warned or cut.
	Limit, LimitOutcome string
	// Cost is in billionths of a US dollar.
	Cost int64
	// Aborted: the client left before the end.
	Aborted bool
	// Guard tells what prompt guards have found; nil: none looked.
	Guard interface{ Found() []Finding }
}

// Finding is how often a rule of a prompt guard found something. It never holds what.
type Finding struct {
	// Policy is "<ns>/<name>".
	Policy, Rule, Action string
	// Side is request or response.
	Side string
	// Monitor says that it had no consequences.
	Monitor bool
	N       int
}

// Place is an endpoint of a backend: the backend's key, and the address.
type Place struct{ Backend, Endpoint string }

// Watch arms the detection of a client that leaves: gone is called at most once, from another goroutine, when it does.
// The returned function ends the detection; after it has returned gone is not running and will not be called.
type Watch func(gone func()) (unarm func())

var pool = sync.Pool{New: func() any { return new(Exchange) }}

// Acquire takes an empty Exchange from the pool. base is the parent of Context (for HTTP/2 the request's own, which ends
// when the client leaves); watch may be nil.
func Acquire(base context.Context, watch Watch) *Exchange {
	x := pool.Get().(*Exchange)
	x.ctx, x.watch = base, watch
	return x
}

// Release ends Context, and gives x back to the pool. Bodies must have been closed.
func Release(x *Exchange) {
	x.endContext()
	x.releaseKept()
	x.Req.Reset()
	x.Resp.Reset()
	scratch := x.scratch
	if cap(scratch) > maxPooledScratch {
		scratch = nil
	}
	path, query := x.Path[:0], x.Query[:0]
	x.clear()
	x.scratch, x.Path, x.Query = scratch[:0], path, query
	pool.Put(x)
}

// Abandon ends Context, and leaves x to those who may still use it: after a panic nobody knows.
func Abandon(x *Exchange) { x.endContext() }

// Bodies larger than this are not kept in the pool.
const maxPooledScratch = 64 << 10

// Releaser is something pooled that lives as long as an exchange.
type Releaser interface{ Release() }

// Keep releases r when x is released: what a handler needs until the last byte of the response is written.
func (x *Exchange) Keep(r Releaser) { x.kept = append(x.kept, r) }

func (x *Exchange) releaseKept() {
	for i, r := range x.kept {
		r.Release()
		x.kept[i] = nil
	}
	x.kept = x.kept[:0]
}

func (x *Exchange) clear() {
	x.HasQuery, x.MatchedPrefix = false, 0
	x.ReqBody, x.RespBody = Body{}, Body{}
	x.ReqTrailer, x.RespTrailer = x.ReqTrailer[:0], x.RespTrailer[:0]
	x.Proto, x.Minor, x.Scheme = 0, 0, ""
	x.Client, x.Local, x.TLS = netip.AddrPort{}, netip.AddrPort{}, nil
	x.Accepted, x.Served, x.LastServed = time.Time{}, 0, false
	x.Route, x.Backend, x.Upgrade, x.Interim, x.Uploading, x.Left = nil, "", nil, nil, false, false
	x.Wanted, x.Reached = Place{}, Place{}
	x.Start, x.Deadline = time.Time{}, time.Time{}
	x.Identity, x.Authz, x.LLM, x.Model, x.Note = nil, Authorization{}, nil, ModelInfo{}, ""
	x.cookie, x.parsed, x.web = nil, nil, web{}
	x.watch, x.ctx, x.cancel, x.unarm = nil, nil, nil, nil
}

// Context ends when the client leaves or the exchange is released. The first call arms the watch on the client's
// connection, which costs a system call: what is expected to end within some ten milliseconds does without.
func (x *Exchange) Context() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cancel == nil {
		x.ctx, x.cancel = context.WithCancel(x.ctx)
		if x.watch != nil {
			x.unarm = x.watch(x.cancel)
		}
	}
	return x.ctx
}

// Gone says whether the client is known to have left.
func (x *Exchange) Gone() bool { return x.ctx.Err() != nil }

// Unwatch ends the watch, so that the front end may use the connection's read side again. Context stays alive.
func (x *Exchange) Unwatch() {
	if x.unarm != nil {
		x.unarm()
		x.unarm = nil
	}
}

func (x *Exchange) endContext() {
	x.Unwatch()
	if x.cancel != nil {
		x.cancel()
	}
}

// Reply answers with a short text, in place of what the response held so far; a call of gRPC or gRPC-Web gets a status of gRPC.
func (x *Exchange) Reply(status int, text string) {
	if x.RPC() {
		x.ReplyGRPC(codeOf(status), text)
		return
	}
	x.ReplyBytes(status, "text/plain; charset=utf-8", append([]byte(text), '\n'))
}

// ReplyBytes answers with body, which must stay unchanged until the exchange is released.
func (x *Exchange) ReplyBytes(status int, contentType string, body []byte) {
	x.RespBody.Close()
	x.Resp.Reset()
	x.Resp.SetNoDefaultContentType(true)
	x.Resp.SetStatusCode(status)
	if contentType != "" {
		x.Resp.SetContentType(contentType)
	}
	x.RespTrailer = x.RespTrailer[:0]
	x.RespBody = BytesBody(body)
}

// Tunnel is the upstream side of an upgraded connection.
type Tunnel interface {
	// Join copies both ways between client and upstream until both have ended, and closes the upstream.
	Join(client Duplex)
}

// Duplex is the client's side of an upgraded connection. Reads yield first what the front end had read ahead.
type Duplex interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	CloseWrite() error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	Close() error
}
