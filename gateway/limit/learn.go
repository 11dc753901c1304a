package limit

import (
	"container/list"
	"hash/maphash"
	"slices"
	"sync"
)

const (
	// samples are the calls that are remembered of a bucket and model, of which quantile in samples needed no more than what is
	// reserved.
	samples  = 32
	quantile = 0.8
	// unknownOutput is reserved where nothing is known, in tokens.
	unknownOutput = 512
	// maxLearned bounds the pairs of bucket and model that something is known of; about 350 bytes each.
	maxLearned   = 1 << 14
	learnShards  = 16
	maxPerLearnt = maxLearned / learnShards
)

// learner knows how much output calls had. It forgets what was not used for longest. It is safe for concurrent use.
type learner struct {
	seed   maphash.Seed
	shards [learnShards]learnShard
}

type learnShard struct {
	mu sync.Mutex
	of map[uint64]*list.Element
	by list.List // of *learned, the last used first
}

// learned are the outputs of the last calls, in the order of their coming and by size.
type learned struct {
	id     uint64
	ring   [samples]int32
	sorted [samples]int32
	n, at  int
}

func newLearner() *learner {
	l := &learner{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].of = map[uint64]*list.Element{}
	}
	return l
}

// id names what is learned of calls with a bucket and a model; the bucket "" is all.
func (l *learner) id(bucket, model string) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	h.WriteString(bucket)
	h.WriteByte(0)
	h.WriteString(model)
	return h.Sum64()
}

// expect is what a call will probably generate; false: nothing is known.
func (l *learner) expect(id uint64) (int64, bool) {
	s := &l.shards[id%learnShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.of[id]
	if e == nil {
		return 0, false
	}
	s.by.MoveToFront(e)
	k := e.Value.(*learned)
	return int64(k.sorted[min(k.n-1, int(quantile*float64(k.n)))]), true
}

// observe remembers what a call generated.
func (l *learner) observe(id uint64, output int64) {
	s := &l.shards[id%learnShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.of[id]
	if e == nil {
		if s.by.Len() >= maxPerLearnt {
			oldest := s.by.Back()
			delete(s.of, s.by.Remove(oldest).(*learned).id)
		}
		e = s.by.PushFront(&learned{id: id})
		s.of[id] = e
	}
	e.Value.(*learned).add(int32(min(max(output, 0), 1<<30)))
}

func (k *learned) add(v int32) {
	if k.n == samples {
		i, _ := slices.BinarySearch(k.sorted[:k.n], k.ring[k.at])
		copy(k.sorted[i:], k.sorted[i+1:k.n])
		k.n--
	}
	i, _ := slices.BinarySearch(k.sorted[:k.n], v)
	copy(k.sorted[i+1:], k.sorted[i:k.n])
	k.sorted[i] = v
	k.n++
	k.ring[k.at] = v
	k.at = (k.at + 1) % samples
}

// len is of how many pairs something is known.
func (l *learner) len() (n int) {
	for i := range l.shards {
		l.shards[i].mu.Lock()
		n += l.shards[i].by.Len()
		l.shards[i].mu.Unlock()
	}
	return n
}
