package observe

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// routeMeter holds the instruments of a route and what its lines in the access log have in common, found once: to look them up costs as
// much as to match the route.
type routeMeter struct {
	metrics  *Metrics
	info     *exchange.RouteInfo
	duration prometheus.Observer
	sent     prometheus.Counter
	line     []byte // members of a JSON object, each with a comma before it

	mu sync.Mutex
	// requests is replaced as a whole, so that it is read without a lock.
	requests atomic.Pointer[map[answer]prometheus.Counter]
}

// answer is what tells the counters of a route's requests apart.
type answer struct {
	backend string
	status  int
}

// maxAnswers bounds the counters that a route remembers; those beyond are looked up.
const maxAnswers = 64

// of finds what is kept of a route.
func (m *Metrics) of(r *exchange.RouteInfo) *routeMeter {
	if kept, ok := r.Memo.Get().(*routeMeter); ok && kept.metrics == m {
		return kept
	}
	rm := &routeMeter{
		metrics: m, info: r, duration: m.durations.WithLabelValues(r.Gateway, r.Route), sent: m.sent.WithLabelValues(r.Gateway, r.Route), line: routeMembers(r),
	}
	rm.requests.Store(&map[answer]prometheus.Counter{})
	r.Memo.Keep(rm)
	return rm
}

// count counts one exchange.
func (r *routeMeter) count(backend string, status int, sent int64, took time.Duration) {
	c, ok := (*r.requests.Load())[answer{backend, status}]
	if !ok {
		c = r.find(answer{backend, status})
	}
	c.Inc()
	r.duration.Observe(took.Seconds())
	r.sent.Add(float64(sent))
}

// find looks a counter up and remembers it.
func (r *routeMeter) find(a answer) prometheus.Counter {
	c := r.metrics.requests.WithLabelValues(r.info.Gateway, r.info.Route, a.backend, code(a.status))
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := *r.requests.Load(); len(known) < maxAnswers {
		next := maps.Clone(known)
		next[a] = c
		r.requests.Store(&next)
	}
	return c
}

// routeMembers are the members of a line that name a route.
func routeMembers(r *exchange.RouteInfo) []byte {
	var l line
	l.optional("gateway", r.Gateway)
	l.optional("listener", r.Listener)
	l.optional("route", r.Route)
	l.optional("rule", r.Rule)
	return l.b
}
