//go:build redis

package redis

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/ratelimittest"
)

// A fleet is replicas on one store whose clock stands still until the test moves it.
type fleet struct {
	t       testing.TB
	client  redis.UniversalClient
	options Options
	clock   atomic.Int64
	mu      sync.Mutex
	members map[int]*Limiter
}

var fleets atomic.Int64 // a prefix for each

func newFleet(t testing.TB, client redis.UniversalClient, o Options) *fleet {
	f := &fleet{t: t, client: client, options: o, members: make(map[int]*Limiter)}
	f.options.Prefix = fmt.Sprint("test", fleets.Add(1), ":")
	f.options.TTL = ratelimittest.TTL
	if f.options.Timeout == 0 {
		f.options.Timeout = 30 * time.Second // for a machine that stalls
	}
	f.clock.Store(ratelimittest.Start.UnixNano())
	t.Cleanup(func() {
		for _, l := range f.members {
			l.Close()
		}
	})
	return f
}

// replica returns the nth limiter. It has no ticker: sync and advance do what that would.
func (f *fleet) replica(n int) *Limiter {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members[n] == nil {
		l := newLimiter(f.client, f.options)
		l.clock = f.clock.Load
		l.script.Store(newScript(source).at(f.clock.Load() / 1e6))
		l.nodes.learn(l)
		f.members[n] = l
	}
	return f.members[n]
}

// kill forgets a replica as a crash would.
func (f *fleet) kill(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.members, n)
}

func (f *fleet) advance(d time.Duration) {
	// Long waits go in steps, as replicas' reports would.
	for d > 0 {
		step := min(d, 15*time.Second)
		if d > time.Hour {
			step = d - time.Hour
		}
		d -= step
		now := f.clock.Add(int64(step))
		for _, l := range f.members {
			l.script.Store(newScript(source).at(now / 1e6))
			l.beat(true)
		}
		f.sync()
	}
}

// sync returns when the store knows all that the replicas know.
func (f *fleet) sync() {
	for range 2 {
		for _, l := range f.members {
			for _, n := range l.lanes {
				n.drain()
			}
		}
	}
}

func (f *fleet) harness() *ratelimittest.Harness {
	return &ratelimittest.Harness{
		Replica: func(n int) ratelimit.Limiter { return f.replica(n) },
		Advance: f.advance,
		Sync:    f.sync,
	}
}

func TestSuite(t *testing.T) {
	client := newServer(t).client()
	ratelimittest.Run(t, func(t testing.TB) *ratelimittest.Harness {
		return newFleet(t, client, Options{}).harness()
	})
}

func TestSuiteExact(t *testing.T) {
	client := newServer(t).client()
	ratelimittest.Run(t, func(t testing.TB) *ratelimittest.Harness {
		return newFleet(t, client, Options{Exact: true}).harness()
	})
}

func TestSuiteCluster(t *testing.T) {
	client := clusterClient(t, newCluster(t, 3, 0))
	ratelimittest.Run(t, func(t testing.TB) *ratelimittest.Harness {
		return newFleet(t, client, Options{}).harness()
	})
}
