package authz

import (
	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// fields copies what the server is shown of the request's head into h: never fields of the client's connection, and those that say
// whom the request is for (X-Forwarded-For) as the gateway itself knows it, not as the client claims.
func (f *Filter) fields(x *exchange.Exchange, h *fasthttp.RequestHeader) {
	x.Req.CopyTo(h)
	h1.RemoveNamed(h)
	f.o.Forwarded.Set(h, x)
	var drop []string
	for _, key := range h.PeekKeys() {
		if name := string(key); h1.HopByHop(key) || name == fasthttp.HeaderExpect || name == fasthttp.HeaderHost || !f.show(name) {
			drop = append(drop, name)
		}
	}
	for _, name := range drop {
		h1.Remove(h, name)
	}
}

// target is path and query as they stand in a request line.
func target(prefix string, x *exchange.Exchange) string {
	b := append([]byte(prefix), x.Path...)
	if x.HasQuery {
		b = append(append(b, '?'), x.Query...)
	}
	return string(b)
}
