package upstream

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// Endpoint is one address of a cluster, with its connections and its health. It keeps them as long as the address stays in
// the set.
type Endpoint struct {
	// Addr is host:port as it is dialled.
	Addr string

	inFlight atomic.Int64
	idle     idleConns
	since    atomic.Int64 // when slow start began, in nanoseconds since 1970; 0: it did not
	failures [2]atomic.Uint32

	// Of the cluster, under its lock.
	draining  bool
	weight    uint32
	zones     []string // that it is for
	sick      bool     // by its health checks
	ejected   time.Time
	returned  time.Time // from the last ejection
	ejections int       // not forgiven yet
	probe     *Endpoint // what checks connect to, apart from requests
	streak    int       // checks in a row that say otherwise than sick does
}

// close closes idle connections. The lock of the cluster is held, or its checks have ended.
func (e *Endpoint) close() {
	e.idle.close()
	if e.probe != nil {
		e.probe.idle.close()
	}
}

// out says that the endpoint is to get no requests.
func (e *Endpoint) out() bool { return e.sick || !e.ejected.IsZero() }

// Set are the endpoints of a cluster at one moment. It is immutable: a change of their health makes another one, so that a
// pick looks at no health.
type Set struct {
	all []*Endpoint
	// fit are those that share the requests: not on their way out, well, and of this zone where hints say so. Where that
	// leaves none, or too few, the conditions are dropped one by one.
	fit []*Endpoint
	// weights are those of fit relative to the largest; nil: all are equal.
	weights []float64
	// sticky are those that a session may go on with, by address.
	sticky map[string]*Endpoint
	// warm is when the last slow start of fit ends, in nanoseconds since 1970.
	warm int64
	// table is Maglev's: indexes into fit.
	table []uint32
}

// rebuild makes the set of what the cluster knows now. The lock is held.
func (c *Cluster) rebuild() {
	s := &Set{all: c.list, sticky: map[string]*Endpoint{}}
	s.fit = c.fitOf(c.list)
	for _, e := range s.fit {
		s.sticky[e.Addr] = e
	}
	for _, e := range c.list {
		if !e.out() {
			s.sticky[e.Addr] = e // draining ones, and those of other zones
		}
	}
	if c.rules.hash != nil {
		slices.SortFunc(s.fit, func(a, b *Endpoint) int { return cmp.Compare(a.Addr, b.Addr) })
	}
	s.weigh()
	if w := c.rules.slowStart; w > 0 {
		for _, e := range s.fit {
			if since := e.since.Load(); since != 0 {
				s.warm = max(s.warm, since+int64(w))
			}
		}
	}
	if c.rules.hash != nil {
		s.table = maglev(s.fit, s.weights)
	}
	c.set.Store(s)
	c.measure(c.list)
}

// fitOf finds the endpoints that share the requests. The order is that of list.
func (c *Cluster) fitOf(list []*Endpoint) []*Endpoint {
	staying := only(list, func(e *Endpoint) bool { return !e.draining })
	if len(staying) == 0 {
		staying = slices.Clone(list)
	}
	well := only(staying, func(e *Endpoint) bool { return !e.out() })
	if len(well) == 0 || len(well)*100 < c.rules.minHealthy*len(staying) {
		well = staying
	}
	if near := c.near(well); len(near) > 0 {
		return near
	}
	return well
}

// near are the endpoints that hints mean for this zone, if all have hints: else some traffic would be nobody's (KEP-2433).
func (c *Cluster) near(list []*Endpoint) []*Endpoint {
	if c.Zone == "" || slices.ContainsFunc(list, func(e *Endpoint) bool { return len(e.zones) == 0 }) {
		return nil
	}
	return only(list, func(e *Endpoint) bool { return slices.Contains(e.zones, c.Zone) })
}

func only(list []*Endpoint, f func(*Endpoint) bool) []*Endpoint {
	var out []*Endpoint
	for _, e := range list {
		if f(e) {
			out = append(out, e)
		}
	}
	return out
}

func (s *Set) weigh() {
	s.weights = nil
	most, least := uint32(0), ^uint32(0)
	for _, e := range s.fit {
		most, least = max(most, e.weight), min(least, e.weight)
	}
	if most <= least {
		return
	}
	for _, e := range s.fit {
		s.weights = append(s.weights, float64(max(e.weight, 1))/float64(most))
	}
}

// share is what the endpoint of fit at i gets of the share of a whole one: less by its weight, and in slow start.
func (s *Set) share(i int, r *rules, now int64) float64 {
	p := 1.0
	if s.weights != nil {
		p = s.weights[i]
	}
	if now < s.warm {
		if since := s.fit[i].since.Load(); since != 0 {
			p *= min(1, max(leastShare, float64(now-since)/float64(r.slowStart)))
		}
	}
	return p
}

// leastShare is that at the beginning of slow start.
const leastShare = 0.1

// uneven says whether shares differ at the moment; now is 0 where they do not depend on it.
func (s *Set) uneven() (now int64, yes bool) {
	if s.warm != 0 {
		now = time.Now().UnixNano()
	}
	return now, s.weights != nil || now < s.warm
}

// lot draws whether the endpoint of fit at i takes a request that has come to it.
func (s *Set) lot(i int, r *rules, now int64) bool {
	p := s.share(i, r, now)
	return p >= 1 || rand.Float64() < p
}

// warmUp begins the slow start of an endpoint. The lock is held.
func (c *Cluster) warmUp(e *Endpoint) {
	if c.rules.slowStart > 0 {
		e.since.Store(time.Now().UnixNano())
	}
}

// rules are those of xdsv1.LoadBalancing that picks need, with the types they need.
type rules struct {
	maxRequests, maxPerEndpoint int64
	minHealthy                  int
	slowStart                   time.Duration
	hash                        *xdsv1.HashKey
	outlier                     *outlier
	check                       *xdsv1.HealthCheck
}

func newRules(lb *xdsv1.LoadBalancing) rules {
	return rules{
		maxRequests: int64(lb.GetMaxRequests()), maxPerEndpoint: int64(lb.GetMaxInFlight()), minHealthy: int(lb.GetMinHealthyPercent()),
		slowStart: lb.GetSlowStart().AsDuration(), hash: lb.GetHash(), outlier: newOutlier(lb.GetOutlier()), check: lb.GetHealthCheck(),
	}
}
