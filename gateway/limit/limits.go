package limit

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/ratelimit"
)

// Options are what New takes. The zero value works: it limits in memory.
type Options struct {
	// Log takes what happens to the store; nil: nothing.
	Log *slog.Logger
	// Observer makes the instruments; nil: none.
	Observer Observer
	// Trusted are proxies whose X-Forwarded-For is believed; nil: none.
	Trusted *exchange.Proxies
	// Redis is the URL of the store, as ParseURL reads it, and goes before what SetStore is told; empty: that.
	Redis string
	// Replicas is how many gateways share the store, and goes before what SetStore is told; 0: that, or 1.
	Replicas int
}

// Limits are the buckets of a gateway, and what is known of them. They outlive tables and are safe for concurrent use.
type Limits struct {
	Options
	learner *learner
	queues  queues
	leases  keeper
	meters  sync.Map // of Meter by the prefix of buckets

	current atomic.Pointer[store]
	stores  sync.WaitGroup // that are closing

	// run and serial make the ids of reservations.
	run    string
	serial atomic.Uint64

	mu       sync.Mutex
	policies map[string]*policy // by key
	store    storeConfig        // what current was made of
	closing  chan struct{}
	closed   bool
}

// New makes Limits. Close ends them. An error says what is wrong with the URL of the store, without it.
func New(o Options) (*Limits, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nowhere{}
	}
	l := &Limits{Options: o, learner: newLearner(), run: rand.Text() + "-", policies: map[string]*policy{}, closing: make(chan struct{})}
	l.queues.of = map[string]*queue{}
	l.leases.init()
	config := storeConfig{replicas: max(1, o.Replicas)}
	if o.Redis != "" {
		var err error
		if config.redis, err = ParseURL(o.Redis); err != nil {
			return nil, err
		}
	}
	l.store = config
	l.current.Store(l.open(config))
	return l, nil
}

// Close refuses who waits, tells the store what was used and ends all goroutines, at the latest when ctx ends. Calls may still
// settle until then.
func (l *Limits) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.stopWaiting()
	l.mu.Unlock()
	err := l.current.Load().close()
	done := make(chan struct{})
	go func() { l.stores.Wait(); l.leases.ended.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return err
}

// StopWaiting refuses all who wait for room, now and from now on: the gateway shuts down.
func (l *Limits) StopWaiting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopWaiting()
}

func (l *Limits) stopWaiting() {
	select {
	case <-l.closing:
	default:
		close(l.closing)
	}
}

func (l *Limits) id() ratelimit.ID {
	return ratelimit.ID(strconv.AppendUint(append(make([]byte, 0, 48), l.run...), l.serial.Add(1), 36))
}

// overshot is told by how much a bucket's limit was exceeded.
func (l *Limits) overshot(b ratelimit.Bucket, amount int64) {
	if m := l.meter(b.Key); m != nil {
		m.Overshot(amount)
	}
}

// meter finds the instruments of a bucket's limit: the key begins with three parts that name it.
func (l *Limits) meter(key string) Meter {
	bars := 0
	for i := range len(key) {
		if key[i] != '|' {
			continue
		}
		if bars++; bars == 3 {
			key = key[:i]
			break
		}
	}
	if m, ok := l.meters.Load(key); ok {
		return m.(Meter)
	}
	return nil
}

// extendEvery is how often the leases that run are looked at, and extendAfter how long one runs before it is extended: well
// within a reservation's time to live, a minute.
const (
	extendEvery = 5 * time.Second
	extendAfter = 20 * time.Second
)

// keeper extends the reservations of calls that still run.
type keeper struct {
	shards [16]keeperShard
	once   sync.Once
	ended  sync.WaitGroup
}

// keeperShard is a list in the order of what is due first, with a sentinel.
type keeperShard struct {
	mu   sync.Mutex
	root Lease
	n    int
}

func (k *keeper) init() {
	for i := range k.shards {
		r := &k.shards[i].root
		r.next, r.prev = r, r
	}
}

// start begins to look after leases, when there is a first one.
func (k *keeper) start(stop <-chan struct{}) {
	k.once.Do(func() { k.ended.Go(func() { k.run(stop) }) })
}

func (k *keeper) run(stop <-chan struct{}) {
	t := time.NewTicker(extendEvery)
	defer t.Stop()
	for {
		select {
		case <-stop:
			// What runs at shutdown has the rest of its time to live, and is settled even after it.
			return
		case now := <-t.C:
			for i := range k.shards {
				k.shards[i].extend(now)
			}
		}
	}
}

// extend extends what is due. A lease cannot end meanwhile: whoever ends it waits for the lock of its parts.
func (s *keeperShard) extend(now time.Time) {
	for {
		s.mu.Lock()
		first := s.root.next
		if first == &s.root || now.Before(first.due) {
			s.mu.Unlock()
			return
		}
		first.unlink()
		first.due = now.Add(extendAfter)
		first.link(&s.root)
		s.mu.Unlock()
		first.extend()
	}
}

func (k *keeper) add(ls *Lease, id uint64) {
	s := &k.shards[id%uint64(len(k.shards))]
	ls.kept = s
	ls.due = time.Now().Add(extendAfter)
	s.mu.Lock()
	ls.link(&s.root)
	s.n++
	s.mu.Unlock()
}

func (k *keeper) remove(ls *Lease) {
	ls.kept.mu.Lock()
	ls.unlink()
	ls.kept.n--
	ls.kept.mu.Unlock()
}

// len is how many leases run.
func (k *keeper) len() (n int) {
	for i := range k.shards {
		k.shards[i].mu.Lock()
		n += k.shards[i].n
		k.shards[i].mu.Unlock()
	}
	return n
}

func (ls *Lease) link(root *Lease) {
	ls.prev, ls.next = root.prev, root
	root.prev.next, root.prev = ls, ls
}

func (ls *Lease) unlink() {
	ls.prev.next, ls.next.prev = ls.next, ls.prev
	ls.prev, ls.next = nil, nil
}
