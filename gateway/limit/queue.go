package limit

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// The first of a queue tries again when a call here has settled, when the store said that there would be room, and at the
// latest after maxRetry: calls at other replicas settle too.
const (
	minRetry = 5 * time.Millisecond
	maxRetry = 250 * time.Millisecond
)

// queues are those who wait for room, first come first served in each bucket. It is safe for concurrent use.
type queues struct {
	waiting atomic.Int64
	mu      sync.Mutex
	of      map[string]*queue
}

type queue struct{ list []*waiter }

type waiter struct {
	key string
	// wake is sent to when it is worth the trouble to look again.
	wake chan struct{}
}

func (w *waiter) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// join puts a waiter at the end; nil: there are most already.
func (q *queues) join(key string, most int) *waiter {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.of[key]
	if at == nil {
		at = &queue{}
		q.of[key] = at
	}
	if len(at.list) >= most {
		return nil
	}
	w := &waiter{key: key, wake: make(chan struct{}, 1)}
	at.list = append(at.list, w)
	q.waiting.Add(1)
	if len(at.list) == 1 {
		w.poke()
	}
	return w
}

func (q *queues) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.of[w.key]
	i := slices.Index(at.list, w)
	at.list = slices.Delete(at.list, i, i+1)
	q.waiting.Add(-1)
	switch {
	case len(at.list) == 0:
		delete(q.of, w.key)
	case i == 0:
		at.list[0].poke()
	}
}

func (q *queues) first(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.of[w.key].list[0] == w
}

// wake tells the first of a queue that there may be room.
func (q *queues) wake(key string) {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if at := q.of[key]; at != nil && len(at.list) > 0 {
		at.list[0].poke()
	}
}

// busy says that others wait for a bucket of the lease already.
func (l *Limits) busy(ls *Lease) *Refusal {
	if l.queues.waiting.Load() == 0 {
		return nil
	}
	l.queues.mu.Lock()
	defer l.queues.mu.Unlock()
	for i := range ls.charges {
		c := &ls.charges[i]
		if c.limit.policy.onLimit == xdsv1.TokenLimit_QUEUE && l.queues.of[c.key] != nil {
			r := c.limit.refuse(http.StatusTooManyRequests, "too many requests wait for room already")
			r.key, r.Wait, r.RetryAfter = c.key, true, time.Second
			return r
		}
	}
	return nil
}

// wait waits for room in the bucket that refused, and then reserves.
func (l *Limits) wait(ls *Lease, amounts []int64, s *Subject, refused *Refusal) *Refusal {
	one, began := refused.limit, time.Now()
	w := l.queues.join(refused.key, one.policy.queue)
	if w == nil {
		return refused.count("full")
	}
	defer l.queues.leave(w)
	one.meter.Waiting(1)
	defer one.meter.Waiting(-1)
	limit := one.policy.timeout
	if d := s.X.Deadline; !d.IsZero() {
		limit = min(limit, time.Until(d))
	}
	end := time.NewTimer(limit)
	defer end.Stop()
	retry := time.NewTimer(maxRetry)
	defer retry.Stop()
	for ctx := s.X.Context(); ; {
		if r := l.turn(ctx, w, refused, end, retry); r != nil {
			return r
		}
		if !l.queues.first(w) {
			continue
		}
		r := ls.take(amounts)
		switch {
		case r == nil:
			one.meter.Waited(time.Since(began))
			return nil
		case !r.Wait:
			return r.count(r.outcome())
		}
		refused = r
		retry.Reset(min(max(r.RetryAfter, minRetry), maxRetry))
	}
}

// turn returns nil when it is worth the trouble to look again, else why there is nothing to wait for.
func (l *Limits) turn(ctx context.Context, w *waiter, refused *Refusal, end, retry *time.Timer) *Refusal {
	select {
	case <-w.wake:
		return nil
	case <-retry.C:
		return nil
	case <-end.C:
		return refused.count("timeout")
	case <-ctx.Done():
		refused.Left = true
		return refused.count("left")
	case <-l.closing:
		r := refused.limit.refuse(http.StatusServiceUnavailable, "the gateway shuts down")
		r.RetryAfter = time.Second
		return r.count("unavailable")
	}
}
