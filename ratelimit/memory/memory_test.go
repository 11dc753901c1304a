package memory_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/memory"
	"github.com/nantian-gw/nantian/ratelimit/ratelimittest"
)

type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.at.Store(ratelimittest.Start.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func open(testing.TB) *ratelimittest.Harness {
	c := newClock()
	l := memory.New(memory.Options{TTL: ratelimittest.TTL, Now: c.now})
	return &ratelimittest.Harness{
		Replica: func(int) ratelimit.Limiter { return l },
		Advance: c.advance,
	}
}

func TestSuite(t *testing.T) { ratelimittest.Run(t, open) }

func one(key string, limit, amount int64) []ratelimit.Charge {
	return []ratelimit.Charge{{Bucket: ratelimit.Bucket{Key: key, Limit: limit, Window: ratelimit.Sliding(time.Minute)}, Amount: amount}}
}

// TestEvict: under a flood of keys the bucket that is at its limit stays, and so does one that holds a reservation.
func TestEvict(t *testing.T) {
	c := newClock()
	l := memory.New(memory.Options{MaxBuckets: 1024, MaxReservations: 1 << 20, Now: c.now})
	ctx := context.Background()
	full, err := l.Reserve(ctx, "full", one("full", 10, 10))
	if err != nil {
		t.Fatal(err)
	}
	l.Settle(ctx, full, []int64{10})
	if _, err := l.Reserve(ctx, "held", one("held", 1000, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range 20_000 {
		g, err := l.Reserve(ctx, ratelimit.ID(fmt.Sprint(i)), one(fmt.Sprint("flood", i), 10, 1))
		if err != nil {
			t.Fatal(err)
		}
		l.Settle(ctx, g, []int64{1})
	}
	if _, err := l.Reserve(ctx, "again", one("full", 10, 1)); err == nil {
		t.Error("the full bucket was forgotten")
	}
	if s, _ := l.Peek(ctx, []ratelimit.Bucket{one("held", 1000, 0)[0].Bucket}); s[0].Remaining != 999 {
		t.Error("the bucket that holds a reservation was forgotten")
	}
	if s := l.Stats(); s.Buckets > 1024 || s.Evicted == 0 {
		t.Errorf("%+v", s)
	}
}

func TestFull(t *testing.T) {
	l := memory.New(memory.Options{MaxBuckets: 64, MaxReservations: 1000})
	refused := 0
	for i := range 500 {
		if _, err := l.Reserve(context.Background(), ratelimit.ID(fmt.Sprint(i)), one(fmt.Sprint(i), 10, 1)); errors.Is(err, ratelimit.ErrFull) {
			refused++
		}
	}
	if s := l.Stats(); s.Buckets > 64 || refused < 400 {
		t.Errorf("%d refused, %+v", refused, s)
	}
	few := memory.New(memory.Options{MaxReservations: 10})
	for i := range 11 {
		_, err := few.Reserve(context.Background(), ratelimit.ID(fmt.Sprint(i)), one("a", 100, 1))
		if (i == 10) != errors.Is(err, ratelimit.ErrFull) {
			t.Errorf("reservation %d: %v", i, err)
		}
	}
	if s, _ := few.Peek(context.Background(), []ratelimit.Bucket{one("a", 100, 0)[0].Bucket}); s[0].Remaining != 90 {
		t.Errorf("a reservation that was refused holds room: %+v", s)
	}
}

func TestOvershoot(t *testing.T) {
	var over []string
	l := memory.New(memory.Options{Overshoot: func(b ratelimit.Bucket, amount int64) { over = append(over, fmt.Sprint(b.Key, " ", amount)) }})
	settle := func(id string, reserve, actual int64) {
		g, err := l.Reserve(context.Background(), ratelimit.ID(id), one("team", 100, reserve))
		if err != nil {
			t.Fatal(err)
		}
		l.Settle(context.Background(), g, []int64{actual})
	}
	settle("a", 50, 80)
	settle("b", 20, 30)
	settle2 := l.Stats().Overshot
	if fmt.Sprint(over) != "[team 10]" || settle2 != 1 {
		t.Errorf("%v, %d", over, settle2)
	}
}

func TestChargeForget(t *testing.T) {
	l := memory.New(memory.Options{})
	b := one("team", 100, 0)[0].Bucket
	if err := l.Charge(b, 150); err != nil || l.Used(b) != 150 {
		t.Error(err, l.Used(b))
	}
	l.Forget(b)
	if l.Used(b) != 0 {
		t.Error(l.Used(b))
	}
}

// TestClockBack: a clock that goes back neither frees nor loses anything.
func TestClockBack(t *testing.T) {
	c := newClock()
	l := memory.New(memory.Options{Now: c.now})
	g, err := l.Reserve(context.Background(), "a", one("team", 10, 10))
	if err != nil {
		t.Fatal(err)
	}
	l.Settle(context.Background(), g, []int64{10})
	c.advance(-time.Hour)
	if _, err := l.Reserve(context.Background(), "b", one("team", 10, 1)); err == nil {
		t.Error("granted")
	}
	c.advance(time.Hour + 62*time.Second)
	if _, err := l.Reserve(context.Background(), "c", one("team", 10, 10)); err != nil {
		t.Error(err)
	}
}

func TestAllocations(t *testing.T) {
	l := memory.New(memory.Options{})
	charges := append(one("team", 1<<40, 10), one("key", 1<<40, 10)...)
	actual := []int64{7, 7}
	// The grant's states, and nothing else.
	if n := testing.AllocsPerRun(1000, func() {
		g, err := l.Reserve(context.Background(), "a", charges)
		if err != nil {
			t.Fatal(err)
		}
		l.Extend(context.Background(), g)
		l.Settle(context.Background(), g, actual)
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzReserve: any key, limit, window and amounts give an answer that keeps the bucket's rules.
func FuzzReserve(f *testing.F) {
	f.Add("team", int64(10), int64(time.Minute), int64(4), int64(7), int64(1000))
	f.Add("", int64(-1), int64(1), int64(1<<62), int64(-1), int64(-1<<62))
	f.Add("x", int64(ratelimit.MaxLimit), int64(ratelimit.MaxWindow), int64(ratelimit.MaxAmount), int64(ratelimit.MaxAmount), int64(0))
	f.Fuzz(func(t *testing.T, key string, limit, window, amount, actual, wait int64) {
		c := newClock()
		l := memory.New(memory.Options{Now: c.now, MaxBuckets: 64})
		b := ratelimit.Bucket{Key: key, Limit: limit, Window: ratelimit.Sliding(time.Duration(window))}
		charges := []ratelimit.Charge{{Bucket: b, Amount: amount}}
		ctx := context.Background()
		for i := range 3 {
			g, err := l.Reserve(ctx, ratelimit.ID(fmt.Sprint(i)), charges)
			used := l.Used(b)
			if err == nil && (used > limit || g.States[0].Remaining != limit-used) {
				t.Fatalf("%d used of %d: %+v", used, limit, g.States[0])
			}
			var limited *ratelimit.LimitedError
			if errors.As(err, &limited) && !limited.Never() && limited.RetryAfter <= 0 {
				t.Fatalf("%+v", limited)
			}
			if l.Settle(ctx, g, []int64{actual}) == nil && err == nil && l.Used(b) < min(actual, ratelimit.MaxUsed) {
				t.Fatalf("%d used after %d", l.Used(b), actual)
			}
			c.advance(time.Duration(wait % int64(48*time.Hour)))
		}
	})
}
