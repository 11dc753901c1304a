package auth

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/internal/jwks"
)

const (
	// maxTokens bounds the verified tokens that are remembered.
	maxTokens = 10000
	// shards is how many locks they have.
	shards = 16
)

// tokenKey is a token at one verifier: another may want another audience.
type tokenKey struct {
	digest   digest
	verifier *verifier
}

// known is a token that was verified.
type known struct {
	identity *exchange.Identity
	until    time.Time
	// keys are the issuer's, as they were: a token is verified again when they are others.
	keys *jwks.Set
}

// tokens remembers verified tokens, those that were used last.
type tokens struct {
	shards [shards]shard
	most   int // of a shard
	total  atomic.Int64
	told   func(n int)
}

type shard struct {
	mu   sync.Mutex
	by   map[tokenKey]*list.Element // of entry
	used list.List                  // the last used first
}

type entry struct {
	key tokenKey
	*known
}

func newTokens(most int, told func(int)) *tokens {
	t := &tokens{most: most / shards, told: told}
	for i := range t.shards {
		t.shards[i].by = map[tokenKey]*list.Element{}
	}
	return t
}

func (t *tokens) shard(k tokenKey) *shard { return &t.shards[k.digest[0]%shards] }

// get finds a token that has not ended.
func (t *tokens) get(k tokenKey, now time.Time) *known {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.by[k]
	if e == nil {
		return nil
	}
	n := e.Value.(*entry).known
	if !now.Before(n.until) {
		t.drop(s, e)
		return nil
	}
	s.used.MoveToFront(e)
	return n
}

func (t *tokens) put(k tokenKey, n *known) {
	s := t.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.by[k]; e != nil {
		e.Value.(*entry).known = n
		s.used.MoveToFront(e)
		return
	}
	s.by[k] = s.used.PushFront(&entry{k, n})
	if len(s.by) > t.most {
		t.drop(s, s.used.Back())
	}
	t.told(int(t.total.Add(1)))
}

func (t *tokens) drop(s *shard, e *list.Element) {
	delete(s.by, e.Value.(*entry).key)
	s.used.Remove(e)
	t.told(int(t.total.Add(-1)))
}
