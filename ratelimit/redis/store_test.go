//go:build redis

package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/ratelimittest"
)

func bucket(key string, limit int64, window time.Duration) ratelimit.Bucket {
	return ratelimit.Bucket{Key: key, Limit: limit, Window: ratelimit.Sliding(window)}
}

func reserve(l ratelimit.Limiter, id string, b ratelimit.Bucket, amount int64) (ratelimit.Grant, error) {
	return l.Reserve(context.Background(), ratelimit.ID(id), []ratelimit.Charge{{Bucket: b, Amount: amount}})
}

func left(t testing.TB, l ratelimit.Limiter, b ratelimit.Bucket) int64 {
	t.Helper()
	s, err := l.Peek(context.Background(), []ratelimit.Bucket{b})
	if err != nil {
		t.Fatal(err)
	}
	return s[0].Remaining
}

// TestFleet: whatever four replicas with leases do at once, never more than the limit is granted.
func TestFleet(t *testing.T) {
	f := newFleet(t, newServer(t).client(), Options{})
	b := bucket("team", 100_000, time.Minute)
	var granted atomic.Int64
	var group sync.WaitGroup
	for n := range 4 {
		l := f.replica(n)
		for caller := range 16 {
			group.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(n), uint64(caller)))
				for i := range 2000 {
					amount := 1 + rng.Int64N(20)
					if _, err := reserve(l, fmt.Sprint(caller, "/", i), b, amount); err == nil {
						granted.Add(amount)
					}
				}
			})
		}
	}
	group.Wait()
	f.sync()
	if g := granted.Load(); g > b.Limit || g < b.Limit*95/100 {
		t.Errorf("%d of %d granted", g, b.Limit)
	}
	if over := b.Limit - left(t, f.replica(9), b) - granted.Load(); over < 0 || over > b.Limit/20 {
		t.Errorf("the store knows of %d more than was granted", over)
	}
	leased := uint64(0)
	for n := range 4 {
		leased += f.replica(n).Stats().Leased
	}
	if leased == 0 {
		t.Error("no lease was used")
	}
}

// TestLeaseOfTheDead: what a dead replica had leased and not used is free after a twentieth of the window.
func TestLeaseOfTheDead(t *testing.T) {
	f := newFleet(t, newServer(t).client(), Options{})
	b := bucket("team", 100_000, 80*time.Second)
	l := f.replica(1)
	for i := range 100 {
		if _, err := reserve(l, fmt.Sprint(i), b, 10); err != nil {
			t.Fatal(err)
		}
		f.clock.Add(int64(time.Millisecond))
	}
	f.sync()
	a := l.accounts.find(&b)
	a.mu.Lock()
	lease := a.lease
	a.mu.Unlock()
	if lease == 0 || lease > b.Limit/share {
		t.Fatalf("a lease of %d", lease)
	}
	f.kill(1)
	if got := left(t, f.replica(2), b); got != b.Limit-1000-lease {
		t.Errorf("%d left while the lease holds, expected %d", got, b.Limit-1000-lease)
	}
	f.advance(4 * time.Second)
	if got := left(t, f.replica(2), b); got != b.Limit-1000 {
		t.Errorf("%d left after the lease, expected %d", got, b.Limit-1000)
	}
	f.advance(ratelimittest.TTL)
	if got := left(t, f.replica(2), b); got != b.Limit {
		t.Errorf("%d left after the reservations, expected %d", got, b.Limit)
	}
}

// lossy is a store that loses requests and replies.
type lossy struct {
	mu   sync.Mutex
	rng  *rand.Rand
	lose bool
}

var errLost = errors.New("lost on the way")

func (h *lossy) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *lossy) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h *lossy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.mu.Lock()
		dice := h.rng.IntN(10)
		lose := h.lose
		h.mu.Unlock()
		var err error
		if !lose || dice > 1 {
			err = next(ctx, cmds)
		}
		if lose && dice < 4 {
			err = errLost
			for _, c := range cmds {
				c.SetErr(err)
			}
		}
		return err
	}
}

// TestLost: requests and replies that are lost neither lose nor double what is used.
func TestLost(t *testing.T) {
	hook := &lossy{rng: rand.New(rand.NewPCG(1, 1)), lose: true}
	client := newServer(t).client()
	client.AddHook(hook)
	f := newFleet(t, client, Options{})
	b := bucket("team", 1_000_000, time.Hour)
	var used int64
	rng := rand.New(rand.NewPCG(2, 2))
	for i := range 600 {
		n := rng.IntN(3)
		g, err := reserve(f.replica(n), fmt.Sprint(i), b, 100)
		if err != nil {
			t.Fatal(err)
		}
		actual := rng.Int64N(200)
		if err := f.replica(n).Settle(context.Background(), g, []int64{actual}); err != nil {
			t.Fatal(err)
		}
		used += actual
		if i%7 == 0 {
			f.advance(250 * time.Millisecond)
		}
	}
	hook.mu.Lock()
	hook.lose = false
	hook.mu.Unlock()
	f.advance(10 * time.Second)
	f.advance(10 * time.Second)
	if got := b.Limit - left(t, f.replica(5), b); got != used {
		t.Errorf("the store knows of %d, expected %d", got, used)
	}
}

// TestClockSkew: replicas whose clocks are hours apart agree, because the store's clock counts.
func TestClockSkew(t *testing.T) {
	f := newFleet(t, newServer(t).client(), Options{Exact: true})
	day := ratelimit.Bucket{Key: "day", Limit: 10, Window: ratelimit.Calendar(ratelimit.Day, time.UTC)}
	charges := []ratelimit.Charge{{Bucket: day, Amount: 1}, {Bucket: bucket("minute", 10, time.Minute), Amount: 1}}
	for n, skew := range []time.Duration{0, -50 * time.Hour, 50 * time.Hour, 30 * time.Minute, -400 * 24 * time.Hour} {
		l := f.replica(n)
		l.clock = func() int64 { return f.clock.Load() + int64(skew) }
		for i := range 2 {
			if _, err := l.Reserve(context.Background(), ratelimit.ID(fmt.Sprint(i)), charges); err != nil {
				t.Fatalf("skew %s: %v", skew, err)
			}
		}
	}
	for n := range 5 {
		var limited *ratelimit.LimitedError
		if _, err := f.replica(n).Reserve(context.Background(), "more", charges); !errors.As(err, &limited) || limited.RetryAfter != 12*time.Hour {
			t.Errorf("replica %d: %v", n, err)
		}
	}
}

// TestUnusedBucketsGo: accounts and keys do not stay.
func TestUnusedBucketsGo(t *testing.T) {
	client := newServer(t).client()
	f := newFleet(t, client, Options{MaxBuckets: 1 << 14})
	l := f.replica(1)
	for i := range 3000 {
		g, err := reserve(l, fmt.Sprint(i), bucket(fmt.Sprint(i), 10, time.Second), 1)
		if err != nil {
			t.Fatal(err)
		}
		l.Release(context.Background(), g)
	}
	keys := client.DBSize(context.Background()).Val()
	f.advance(10 * time.Second)
	f.advance(10 * time.Second)
	if n := l.Stats().Buckets; n != 0 || keys != 3000 {
		t.Errorf("%d accounts are left of %d keys", n, keys)
	}
	ttl := client.PTTL(context.Background(), l.options.Prefix+"1s:7").Val()
	if ttl <= 0 || ttl > 63*time.Second {
		t.Errorf("a key's time to live is %s", ttl)
	}
}

// TestManyBucketsAtOnce: more buckets in use than there may be accounts.
func TestManyBucketsAtOnce(t *testing.T) {
	f := newFleet(t, newServer(t).client(), Options{MaxBuckets: 64})
	l := f.replica(1)
	full := 0
	for i := range 1000 {
		if _, err := reserve(l, fmt.Sprint(i), bucket(fmt.Sprint(i), 10, time.Minute), 1); errors.Is(err, ratelimit.ErrFull) {
			full++
		}
	}
	if n := l.Stats().Buckets; full == 0 || n > 64 {
		t.Errorf("%d were refused, %d buckets", full, n)
	}
}

// TestWait: WAIT says what replicas of the store do not have.
func TestWait(t *testing.T) {
	primary := newServer(t)
	l := New(primary.client(), Options{Wait: Wait{Replicas: 1, Timeout: 10 * time.Millisecond}})
	defer l.Close()
	b := bucket("team", 10, time.Minute)
	if _, err := reserve(l, "a", b, 1); err != nil || l.Stats().Unreplicated == 0 {
		t.Errorf("without a replica: %v, %+v", err, l.Stats())
	}
	replica := newServer(t, "--replicaof", "127.0.0.1 "+primary.port(), "--repl-diskless-sync-delay", "0")
	replica.await(func(c *redis.Client) error {
		if info := c.Info(context.Background(), "replication").Val(); !strings.Contains(info, "master_link_status:up") {
			return errors.New(info)
		}
		return nil
	})
	await(t, func() error {
		before := l.Stats()
		g, err := reserve(l, fmt.Sprint(before.RoundTrips), b, 1)
		if err != nil {
			return err
		}
		l.Release(context.Background(), g)
		if l.Stats().Unreplicated > before.Unreplicated {
			return errors.New("not replicated")
		}
		return nil
	})
}

// TestClose: no goroutine stays, leases and settlements reach the store, and what comes later is refused.
func TestClose(t *testing.T) {
	client := newServer(t).client()
	client.Ping(context.Background())
	before := runtime.NumGoroutine()
	b := bucket("team", 100_000, time.Minute)
	l := New(client, Options{})
	for i := range 200 {
		g, err := reserve(l, fmt.Sprint(i), b, 10)
		if err != nil {
			t.Fatal(err)
		}
		l.Settle(context.Background(), g, []int64{7})
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := reserve(l, "late", b, 1); !errors.Is(err, ratelimit.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	other := New(client, Options{})
	if got := left(t, other, b); got != b.Limit-1400 {
		t.Errorf("%d left, expected %d", got, b.Limit-1400)
	}
	if err := errors.Join(other.Close(), other.Close()); err != nil {
		t.Error(err)
	}
	await(t, func() error {
		if now := runtime.NumGoroutine(); now > before {
			return fmt.Errorf("%d goroutines, before %d", now, before)
		}
		return nil
	})
}

// TestCloseAway: a store that is away does not hold Close up, and it says what it does not know.
func TestCloseAway(t *testing.T) {
	s := newServer(t)
	l := New(s.client(), Options{})
	g, err := reserve(l, "a", bucket("team", 10, time.Minute), 1)
	if err != nil {
		t.Fatal(err)
	}
	s.kill()
	l.Settle(context.Background(), g, []int64{1})
	began := time.Now()
	var unsettled *UnsettledError
	if err := l.Close(); !errors.As(err, &unsettled) || unsettled.Buckets != 1 {
		t.Errorf("close: %v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("close took %s", took)
	}
}

// TestCaller leaves while the store hangs: the caller is let go at once, and what it would have got goes back.
func TestCaller(t *testing.T) {
	s := newServer(t)
	l := New(s.client(), Options{Timeout: 30 * time.Second})
	defer l.Close()
	b := bucket("team", 10, time.Minute)
	if got := left(t, l, b); got != 10 {
		t.Fatal(got)
	}
	pause := redis.NewClient(&redis.Options{Addr: s.addr})
	defer pause.Close()
	pause.Do(context.Background(), "CLIENT", "PAUSE", "5000", "ALL")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := l.Reserve(ctx, "a", []ratelimit.Charge{{Bucket: b, Amount: 10}})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 4*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	await(t, func() error {
		if got := left(t, l, b); got != 10 {
			return fmt.Errorf("%d left", got)
		}
		return nil
	})
}
