package forward

import (
	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// Forwarded makes the fields that say whom a request is for (X-Forwarded-For, -Proto, -Host).
type Forwarded struct {
	// Trusted are proxies whose X-Forwarded fields are believed; nil: none.
	Trusted *exchange.Proxies
}

// Set writes the fields into out, which is x's own head or a copy of it. What a client claims that is not a trusted proxy is
// replaced.
func (f Forwarded) Set(out *fasthttp.RequestHeader, x *exchange.Exchange) {
	var buf [128]byte
	if !claimed(out) { // most clients say nothing, and fields that are not there need not be looked for
		out.SetCanonical(newFor, x.Client.Addr().AppendTo(buf[:0]))
		out.SetCanonical(newProto, append(buf[:0], x.Scheme...))
		out.SetCanonical(newHost, x.Req.Host())
		return
	}
	trusted := f.Trusted.Trust(x.Client.Addr())
	b := buf[:0]
	if trusted {
		for _, prior := range x.Req.PeekAll(forwardedFor) {
			b = append(append(b, prior...), ", "...)
		}
	}
	b = x.Client.Addr().AppendTo(b)
	h1.Clear(out, forwardedFor)
	out.SetBytesV(forwardedFor, b)
	if !trusted || len(out.Peek(forwardedProto)) == 0 {
		h1.Clear(out, forwardedProto)
		out.Set(forwardedProto, x.Scheme)
	}
	if !trusted || len(out.Peek(forwardedHost)) == 0 {
		h1.Clear(out, forwardedHost)
		out.SetBytesV(forwardedHost, x.Req.Host())
	}
}

const (
	forwardedFor   = "X-Forwarded-For"
	forwardedProto = "X-Forwarded-Proto"
	forwardedHost  = "X-Forwarded-Host"
)

// The same, for fasthttp's fastest setter.
var newFor, newProto, newHost = []byte(forwardedFor), []byte(forwardedProto), []byte(forwardedHost)

// claimed says whether a head has one of the fields.
func claimed(h *fasthttp.RequestHeader) bool {
	for name := range h.All() {
		switch string(name) {
		case forwardedFor, forwardedProto, forwardedHost:
			return true
		}
	}
	return false
}
