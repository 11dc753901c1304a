package redis

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

const (
	accountShards = 64
	sample        = 16              // accounts that are looked at when one must go
	unused        = 5 * time.Second // before an account may go: longer than an exchange takes
)

// An ident is a bucket's identity. The zone goes by name: one loaded twice is the same.
type ident struct {
	name   string
	zone   string
	length time.Duration
	period ratelimit.Period
}

func identOf(b *ratelimit.Bucket) ident {
	return ident{b.Key, b.Window.Zone(), b.Window.Length(), b.Window.Period()}
}

// accounts are those of all buckets that this replica has to do with.
type accounts struct {
	seed   maphash.Seed
	shards [accountShards]accountShard
}

type accountShard struct {
	mu  sync.RWMutex
	of  map[ident]*account
	max int
}

func (c *accounts) init(max int) {
	c.seed = maphash.MakeSeed()
	for i := range c.shards {
		c.shards[i].of = make(map[ident]*account)
		c.shards[i].max = (max + accountShards - 1) / accountShards
	}
}

func (c *accounts) len() (n int) {
	for i := range c.shards {
		c.shards[i].mu.RLock()
		n += len(c.shards[i].of)
		c.shards[i].mu.RUnlock()
	}
	return n
}

func (c *accounts) shard(id *ident) *accountShard {
	return &c.shards[maphash.String(c.seed, id.name)%accountShards]
}

// each calls f with every account.
func (c *accounts) each(f func(*account)) {
	var all []*account
	for i := range c.shards {
		s := &c.shards[i]
		all = all[:0]
		s.mu.RLock()
		for _, a := range s.of {
			all = append(all, a)
		}
		s.mu.RUnlock()
		for _, a := range all {
			f(a)
		}
	}
}

// sweep removes the accounts that nobody needs.
func (c *accounts) sweep(now int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.evict(now, len(s.of))
		s.mu.Unlock()
	}
}

// find returns the bucket's account if there is one.
func (c *accounts) find(b *ratelimit.Bucket) *account {
	id := identOf(b)
	s := c.shard(&id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.of[id]
}

// account finds or makes the bucket's account, and locks it.
func (l *Limiter) account(b *ratelimit.Bucket, now int64) (*account, error) {
	for {
		a := l.accounts.find(b)
		if a == nil {
			var err error
			if a, err = l.open(b, now); err != nil {
				return nil, err
			}
		}
		a.mu.Lock()
		if !a.gone {
			a.touch = now
			a.bucket.Limit, a.bucket.Failure = b.Limit, b.Failure
			return a, nil
		}
		a.mu.Unlock()
	}
}

func (l *Limiter) open(b *ratelimit.Bucket, now int64) (*account, error) {
	id := identOf(b)
	s := l.accounts.shard(&id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.of[id]; a != nil {
		return a, nil
	}
	if len(s.of) >= s.max && s.evict(now, sample) == 0 {
		return nil, ratelimit.ErrFull
	}
	a := l.newAccount(b)
	a.touch = now
	s.of[id] = a
	return a, nil
}

func (l *Limiter) newAccount(b *ratelimit.Bucket) *account {
	width, count := b.Window.Slots()
	a := &account{bucket: *b, width: width.Milliseconds(), count: int64(count), open: &cell{}}
	a.key = l.options.Prefix + b.Window.String() + ":" + b.Key
	a.lane = l.lane(a.key)
	if !l.options.Exact {
		a.term = termOf(b.Window.Length(), b.Window.IsCalendar())
	}
	return a
}

// evict removes those of a few accounts that nobody needs, and says how many.
func (s *accountShard) evict(now int64, few int) (gone int) {
	for id, a := range s.of {
		a.mu.Lock()
		if a.idle() && now-a.touch > int64(unused) {
			a.gone = true
			delete(s.of, id)
			gone++
		}
		a.mu.Unlock()
		if few--; few == 0 {
			break
		}
	}
	return gone
}
