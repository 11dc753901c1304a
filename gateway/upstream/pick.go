package upstream

import (
	"math/rand/v2"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// Picker is a way to choose among the endpoints that are fit. Pickers are shared by all calls and safe for concurrent use.
type Picker interface {
	// Pick takes a place at one of s.fit, which is not empty (see wish.take). nil: none has room.
	Pick(s *Set, w *wish) *Endpoint
}

func newPicker(p xdsv1.LoadBalancing_Policy) Picker {
	switch p {
	case xdsv1.LoadBalancing_LEAST_REQUEST:
		return leastRequest{}
	case xdsv1.LoadBalancing_RANDOM:
		return random{}
	case xdsv1.LoadBalancing_CONSISTENT_HASH:
		return consistentHash{}
	}
	return &roundRobin{}
}

// wish is what one call asks of its picks. It remembers what was tried.
type wish struct {
	Affinity
	tried [maxConnectTries]*Endpoint
	n     int
	// before is how many of tried are of earlier attempts: there the call may go again, if there is nothing else.
	before int
	rules  *rules // of the cluster
}

// attempt begins an attempt at a call, which is to go elsewhere than those before it. That of a session stays where it is.
func (w *wish) attempt(a Affinity) {
	if a.Session != "" {
		w.n = 0
	}
	w.Affinity, w.before = a, w.n
}

// remember notes an endpoint as tried, in place of the first where there is no more room.
func (w *wish) remember(e *Endpoint) {
	if w.n == len(w.tried) {
		w.n = copy(w.tried[:], w.tried[1:])
		w.before = max(0, w.before-1)
	}
	w.tried[w.n] = e
	w.n++
}

// forget drops what earlier attempts tried, and says whether there was anything.
func (w *wish) forget() bool {
	if w.before == 0 {
		return false
	}
	w.n = copy(w.tried[:], w.tried[w.before:w.n])
	w.before = 0
	return true
}

// take counts a request as in flight at an endpoint, unless it was tried already or has no room.
func (w *wish) take(e *Endpoint) bool {
	for _, t := range w.tried[:w.n] {
		if t == e {
			return false
		}
	}
	if n := e.inFlight.Add(1); w.rules.maxPerEndpoint == 0 || n <= w.rules.maxPerEndpoint {
		return true
	}
	e.inFlight.Add(-1)
	return false
}

// walk takes the first endpoint from start on that has a place.
func (w *wish) walk(s *Set, start int) *Endpoint {
	for i := range s.fit {
		if e := s.fit[(start+i)%len(s.fit)]; w.take(e) {
			return e
		}
	}
	return nil
}

// Choice is an endpoint that a call is in flight at.
type Choice struct {
	Endpoint *Endpoint
	cluster  *Cluster
}

// Pick chooses an endpoint and counts a call as in flight there, until Done. Another Pick with the same wish gives another
// endpoint. Errors are *Error.
func (c *Cluster) Pick(w *wish) (Choice, error) {
	s := c.set.Load()
	if len(s.fit) == 0 {
		return Choice{}, errNoEndpoint
	}
	if limit := c.rules.maxRequests; limit > 0 && c.inFlight.Add(1) > limit {
		c.inFlight.Add(-1)
		c.Meter.Refused(RefusedRequest)
		return Choice{}, errOverflow
	}
	w.rules = &c.rules
	e := w.again(s)
	if e == nil {
		e = c.picker.Pick(s, w)
	}
	if e == nil && w.forget() {
		e = c.picker.Pick(s, w)
	}
	if e == nil {
		if c.rules.maxRequests > 0 {
			c.inFlight.Add(-1)
		}
		if w.n == 0 {
			c.Meter.Refused(RefusedRequest)
		}
		return Choice{}, errOverflow
	}
	w.remember(e)
	return Choice{Endpoint: e, cluster: c}, nil
}

// again takes the endpoint that a session is at.
func (w *wish) again(s *Set) *Endpoint {
	if w.Session == "" {
		return nil
	}
	if e := s.sticky[w.Session]; e != nil && w.take(e) {
		return e
	}
	return nil
}

// Done says that the call is over.
func (ch Choice) Done() {
	ch.Endpoint.inFlight.Add(-1)
	if ch.cluster.rules.maxRequests > 0 {
		ch.cluster.inFlight.Add(-1)
	}
}

// draw is an index below n, at random.
func draw(n int) int {
	if n == 1 {
		return 0
	}
	return int(rand.Uint32N(uint32(n)))
}
