package limit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/ratelimit"
)

// maxSeen bounds the buckets of a limit that are remembered for those who look.
const maxSeen = 64

// recent are some of the buckets that were used last.
type recent struct {
	mu   sync.Mutex
	keys map[string]struct{}
}

func (r *recent) note(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, has := r.keys[key]; has {
		return
	}
	if r.keys == nil {
		r.keys = map[string]struct{}{}
	}
	for old := range r.keys {
		if len(r.keys) < maxSeen {
			break
		}
		delete(r.keys, old)
	}
	r.keys[key] = struct{}{}
}

func (r *recent) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.keys))
}

// Bucket is what operators see of one.
type Bucket struct {
	Policy string `json:"policy"`
	Limit  string `json:"limit"`
	Unit   string `json:"unit"`
	Window string `json:"window"`
	// Key says what the limit's buckets are by; Hash is that of the bucket's values.
	Key  string `json:"key,omitempty"`
	Hash string `json:"hash,omitempty"`
	// Amounts are in the unit; of COST in US dollars.
	Max       string `json:"max"`
	Used      string `json:"used"`
	Remaining string `json:"remaining"`
	// Reset is until all of the limit is free again if nothing more is used.
	Reset string `json:"reset,omitempty"`
}

// Query selects buckets.
type Query struct {
	// Policy is "<ns>/<name>", Limit its limit; empty: all.
	Policy, Limit string
	// Values are those of the limit's key, in its order: one bucket. Nil: those without a key, and of others some that were used
	// last.
	Values []string
}

// Report is what operators see of the limits.
type Report struct {
	// Store is memory or redis; Away says that it does not answer.
	Store   string   `json:"store"`
	Away    bool     `json:"away,omitempty"`
	Running int      `json:"running"`
	Waiting int64    `json:"waiting"`
	Buckets []Bucket `json:"buckets"`
}

// Look reads the state of buckets, and takes nothing.
func (l *Limits) Look(ctx context.Context, q Query) (*Report, error) {
	list, err := l.matching(q)
	if err != nil {
		return nil, err
	}
	s := l.acquire()
	defer s.release()
	r := &Report{Store: "memory", Running: l.leases.len(), Waiting: l.queues.waiting.Load(), Buckets: []Bucket{}}
	if s.redis != nil {
		r.Store, r.Away = "redis", s.redis.Stats().Away
	}
	for _, one := range list {
		keys, err := one.keys(q)
		if err != nil {
			return nil, err
		}
		if r.Buckets, err = one.look(ctx, s, r.Buckets, keys); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (l *Limits) matching(q Query) (out []*limit, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(l.policies)) {
		p := l.policies[key]
		if q.Policy != "" && q.Policy != p.name {
			continue
		}
		for _, one := range p.limits {
			if q.Limit == "" || q.Limit == one.name {
				out = append(out, one)
			}
		}
	}
	switch {
	case len(out) == 0 && q.Policy != "":
		return nil, fmt.Errorf("there is no limit %q of a TokenPolicy %q in force here", q.Limit, q.Policy)
	case len(out) != 1 && q.Values != nil:
		return nil, fmt.Errorf("values of a key are for one limit: name policy and limit")
	}
	return out, nil
}

func (l *limit) keys(q Query) ([]string, error) {
	if q.Values != nil || len(l.key) == 0 {
		key, err := l.given(q.Values)
		return []string{key}, err
	}
	return l.seen.list(), nil
}

func (l *limit) look(ctx context.Context, s *store, dst []Bucket, keys []string) ([]Bucket, error) {
	var buckets []ratelimit.Bucket
	for _, key := range keys {
		buckets = append(buckets, l.bucket(key))
	}
	if len(buckets) == 0 {
		return dst, nil
	}
	states, err := s.Peek(ctx, buckets)
	if err != nil {
		return nil, err
	}
	for i, state := range states {
		used := state.Limit - state.Remaining
		state = l.real(state)
		b := Bucket{
			Policy: l.policy.name, Limit: l.name, Unit: l.unit.String(), Window: l.window.String(), Key: l.parts(),
			Max: l.digits(l.amount), Used: l.digits(used), Remaining: l.digits(state.Remaining),
		}
		if len(l.key) > 0 {
			b.Hash = keys[i][len(l.prefix)+1:]
		}
		if state.Reset > 0 {
			b.Reset = state.Reset.Round(time.Millisecond).String()
		}
		dst = append(dst, b)
	}
	return dst, nil
}

func (l *limit) digits(n int64) string {
	if l.unit == xdsv1.LimitUnit_COST {
		return ratelimit.FormatUSD(n)
	}
	return fmt.Sprint(n)
}

// Stats are counts of the current store, and how much there is now.
type Stats struct {
	Running, Buckets, Learned   int
	RoundTrips, Failed          uint64
	Expired, Evicted            uint64
	WithoutAsking, WithoutStore uint64
}

// Stats reads them.
func (l *Limits) Stats() Stats {
	s := l.acquire()
	defer s.release()
	out := Stats{Running: l.leases.len(), Learned: l.learner.len()}
	if s.redis != nil {
		r := s.redis.Stats()
		out.Buckets, out.RoundTrips, out.Failed, out.Expired = r.Buckets, r.RoundTrips, r.Failures, r.Expired
		out.WithoutAsking, out.WithoutStore = r.Leased, r.Local
		return out
	}
	m := s.memory.Stats()
	out.Buckets, out.Expired, out.Evicted = m.Buckets, m.Expired, m.Evicted
	return out
}
