package memory

import (
	"fmt"
	"sync"

	"github.com/nantian-gw/nantian/ratelimit"
)

const (
	shards = 64 // as many as a mask has bits
	sample = 8  // buckets that are looked at when one must go
)

var errBuckets = fmt.Errorf("%w: every bucket holds one", ratelimit.ErrFull)

type shard struct {
	mu      sync.Mutex
	buckets map[key]*bucket
	max     int
	index   uint8
	evicted uint64
}

// bucket finds or makes a bucket and brings it up to now.
func (s *shard) bucket(b *ratelimit.Bucket, now int64) (*bucket, error) {
	k := keyOf(b)
	kept := s.buckets[k]
	if kept == nil {
		if len(s.buckets) >= s.max && !s.evict(now) {
			return nil, errBuckets
		}
		kept = newBucket(k, b.Window, s.index)
		s.buckets[k] = kept
	}
	kept.limit = b.Limit
	kept.advance(now)
	return kept, nil
}

// revive returns the bucket that counts now for one that may have been evicted.
func (s *shard) revive(b *bucket, now int64) *bucket {
	kept, err := s.bucket(&ratelimit.Bucket{Key: b.key.name, Limit: b.limit, Window: b.window}, now)
	if err != nil {
		return b
	}
	return kept
}

// evict removes one of a few buckets, and says whether there was one to remove. A map starts anywhere, so they are random.
func (s *shard) evict(now int64) bool {
	var least *bucket
	seen := 0
	for _, b := range s.buckets {
		if b.holds > 0 {
			continue
		}
		b.advance(now)
		if least == nil || b.share() < least.share() {
			least = b
		}
		if seen++; seen == sample || b.total == 0 {
			break
		}
	}
	if least == nil {
		return false
	}
	if least.total > 0 {
		s.evicted++
	}
	delete(s.buckets, least.key)
	return true
}

// share is how much of the limit is used. It decides only which bucket goes, so it may round.
func (b *bucket) share() float64 { return float64(b.total) / float64(max(1, b.limit)) }
