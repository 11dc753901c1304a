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
	trusted := f.Trusted.Trust(x.Client.Addr())
	var buf [128]byte
	b := buf[:0]
	if trusted {
		for _, prior := range x.Req.PeekAll("X-Forwarded-For") {
			b = append(append(b, prior...), ", "...)
		}
	}
	b = x.Client.Addr().AppendTo(b)
	h1.Clear(out, "X-Forwarded-For")
	out.SetBytesV("X-Forwarded-For", b)
	if !trusted || len(out.Peek("X-Forwarded-Proto")) == 0 {
		h1.Clear(out, "X-Forwarded-Proto")
		out.Set("X-Forwarded-Proto", x.Scheme)
	}
	if !trusted || len(out.Peek("X-Forwarded-Host")) == 0 {
		h1.Clear(out, "X-Forwarded-Host")
		out.SetBytesV("X-Forwarded-Host", x.Req.Host())
	}
}
