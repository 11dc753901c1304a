package table

import (
	"math/rand/v2"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// Rule is one rule of a route at one listener. It is immutable and outlives its table for as long as a request keeps it.
type Rule struct {
	exchange.RouteInfo
	// Request filters run in order before the backend is picked, Response filters in reverse order on every response,
	// those of the gateway itself and of a request filter included.
	Request  []filter.Request
	Response []filter.Response
	// Backends share the requests by weight. A rule that redirects has one, whose handler does that.
	Backends []WeightedBackend
	// Timeout bounds a request from its head to the last byte of the response, whatever the backend; 0: no limit.
	Timeout time.Duration

	total uint32 // of the weights
}

// WeightedBackend is one target of a rule, with the filters of its own.
type WeightedBackend struct {
	Weight   uint32
	Request  []filter.Request
	Response []filter.Response
	Handler  exchange.Handler
	// Key is that of the Backend; empty where the target is another.
	Key string
}

// PickFor is Pick for a request whose session may be at one of the backends: it stays there, whatever its weight is now but 0.
func (r *Rule) PickFor(x *exchange.Exchange) *WeightedBackend {
	if x.Wanted.Backend != "" {
		for i := range r.Backends {
			if b := &r.Backends[i]; b.Weight > 0 && b.Key == x.Wanted.Backend {
				return b
			}
		}
	}
	return r.Pick()
}

// Pick chooses a backend by weight. It never returns nil: where there is none to choose, the handler of what it returns
// answers 500, as the Gateway API asks for.
func (r *Rule) Pick() *WeightedBackend {
	if r.total == 0 {
		return &noBackend
	}
	if len(r.Backends) == 1 {
		return &r.Backends[0]
	}
	n := rand.Uint32N(r.total)
	for i := range r.Backends {
		b := &r.Backends[i]
		if n < b.Weight {
			return b
		}
		n -= b.Weight
	}
	return &noBackend
}

var noBackend = WeightedBackend{Handler: &filter.Failure{Note: "the rule has no backend with a weight above zero"}}

// misdirected answers a request that came over a connection to another listener: its server name and its host disagree
// (Gateway API, HTTPS listeners; RFC 9110 section 15.5.20).
var misdirected = Rule{
	Backends: []WeightedBackend{{Weight: 1, Handler: exchange.HandlerFunc(func(x *exchange.Exchange) {
		x.Note = "misdirected: the host is not of the listener that the TLS server name chose"
		x.Reply(421, "this connection is not for the requested host")
	})}},
	total: 1,
}
