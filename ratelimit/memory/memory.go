// Package memory limits within one process. It serves a gateway without a store, and one whose store is away.
//
// It owns the buckets of the process: their slots, their number, what becomes of reservations that nobody settles. It has
// no goroutine; what expires does so when somebody looks. It must not import another package of the module but ratelimit.
package memory

import (
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/internal/book"
)

// Options are a Limiter's; the zero value is usable.
type Options struct {
	TTL             time.Duration // of a reservation that nobody extends; 1 minute
	MaxBuckets      int           // 131,072; a sliding bucket needs about 500 bytes and its key
	MaxReservations int           // at once; 1,048,576
	// Overshoot is told by how much a settlement exceeds a bucket's limit. It must return at once.
	Overshoot func(b ratelimit.Bucket, amount int64)
	// Now is the clock; time.Now.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	if o.TTL <= 0 {
		o.TTL = time.Minute
	}
	if o.MaxBuckets <= 0 {
		o.MaxBuckets = 1 << 17
	}
	if o.MaxReservations <= 0 {
		o.MaxReservations = 1 << 20
	}
	if o.Overshoot == nil {
		o.Overshoot = func(ratelimit.Bucket, int64) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// A Limiter keeps buckets in memory. It may be used by many goroutines at once.
//
// When it has MaxBuckets and needs another, one goes: of a few taken at random the one that is empty or else the one with
// the smallest share of its limit in use, never one that holds a reservation. What was used there is forgotten, so flooding
// a limiter with keys frees the keys that are little used and not those at their limit.
type Limiter struct {
	options Options
	seed    maphash.Seed
	book    *book.Book[entry]
	shards  [shards]shard

	lapse func([]entry) // what the book calls for a reservation that expired

	granted, refused, expired, overshot atomic.Uint64
}

var _ ratelimit.Limiter = (*Limiter)(nil)

// An entry is what a reservation took from one bucket.
type entry struct {
	b      *bucket
	slot   int64
	amount int64
}

// New returns an empty Limiter.
func New(o Options) *Limiter {
	o = o.withDefaults()
	l := &Limiter{options: o, seed: maphash.MakeSeed(), book: book.New[entry](o.TTL, o.MaxReservations)}
	l.lapse = func(entries []entry) {
		l.expired.Add(1)
		l.back(entries)
	}
	for i := range l.shards {
		l.shards[i] = shard{buckets: make(map[key]*bucket), max: max(1, o.MaxBuckets/shards), index: uint8(i)}
	}
	return l
}

// Stats are counts since New, and how much there is now.
type Stats struct {
	Granted, Refused uint64 // reservations
	Expired          uint64 // reservations that nobody settled
	Evicted          uint64 // buckets that were forgotten for want of space though something weighed there
	Overshot         uint64 // settlements that exceeded a limit
	Buckets          int
	Reservations     int
}

// Stats returns the counts.
func (l *Limiter) Stats() Stats {
	s := Stats{Granted: l.granted.Load(), Refused: l.refused.Load(), Expired: l.expired.Load(),
		Overshot: l.overshot.Load(), Reservations: l.book.Len()}
	for i := range l.shards {
		shard := &l.shards[i]
		shard.mu.Lock()
		s.Buckets += len(shard.buckets)
		s.Evicted += shard.evicted
		shard.mu.Unlock()
	}
	return s
}

func (l *Limiter) now() int64 { return l.options.Now().UnixMilli() }

// Reserve implements ratelimit.Limiter.
func (l *Limiter) Reserve(ctx context.Context, id ratelimit.ID, charges []ratelimit.Charge) (ratelimit.Grant, error) {
	if err := ratelimit.Validate(id, charges); err != nil {
		return ratelimit.Grant{}, err
	}
	if err := ctx.Err(); err != nil {
		return ratelimit.Grant{}, err
	}
	g := ratelimit.Grant{ID: id, States: make([]ratelimit.State, len(charges))}
	now := l.now()
	l.book.ExpireNear(id, now, l.lapse)
	err := l.reserve(&g, charges, now)
	if err == book.ErrExists {
		return g, l.peek(g.States, func(i int) *ratelimit.Bucket { return &charges[i].Bucket })
	}
	if err != nil {
		l.refused.Add(1)
		return ratelimit.Grant{}, err
	}
	l.granted.Add(1)
	return g, nil
}

func (l *Limiter) reserve(g *ratelimit.Grant, charges []ratelimit.Charge, now int64) error {
	var room [8]entry
	if _, runs := l.book.Get(g.ID, room[:0]); runs {
		return book.ErrExists
	}
	entries, err := l.take(g.States, charges, room[:0], now)
	if limited(err) && l.expire(now) {
		entries, err = l.take(g.States, charges, room[:0], now)
	}
	if err != nil {
		return err
	}
	if err := l.book.Put(g.ID, entries, now); err != nil {
		l.back(entries)
		return err
	}
	return nil
}

func limited(err error) bool {
	_, is := errors.AsType[*ratelimit.LimitedError](err)
	return is
}

// take charges all buckets or none, under the locks of all their shards at once, so that a refused reservation is never
// seen by another one.
func (l *Limiter) take(states []ratelimit.State, charges []ratelimit.Charge, entries []entry, now int64) ([]entry, error) {
	var at [ratelimit.MaxCharges]uint8
	var mask uint64
	for i := range charges {
		at[i] = l.index(charges[i].Bucket.Key)
		mask |= 1 << at[i]
	}
	l.lock(mask)
	defer l.unlock(mask)
	for i := range charges {
		b, err := l.shards[at[i]].bucket(&charges[i].Bucket, now)
		if err != nil {
			undo(entries)
			return nil, err
		}
		if charges[i].Amount > b.limit-b.total {
			undo(entries)
			return nil, l.limited(charges, at[:], i, now)
		}
		entries = append(entries, entry{b, b.add(charges[i].Amount), charges[i].Amount})
		b.holds++
	}
	for i := range entries {
		states[i] = entries[i].b.state(now)
	}
	return entries, nil
}

func undo(entries []entry) {
	for _, e := range entries {
		e.b.sub(e.slot, e.amount)
		e.b.holds--
	}
}

// limited describes the bucket without room that needs the longest wait. The first one that lacked it is given, because two
// charges of one bucket may lack it only together.
func (l *Limiter) limited(charges []ratelimit.Charge, at []uint8, first int, now int64) error {
	worst := l.lack(&charges[first], at[first], now)
	for i := range charges {
		if e := l.lack(&charges[i], at[i], now); e.Amount > e.Remaining && e.longer(worst) {
			worst = e
		}
	}
	return &worst.LimitedError
}

type lack struct{ ratelimit.LimitedError }

func (a lack) longer(b lack) bool {
	return !b.Never() && (a.Never() || a.RetryAfter > b.RetryAfter)
}

func (l *Limiter) lack(c *ratelimit.Charge, shard uint8, now int64) lack {
	e := lack{ratelimit.LimitedError{Bucket: c.Bucket, Amount: c.Amount, Remaining: c.Bucket.Limit}}
	b := l.shards[shard].buckets[keyOf(&c.Bucket)]
	if b == nil {
		return e
	}
	b.advance(now)
	e.Remaining = max(0, c.Bucket.Limit-b.total)
	if !e.Never() {
		e.RetryAfter = time.Duration(b.wait(c.Amount-(c.Bucket.Limit-b.total), now)) * time.Millisecond
	}
	return e
}

func (l *Limiter) index(key string) uint8 { return uint8(maphash.String(l.seed, key) % shards) }

func (l *Limiter) lock(mask uint64) {
	for ; mask != 0; mask &= mask - 1 {
		l.shards[bits.TrailingZeros64(mask)].mu.Lock()
	}
}

func (l *Limiter) unlock(mask uint64) {
	for ; mask != 0; mask &= mask - 1 {
		l.shards[bits.TrailingZeros64(mask)].mu.Unlock()
	}
}

// Extend implements ratelimit.Limiter.
func (l *Limiter) Extend(_ context.Context, g ratelimit.Grant) error {
	if !l.book.Extend(g.ID, l.now()) {
		return ratelimit.ErrExpired
	}
	return nil
}

// Settle implements ratelimit.Limiter.
func (l *Limiter) Settle(_ context.Context, g ratelimit.Grant, actual []int64) error {
	if err := ratelimit.ValidateActual(actual); err != nil {
		return err
	}
	return l.settle(g.ID, len(actual), actual)
}

// Release implements ratelimit.Limiter.
func (l *Limiter) Release(_ context.Context, g ratelimit.Grant) error { return l.settle(g.ID, -1, nil) }

// settle ends a reservation of count charges with what was used. A count below 0 is any, and nothing was used.
func (l *Limiter) settle(id ratelimit.ID, count int, actual []int64) error {
	var room [8]entry
	entries, found := l.book.Take(id, count, room[:0])
	if found == book.Other {
		return ratelimit.ErrCount
	}
	now := l.now()
	for i := range entries {
		used := int64(0)
		if i < len(actual) {
			used = actual[i]
		}
		l.end(&entries[i], found == book.Expired, used, now)
	}
	return nil
}

// end replaces what an entry reserved by what was used.
func (l *Limiter) end(e *entry, expired bool, used, now int64) {
	s := &l.shards[e.b.shard]
	s.mu.Lock()
	b := e.b
	b.advance(now)
	reserved := e.amount
	if expired {
		reserved = 0
		b = s.revive(b, now)
	} else {
		b.holds--
	}
	if used <= reserved {
		b.sub(e.slot, reserved-used)
	} else {
		b.add(used - reserved)
	}
	over := min(b.total-b.limit, used-reserved)
	limited := ratelimit.Bucket{Key: b.key.name, Limit: b.limit, Window: b.window}
	s.mu.Unlock()
	if over > 0 {
		l.overshot.Add(1)
		l.options.Overshoot(limited, over)
	}
}

// Peek implements ratelimit.Limiter.
func (l *Limiter) Peek(_ context.Context, buckets []ratelimit.Bucket) ([]ratelimit.State, error) {
	for i := range buckets {
		if err := buckets[i].Validate(); err != nil {
			return nil, err
		}
	}
	states := make([]ratelimit.State, len(buckets))
	return states, l.peek(states, func(i int) *ratelimit.Bucket { return &buckets[i] })
}

func (l *Limiter) peek(states []ratelimit.State, at func(int) *ratelimit.Bucket) error {
	now := l.now()
	l.expire(now)
	for i := range states {
		states[i] = l.state(at(i), now)
	}
	return nil
}

func (l *Limiter) state(b *ratelimit.Bucket, now int64) ratelimit.State {
	s := &l.shards[l.index(b.Key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.buckets[keyOf(b)]
	if kept == nil {
		return ratelimit.State{Limit: b.Limit, Remaining: b.Limit}
	}
	kept.limit = b.Limit
	kept.advance(now)
	return kept.state(now)
}

// expire gives back what reservations hold whose time is over, and says whether there were any.
func (l *Limiter) expire(now int64) bool {
	before := l.expired.Load()
	l.book.Expire(now, l.lapse)
	return l.expired.Load() != before
}

// back gives back what a reservation took.
func (l *Limiter) back(entries []entry) {
	for i := range entries {
		l.end(&entries[i], false, 0, l.now())
	}
}

// Charge adds to a bucket what was used elsewhere, room or not.
func (l *Limiter) Charge(b ratelimit.Bucket, amount int64) error {
	if err := ratelimit.Validate("charge", []ratelimit.Charge{{Bucket: b, Amount: amount}}); err != nil {
		return err
	}
	s := &l.shards[l.index(b.Key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.bucket(&b, l.now())
	if err == nil {
		kept.add(amount)
	}
	return err
}

// Used returns what weighs in a bucket now.
func (l *Limiter) Used(b ratelimit.Bucket) int64 {
	s := &l.shards[l.index(b.Key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.buckets[keyOf(&b)]; kept != nil {
		kept.advance(l.now())
		return kept.total
	}
	return 0
}

// Forget removes a bucket. Reservations that run there no longer weigh.
func (l *Limiter) Forget(b ratelimit.Bucket) {
	s := &l.shards[l.index(b.Key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets, keyOf(&b))
}
