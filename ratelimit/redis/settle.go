package redis

import (
	"context"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/internal/book"
)

// Extend implements ratelimit.Limiter.
func (l *Limiter) Extend(ctx context.Context, g ratelimit.Grant) error {
	if !l.book.Extend(g.ID, l.now()/1e6) {
		return ratelimit.ErrExpired
	}
	if g.Local {
		return l.local.Extend(ctx, g)
	}
	return nil
}

// Settle implements ratelimit.Limiter. The store hears of it within Tick.
func (l *Limiter) Settle(ctx context.Context, g ratelimit.Grant, actual []int64) error {
	if err := ratelimit.ValidateActual(actual); err != nil {
		return err
	}
	return l.settle(ctx, g.ID, len(actual), actual)
}

// Release implements ratelimit.Limiter. The store hears of it within Tick.
func (l *Limiter) Release(ctx context.Context, g ratelimit.Grant) error {
	return l.settle(ctx, g.ID, -1, nil)
}

// settle ends a reservation of count charges with what was used. A count below 0 is any, and nothing was used.
func (l *Limiter) settle(ctx context.Context, id ratelimit.ID, count int, actual []int64) error {
	var room [8]entry
	entries, found := l.book.Take(id, count, room[:0])
	if found == book.Other {
		return ratelimit.ErrCount
	}
	now := l.now()
	var shares []int64
	for i := range entries {
		used := int64(0)
		if i < len(actual) {
			used = actual[i]
		}
		if entries[i].local {
			shares = append(shares, used)
		}
		l.end(&entries[i], found == book.Expired, used, now)
	}
	if len(shares) > 0 {
		return l.local.Settle(ctx, ratelimit.Grant{ID: id}, shares)
	}
	return nil
}

// end ends one entry. An expired one's account may have gone meanwhile, so its use goes to the one that is there now.
func (l *Limiter) end(e *entry, expired bool, used, now int64) {
	if !expired {
		e.a.end(e, false, used, now)
		return
	}
	e.a.mu.Lock()
	b := e.a.bucket
	e.a.mu.Unlock()
	if a, err := l.account(&b, now); err == nil {
		a.mu.Unlock()
		a.end(e, true, used, now)
	}
}

// Peek implements ratelimit.Limiter. It asks the store, or the fallback while the store is away.
func (l *Limiter) Peek(ctx context.Context, buckets []ratelimit.Bucket) ([]ratelimit.State, error) {
	for i := range buckets {
		if err := buckets[i].Validate(); err != nil {
			return nil, err
		}
	}
	states := make([]ratelimit.State, 0, len(buckets))
	for len(buckets) > 0 {
		few := min(len(buckets), ratelimit.MaxCharges)
		part, err := l.peek(ctx, buckets[:few])
		if err != nil {
			return nil, err
		}
		states, buckets = append(states, part...), buckets[few:]
	}
	return states, nil
}

func (l *Limiter) peek(ctx context.Context, buckets []ratelimit.Bucket) ([]ratelimit.State, error) {
	if l.closing.Load() {
		return nil, ratelimit.ErrClosed
	}
	now := l.now()
	requests := make(map[*lane]*request, 1)
	for i := range buckets {
		a := l.visit(&buckets[i], now)
		r := requests[a.lane]
		if r == nil {
			r = newRequest(len(buckets))
			requests[a.lane] = r
		}
		r.asks = append(r.asks, ask{a: a, index: i, peek: true})
	}
	for n, r := range requests {
		if !n.ask(r) {
			r.fail(errAnswers)
		}
	}
	states := make([]ratelimit.State, len(buckets))
	for _, r := range requests {
		if err := r.wait(ctx); err != nil {
			return nil, err
		}
		for i := range r.asks {
			k := &r.asks[i]
			if err := l.look(k, &buckets[k.index], &states[k.index]); err != nil {
				return nil, err
			}
		}
	}
	return states, nil
}

// visit finds the bucket's account, or makes one that only looks.
func (l *Limiter) visit(b *ratelimit.Bucket, now int64) *account {
	if l.accounts.find(b) != nil {
		if a, err := l.account(b, now); err == nil {
			a.mu.Unlock()
			return a
		}
	}
	a := l.newAccount(b)
	a.visitor = true
	return a
}

func (l *Limiter) look(k *ask, b *ratelimit.Bucket, s *ratelimit.State) error {
	now := l.now()
	k.a.mu.Lock()
	away := k.a.away
	*s = k.a.state(now)
	k.a.mu.Unlock()
	switch {
	case k.err == nil && !away:
		return nil
	case b.Failure == ratelimit.Closed:
		return &ratelimit.UnavailableError{Bucket: *b, Err: k.a.lane.why()}
	}
	*s = l.localState(k.a, now)
	return nil
}

// tick reports what has changed, ends reservations whose time is over, and keeps those that run alive in the store.
func (l *Limiter) tick() {
	ticker := time.NewTicker(Tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		l.nodes.learn(l)
		select {
		case <-l.stop:
			return
		case <-ticker.C:
			l.beat(n%100 == 99)
		}
	}
}

// beat is one tick; every hundredth looks at all accounts.
func (l *Limiter) beat(all bool) {
	now := l.now()
	l.book.Expire(now/1e6, l.lapse)
	if all {
		l.accounts.each(func(a *account) { a.keep(now, int64(l.options.TTL)/3) })
		l.accounts.sweep(now)
	}
	for _, n := range l.lanes {
		n.flush(now)
	}
}

// Close reports what is left, gives leases back and ends the limiter's goroutines. If the store is away it gives up after at
// most four times Options.Timeout, and returns an *UnsettledError. What still runs expires in the store.
func (l *Limiter) Close() error {
	if l.closing.Swap(true) {
		return nil
	}
	close(l.stop)
	l.stopped.Wait()
	l.accounts.each(func(a *account) {
		a.mu.Lock()
		if a.lease > 0 {
			a.report()
		}
		a.mu.Unlock()
	})
	for range 2 { // the second for what changed while a report was under way
		var all sync.WaitGroup
		for _, n := range l.lanes {
			all.Go(n.drain)
		}
		all.Wait()
	}
	return l.unsettled()
}

func (l *Limiter) unsettled() error {
	for _, n := range l.lanes {
		n.mu.Lock()
		left, cause := len(n.reports), n.cause
		n.mu.Unlock()
		if left > 0 {
			return &UnsettledError{Buckets: left, Err: cause}
		}
	}
	return nil
}
