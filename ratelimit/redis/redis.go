// Package redis limits across many replicas through one Redis or Valkey: a single primary, one found by Sentinel, or a
// Cluster.
//
// It owns the replica's side (what this replica holds and has used in each bucket), the store's side (script.lua) and the
// exchange between the two. It must not import another package of the module but ratelimit.
//
// # How it works
//
// A replica keeps an account per bucket. An exchange tells the store all that the account holds and what has been used since
// the last exchange, and asks for more; the store replaces the replica's record by it, so that whatever was lost heals with
// the next exchange. Amounts are granted by the script alone, atomically, by the store's own clock; replicas' clocks do not
// matter.
//
// Reserve needs one round trip for all its buckets, and none where a lease holds. What is asked at the same time goes into
// one exchange. Extend, Settle and Release need no round trip: the store hears of them within Tick (50 ms), or with the
// bucket's next Reserve.
//
// On a single primary a reservation is granted whole or refused whole by one run of the script. On a Cluster every bucket is
// asked on its own node, all at the same time; if one refuses, the others' room is given back, which the store hears of
// within a Tick. So a refused reservation may for that time hold room that others are refused for; more than the limit is
// never granted.
//
// # Leases
//
// Where a bucket is asked often (8 times within 100 ms) a replica leases what half a lease's time needs, at most a 32nd of
// what is left, and not less than four times the mean request: near the limit there are no leases. A lease is deducted in
// the store before any of it is used. It lasts 5 s or a twentieth of the window, whichever is less; the replica draws from it
// for the first half only, and has reported what it drew long before the end. Windows under 4 s have no leases. A lease errs
// by refusing: a reservation can be refused while other replicas hold up to a 32nd each of what was left.
//
// # Bounds
//
//   - Reservations hold for TTL without Extend. What a replica holds when it dies goes back TTL after its last exchange, its
//     leases within 5 s or a twentieth of the window; what it had settled in its last Tick is not charged.
//   - While the store does not answer, a bucket that fails open is limited by each replica to limit/replicas, less its share
//     of what was used when the store last answered. Together they grant at most what was left then; if the number of
//     replicas is wrong, in proportion more. A bucket that fails closed is refused with *ratelimit.UnavailableError.
//   - An attempt to reach the store is made every 250 ms. The first that succeeds settles what was used meanwhile, at most
//     128 buckets per round trip; what has left its window by then is not charged.
//   - A replica that is cut off while it holds a lease may have drawn what its last Tick did not report: at most that lease
//     can be granted twice.
//   - After a failover, grants that were not replicated are unknown to the new primary. What runs then is restored with the
//     next exchange of its bucket (at the latest a third of TTL and 5 s later), what was settled in the time that was not
//     replicated is forgotten. WAIT (Options.Wait) delays grants until replicas have them or Wait.Timeout is over, and
//     Stats.Unreplicated says how often it was.
//   - Overshoot comes only from these, and from settling above the estimate; Options.Overshoot is told.
package redis

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/internal/book"
	"github.com/nantian-gw/nantian/ratelimit/memory"
)

// Tick is how long the store may not know of a settlement.
const Tick = 50 * time.Millisecond

// Options are a Limiter's; the zero value is usable.
type Options struct {
	Prefix          string        // of all keys in Redis; "nantian:ratelimit:"
	TTL             time.Duration // of a reservation that nobody extends; 1 minute, at least 10 s
	Timeout         time.Duration // of one exchange; 250 ms
	MaxBuckets      int           // that this replica has accounts of at once; 131,072
	MaxReservations int           // at once; 1,048,576
	// Replicas is how many there are, this one included, for the time when the store is away; 1. It must return at once.
	Replicas func() int
	// Wait delays an exchange until replicas of the store have it.
	Wait Wait
	// Exact turns leases off.
	Exact bool
	// Overshoot is told by how much a bucket's limit was exceeded. It must return at once.
	Overshoot func(b ratelimit.Bucket, amount int64)
	// Changed is told when a part of the store does not answer, and with nil when it does again. It must return at once.
	Changed func(err error)
}

// Wait asks for replication (Redis's WAIT). Its Timeout is part of Options.Timeout.
type Wait struct {
	Replicas int
	Timeout  time.Duration // 50 ms
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	def(&o.TTL, time.Minute)
	def(&o.Timeout, 250*time.Millisecond)
	def(&o.Wait.Timeout, 50*time.Millisecond)
	o.TTL = max(o.TTL, 10*time.Second)
	if o.Prefix == "" {
		o.Prefix = "nantian:ratelimit:"
	}
	if o.MaxBuckets <= 0 {
		o.MaxBuckets = 1 << 17
	}
	if o.MaxReservations <= 0 {
		o.MaxReservations = 1 << 20
	}
	if o.Replicas == nil {
		o.Replicas = func() int { return 1 }
	}
	if o.Overshoot == nil {
		o.Overshoot = func(ratelimit.Bucket, int64) {}
	}
	if o.Changed == nil {
		o.Changed = func(error) {}
	}
	return o
}

// Dial returns a client for a single primary, a primary that Sentinel names (MasterName), or a Cluster (several Addrs), with
// timeouts that suit a limiter where o leaves them open. It connects when it is first used. The caller closes it.
func Dial(o *redis.UniversalOptions) redis.UniversalClient {
	c := *o
	def := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	def(&c.DialTimeout, 250*time.Millisecond)
	def(&c.ReadTimeout, time.Second)
	def(&c.WriteTimeout, time.Second)
	if c.DialerRetries == 0 {
		c.DialerRetries = 1 // the limiter tries again by itself
	}
	c.ContextTimeoutEnabled = true
	if c.MaxRetries == 0 {
		c.MaxRetries = 1
	}
	return redis.NewUniversalClient(&c)
}

var (
	errClock   = errors.New("the store's clock is in another calendar period than it said")
	errAnswers = errors.New("too many requests wait for the store")
)

// An UnsettledError says that a limiter was closed while the store was away.
type UnsettledError struct {
	Buckets int // whose use the store has not heard of
	Err     error
}

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("closed with %d buckets that the store has not heard of: %v", e.Buckets, e.Err)
}

func (e *UnsettledError) Unwrap() error { return e.Err }

// A Limiter keeps buckets in Redis. It may be used by many goroutines at once. It has one goroutine of its own and one for
// every exchange that is under way.
type Limiter struct {
	options Options
	client  redis.UniversalClient
	cluster *redis.ClusterClient // nil: a single primary
	replica string
	script  atomic.Pointer[script]
	clock   func() int64 // wall time in nanoseconds, which does not go back
	offset  atomic.Int64 // of the store's clock, in milliseconds

	book     *book.Book[entry]
	local    *memory.Limiter
	accounts accounts
	lanes    []*lane
	nodes    nodes
	sequence atomic.Int64
	lapse    func([]entry)
	counts   counts

	closing atomic.Bool
	stop    chan struct{}
	stopped sync.WaitGroup
}

var _ ratelimit.Limiter = (*Limiter)(nil)

// New returns a Limiter on a client, such as Dial returns. It does not wait for the store. Close ends it; the client stays
// the caller's.
func New(client redis.UniversalClient, o Options) *Limiter {
	l := newLimiter(client, o)
	l.stopped.Go(l.tick)
	return l
}

func newLimiter(client redis.UniversalClient, o Options) *Limiter {
	o = o.withDefaults()
	l := &Limiter{options: o, client: client, replica: rand.Text(), stop: make(chan struct{})}
	l.cluster, _ = client.(*redis.ClusterClient)
	l.script.Store(newScript(source))
	l.clock = monotonic()
	l.sequence.Store(1)
	l.book = book.New[entry](o.TTL, o.MaxReservations)
	l.local = memory.New(memory.Options{TTL: o.TTL, MaxBuckets: o.MaxBuckets, MaxReservations: o.MaxReservations,
		Now: func() time.Time { return time.Unix(0, l.now()) }})
	l.accounts.init(o.MaxBuckets)
	count := 1
	if l.cluster != nil {
		count = lanes
	}
	for range count {
		l.lanes = append(l.lanes, newLane(l))
	}
	l.lapse = func(entries []entry) {
		l.counts.expired.Add(1)
		for i := range entries {
			entries[i].a.end(&entries[i], false, 0, l.now())
		}
	}
	return l
}

// monotonic is a clock that starts at the wall's time and never jumps.
func monotonic() func() int64 {
	start := time.Now()
	wall := start.UnixNano()
	return func() int64 { return wall + int64(time.Since(start)) }
}

func (l *Limiter) now() int64 { return l.clock() }

// storeTime is what the store's clock says at a moment.
func (l *Limiter) storeTime(now int64) time.Time {
	return time.UnixMilli(now/1e6 + l.offset.Load())
}

// A counts is what Stats reads.
type counts struct {
	granted, refused, leased, local, unavailable, expired atomic.Uint64
	overshot, roundTrips, failures, unreplicated          atomic.Uint64
}

// Stats are counts since New, and how much there is now.
type Stats struct {
	Granted, Refused uint64 // reservations
	Leased           uint64 // of those granted: without a round trip
	Local            uint64 // of those granted: without the store (Open)
	Unavailable      uint64 // refused for want of the store (Closed)
	Expired          uint64 // reservations that nobody settled
	Overshot         uint64 // exchanges after which a bucket was over its limit by what had not been reserved
	RoundTrips       uint64
	Failures         uint64 // exchanges that failed, wholly or in part
	Unreplicated     uint64 // exchanges that WAIT saw on fewer replicas than asked for
	Buckets          int    // that this replica has accounts of
	Reservations     int
	Away             bool // a part of the store does not answer
}

// Stats returns the counts.
func (l *Limiter) Stats() Stats {
	c := &l.counts
	s := Stats{
		Granted: c.granted.Load(), Refused: c.refused.Load(), Leased: c.leased.Load(), Local: c.local.Load(),
		Unavailable: c.unavailable.Load(), Expired: c.expired.Load(), Overshot: c.overshot.Load(),
		RoundTrips: c.roundTrips.Load(), Failures: c.failures.Load(), Unreplicated: c.unreplicated.Load(),
		Buckets: l.accounts.len(), Reservations: l.book.Len(),
	}
	for _, n := range l.lanes {
		s.Away = s.Away || n.down.Load()
	}
	return s
}
