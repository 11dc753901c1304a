// Package book remembers which reservations run: what each one took, and until when it does. It owns ids and their time to
// live; what an entry means is its user's. It must not import another package of the module but ratelimit.
package book

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

// Late is how long an expired reservation is remembered, so that what it used can still be settled once.
const Late = time.Hour

const (
	shards = 64
	inline = 4 // entries that a record holds without a further allocation
)

// ErrExists says that a reservation with that id runs.
var ErrExists = errors.New("a reservation with this id runs")

// A Book holds reservations of entries E. Times are milliseconds of the user's clock. It may be used by many goroutines at
// once.
type Book[E any] struct {
	seed   maphash.Seed
	ttl    int64
	max    int64
	count  atomic.Int64
	shards [shards]shard[E]
}

type shard[E any] struct {
	mu   sync.Mutex
	next atomic.Int64 // nothing expires before
	runs map[ratelimit.ID]*record[E]
	free []*record[E]
}

type record[E any] struct {
	deadline int64
	expired  bool
	n        int
	few      [inline]E
	many     []E // all of them, if more than inline
}

func (r *record[E]) entries() []E {
	if r.n > inline {
		return r.many
	}
	return r.few[:r.n]
}

// New returns a Book of up to max reservations that live for ttl.
func New[E any](ttl time.Duration, max int) *Book[E] {
	b := &Book[E]{seed: maphash.MakeSeed(), ttl: ttl.Milliseconds(), max: int64(max)}
	for i := range b.shards {
		b.shards[i].runs = make(map[ratelimit.ID]*record[E])
	}
	return b
}

// Len is the number of reservations, those included that expired and may still be settled.
func (b *Book[E]) Len() int { return int(b.count.Load()) }

func (b *Book[E]) shard(id ratelimit.ID) *shard[E] {
	return &b.shards[maphash.String(b.seed, string(id))%shards]
}

// Get appends the entries of a reservation that runs to dst.
func (b *Book[E]) Get(id ratelimit.ID, dst []E) ([]E, bool) {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[id]
	if r == nil || r.expired {
		return dst, false
	}
	return append(dst, r.entries()...), true
}

// Put adds a reservation, or returns ErrExists or ratelimit.ErrFull.
func (b *Book[E]) Put(id ratelimit.ID, entries []E, now int64) error {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.runs[id]
	if old != nil && !old.expired {
		return ErrExists
	}
	if old != nil {
		b.drop(s, id, old)
	}
	if b.count.Load() >= b.max {
		return ratelimit.ErrFull
	}
	b.count.Add(1)
	s.runs[id] = s.record(entries, now+b.ttl)
	if next := s.next.Load(); next == 0 || now+b.ttl < next {
		s.next.Store(now + b.ttl)
	}
	return nil
}

func (s *shard[E]) record(entries []E, deadline int64) *record[E] {
	var r *record[E]
	if last := len(s.free) - 1; last >= 0 {
		r, s.free = s.free[last], s.free[:last]
	} else {
		r = new(record[E])
	}
	r.deadline, r.n = deadline, len(entries)
	if r.n > inline {
		r.many = append(r.many[:0], entries...)
	} else {
		copy(r.few[:], entries)
	}
	return r
}

// drop forgets a reservation and keeps its record for another one.
func (b *Book[E]) drop(s *shard[E], id ratelimit.ID, r *record[E]) {
	delete(s.runs, id)
	b.count.Add(-1)
	if len(s.free) >= 256 {
		return
	}
	clear(r.many)
	*r = record[E]{many: r.many[:0]}
	s.free = append(s.free, r)
}

// Extend gives a reservation that runs another time to live.
func (b *Book[E]) Extend(id ratelimit.ID, now int64) bool {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[id]
	if r == nil || r.expired || r.deadline <= now {
		return false
	}
	r.deadline = now + b.ttl
	return true
}

// Taken is what Take found.
type Taken uint8

const (
	Absent  Taken = iota // settled or released before, or expired more than Late ago
	Running              // its entries still weigh
	Expired              // its entries went back
	Other                // it has another number of entries, and stays
)

// Take removes a reservation of count entries and appends them to dst. A count below 0 is any.
func (b *Book[E]) Take(id ratelimit.ID, count int, dst []E) ([]E, Taken) {
	s := b.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runs[id]
	if r == nil {
		return dst, Absent
	}
	if count >= 0 && count != r.n {
		return dst, Other
	}
	dst = append(dst, r.entries()...)
	state := Running
	if r.expired {
		state = Expired
	}
	b.drop(s, id, r)
	return dst, state
}

// Expire calls back with the entries of every reservation whose time is over, once for each. It looks at a shard only when
// something in it may be due, and not more often than every sixteenth of the time to live.
func (b *Book[E]) Expire(now int64, back func(entries []E)) {
	for i := range b.shards {
		if next := b.shards[i].next.Load(); next != 0 && next <= now {
			b.expire(&b.shards[i], now, back)
		}
	}
}

// ExpireNear does the same for the one shard that id belongs to, which keeps a book small that nobody else sweeps.
func (b *Book[E]) ExpireNear(id ratelimit.ID, now int64, back func(entries []E)) {
	s := b.shard(id)
	if next := s.next.Load(); next != 0 && next <= now {
		b.expire(s, now, back)
	}
}

func (b *Book[E]) expire(s *shard[E], now int64, back func(entries []E)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := int64(0)
	for id, r := range s.runs {
		if r.deadline <= now {
			if r.expired {
				b.drop(s, id, r)
				continue
			}
			back(r.entries())
			r.expired, r.deadline = true, now+Late.Milliseconds()
		}
		if next == 0 || r.deadline < next {
			next = r.deadline
		}
	}
	if next != 0 {
		next = max(next, now+b.ttl/16)
	}
	s.next.Store(next)
}
