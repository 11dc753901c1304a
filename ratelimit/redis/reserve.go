package redis

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/internal/book"
)

// Reserve implements ratelimit.Limiter.
func (l *Limiter) Reserve(ctx context.Context, id ratelimit.ID, charges []ratelimit.Charge) (ratelimit.Grant, error) {
	if err := ratelimit.Validate(id, charges); err != nil {
		return ratelimit.Grant{}, err
	}
	if err := ctx.Err(); err != nil {
		return ratelimit.Grant{}, err
	}
	if l.closing.Load() {
		return ratelimit.Grant{}, ratelimit.ErrClosed
	}
	var room [8]entry
	now := l.now()
	entries, runs := l.book.Get(id, room[:0])
	if runs {
		return l.grant(id, entries, now), nil
	}
	entries = append(entries, make([]entry, len(charges))...)
	t := taking{l: l, id: id, charges: charges, entries: entries, now: now}
	if err := t.take(ctx); err != nil {
		t.undo()
		return ratelimit.Grant{}, t.count(err)
	}
	switch err := l.book.Put(id, entries, now/1e6); err {
	case nil:
	case book.ErrExists:
		t.undo()
		entries, _ = l.book.Get(id, room[:0])
	default:
		t.undo()
		return ratelimit.Grant{}, err
	}
	l.counts.granted.Add(1)
	return l.grant(id, entries, now), nil
}

func (l *Limiter) grant(id ratelimit.ID, entries []entry, now int64) ratelimit.Grant {
	g := ratelimit.Grant{ID: id, States: make([]ratelimit.State, len(entries))}
	for i := range entries {
		a := entries[i].a
		if entries[i].local {
			g.Local = true
			g.States[i] = l.localState(a, now)
			continue
		}
		a.mu.Lock()
		g.States[i] = a.state(now)
		a.mu.Unlock()
	}
	return g
}

// A taking is a reservation that is being made: each charge is drawn from a lease, or asked of the store, or granted by the
// fallback while the store is away. The two sets have a bit per charge.
type taking struct {
	l       *Limiter
	id      ratelimit.ID
	charges []ratelimit.Charge
	entries []entry
	now     int64
	lack    uint32
	away    uint32
}

func (t *taking) take(ctx context.Context) error {
	for i := range t.charges {
		if err := t.draw(i); err != nil {
			return err
		}
	}
	if t.lack == 0 && t.away == 0 {
		t.l.counts.leased.Add(1)
		return nil
	}
	if t.lack != 0 {
		if err := t.ask(ctx); err != nil {
			return err
		}
	}
	if t.away != 0 {
		return t.fallBack(ctx)
	}
	return nil
}

// draw takes a charge from its lease, or notes where else it must come from.
func (t *taking) draw(i int) error {
	c := &t.charges[i]
	a, err := t.l.account(&c.Bucket, t.now)
	if err != nil {
		return err
	}
	defer a.mu.Unlock()
	t.entries[i] = entry{a: a, amount: c.Amount}
	if a.away || a.lane.down.Load() {
		t.away |= 1 << i
		return nil
	}
	drawn, ok := a.draw(c.Amount, t.now)
	if !ok {
		t.lack |= 1 << i
		return nil
	}
	t.entries[i].c = drawn
	return nil
}

// ask asks the store for all that is lacking, all lanes at the same time.
func (t *taking) ask(ctx context.Context) error {
	requests := t.requests()
	for n, r := range requests {
		if !n.ask(r) {
			r.fail(errAnswers)
		}
	}
	var err error
	for _, r := range requests {
		if err == nil {
			err = r.wait(ctx)
		} else if !r.state.CompareAndSwap(waiting, abandoned) {
			<-r.done
		}
		if r.state.Load() == answered {
			t.collect(r)
		}
	}
	if err != nil {
		return err
	}
	return t.refusal(requests)
}

func (t *taking) requests() map[*lane]*request {
	requests := make(map[*lane]*request, 1)
	for set := t.lack; set != 0; set &= set - 1 {
		i := bits.TrailingZeros32(set)
		a := t.entries[i].a
		r := requests[a.lane]
		if r == nil {
			r = newRequest(len(t.charges))
			requests[a.lane] = r
		}
		r.asks = append(r.asks, ask{a: a, index: i, amount: t.charges[i].Amount})
	}
	return requests
}

func newRequest(asks int) *request {
	return &request{asks: make([]ask, 0, asks), done: make(chan struct{})}
}

func (r *request) fail(err error) {
	for i := range r.asks {
		r.asks[i].err = err
	}
	r.state.Store(answered)
	close(r.done)
}

// wait returns when the request was answered, or abandons it when ctx ends.
func (r *request) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		if !r.state.CompareAndSwap(waiting, abandoned) {
			<-r.done
		}
		return ctx.Err()
	}
}

// collect takes over what was granted, and notes what could not be asked.
func (t *taking) collect(r *request) {
	for i := range r.asks {
		k := &r.asks[i]
		t.entries[k.index].c = k.cell
		if k.err != nil {
			t.away |= 1 << k.index
		}
	}
}

// refusal describes the bucket without room that needs the longest wait.
func (t *taking) refusal(requests map[*lane]*request) error {
	var worst *ask
	for _, r := range requests {
		if k := r.refused; k != nil && (worst == nil || k.longer(worst)) {
			worst = k
		}
	}
	if worst == nil {
		return nil
	}
	e := &ratelimit.LimitedError{Bucket: t.charges[worst.index].Bucket, Amount: worst.amount, Remaining: worst.left}
	if !e.Never() {
		e.RetryAfter = time.Duration(worst.after) * time.Millisecond
	}
	return e
}

// undo gives back what was taken so far.
func (t *taking) undo() {
	for i := range t.entries {
		if e := &t.entries[i]; e.c != nil {
			e.a.end(e, false, 0, t.now)
		}
	}
	if t.away != 0 {
		t.l.local.Release(context.Background(), ratelimit.Grant{ID: t.id})
	}
}

// fallBack grants what the store cannot be asked for, within this replica's share.
func (t *taking) fallBack(ctx context.Context) error {
	var shares []ratelimit.Charge
	for set := t.away; set != 0; set &= set - 1 {
		i := bits.TrailingZeros32(set)
		a, c := t.entries[i].a, t.charges[i]
		if c.Bucket.Failure == ratelimit.Closed {
			return &ratelimit.UnavailableError{Bucket: c.Bucket, Err: a.lane.why()}
		}
		c.Bucket.Limit = t.l.shareOf(c.Bucket.Limit)
		t.l.seed(a, c.Bucket, t.now)
		shares = append(shares, c)
	}
	if _, err := t.l.local.Reserve(ctx, t.id, shares); err != nil {
		return err
	}
	for set := t.away; set != 0; set &= set - 1 {
		e := &t.entries[bits.TrailingZeros32(set)]
		e.local = true
		e.a.mu.Lock()
		e.c = e.a.force(e.amount)
		e.a.mu.Unlock()
	}
	t.l.counts.local.Add(1)
	return nil
}

func (l *Limiter) shareOf(limit int64) int64 { return limit / int64(max(1, l.options.Replicas())) }

// seed charges the fallback with this replica's share of what was used when the store last answered.
func (l *Limiter) seed(a *account, b ratelimit.Bucket, now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seeded {
		return
	}
	a.seeded = true
	if a.acked == 0 || a.over(l, a.acked, now) {
		return
	}
	replicas := int64(max(1, l.options.Replicas()))
	used := (max(0, a.total-a.lease) + replicas - 1) / replicas
	l.local.Charge(b, min(used, ratelimit.MaxAmount))
}

func (l *Limiter) localState(a *account, _ int64) ratelimit.State {
	a.mu.Lock()
	b := a.bucket
	a.mu.Unlock()
	b.Limit = l.shareOf(b.Limit)
	s, err := l.local.Peek(context.Background(), []ratelimit.Bucket{b})
	if err != nil {
		return ratelimit.State{Limit: b.Limit}
	}
	return s[0]
}

// count counts why a reservation was not granted.
func (t *taking) count(err error) error {
	switch e := err.(type) {
	case *ratelimit.UnavailableError:
		t.l.counts.unavailable.Add(1)
	case *ratelimit.LimitedError:
		t.l.counts.refused.Add(1)
	default:
		return fmt.Errorf("reserve %s: %w", t.id, e)
	}
	return err
}
