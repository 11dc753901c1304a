package ratelimittest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

// Run tests a limiter. Each test gets a harness of its own.
func Run(t *testing.T, open func(testing.TB) *Harness) {
	f := func(name string, test func(*bench)) {
		t.Run(name, func(t *testing.T) { test(newBench(t, open)) })
	}
	f("grants up to the limit", upToTheLimit)
	f("all or none", allOrNone)
	f("one bucket charged twice", oneBucketTwice)
	f("names the bucket with the longest wait", longestWait)
	f("settles below and above", settles)
	f("settles once", settlesOnce)
	f("settles in the window that was charged", settlesInItsWindow)
	f("reserves once by id", reservesOnce)
	f("expires", expires)
	f("settles after it expired", settlesLate)
	f("many buckets in one reservation", manyBuckets)
	f("a window slides", slides)
	f("a calendar turns", turns)
	f("the longest window", longest)
	f("a limit changes", limitChanges)
	f("windows are part of the identity", windows)
	f("the largest amounts", largest)
	f("refuses what is invalid", invalid)
	f("200 clients against 10", twoHundred)
	f("reserves much and uses little", littleUsed)
	f("never more than the limit in any window", anyWindow)
	f("nothing is lost under concurrency", concurrent)
}

func upToTheLimit(b *bench) {
	c := charge("team", 10, 4, minute)
	g := b.granted("a", c)
	if s := g.States[0]; s.Limit != 10 || s.Remaining != 6 || s.Reset < time.Minute || s.Reset > 62*time.Second {
		b.Fatalf("state %+v", s)
	}
	b.granted("b", c)
	e := b.refused("c", c)
	if e.Bucket.Key != "team" || e.Amount != 4 || e.Remaining != 2 || e.Never() || e.RetryAfter < time.Minute || e.RetryAfter > 62*time.Second {
		b.Fatalf("%+v", e)
	}
	b.granted("d", charge("team", 10, 2, minute))
	b.refused("e", charge("team", 10, 1, minute))
	b.granted("f", charge("team", 10, 0, minute))
	if e := b.refused("g", charge("team", 10, 11, minute)); !e.Never() || e.RetryAfter != 0 {
		b.Fatalf("%+v", e)
	}
}

func allOrNone(b *bench) {
	one, two, three := charge("one", 10, 1, minute), charge("two", 1, 1, minute), charge("three", 10, 1, minute)
	b.granted("a", one, two, three)
	if e := b.refused("b", one, two, three); e.Bucket.Key != "two" {
		b.Fatalf("%+v", e)
	}
	b.left(one, 9)
	b.left(two, 0)
	b.left(three, 9)
}

func oneBucketTwice(b *bench) {
	c := charge("team", 10, 6, minute)
	b.refused("a", c, c)
	b.left(c, 10)
	half := charge("team", 10, 5, minute)
	g := b.granted("b", half, half)
	b.left(c, 0)
	b.settle(g, 1, 2)
	b.left(c, 7)
}

func longestWait(b *bench) {
	short, long := charge("short", 1, 1, minute), charge("long", 1, 1, ratelimit.Sliding(time.Hour))
	b.granted("a", short, long)
	if e := b.refused("b", short, long); e.Bucket.Key != "long" || e.RetryAfter < time.Hour {
		b.Fatalf("%+v", e)
	}
	if e := b.refused("c", long, charge("short", 1, 2, minute)); !e.Never() || e.Bucket.Key != "short" {
		b.Fatalf("%+v", e)
	}
}

func settles(b *bench) {
	c := charge("team", 100, 50, minute)
	below := b.granted("below", c)
	b.left(c, 50)
	b.settle(below, 20)
	b.left(c, 80)
	above := b.granted("above", c)
	b.settle(above, 75)
	b.left(c, 5)
	over := b.granted("over", charge("team", 100, 5, minute))
	b.settle(over, 1000)
	b.left(c, 0)
	b.refused("none", charge("team", 100, 0, minute))
	back := b.granted("back", charge("other", 100, 50, minute))
	if err := b.Release(context.Background(), back); err != nil {
		b.Fatal(err)
	}
	b.left(charge("other", 100, 0, minute), 100)
}

func settlesOnce(b *bench) {
	c := charge("team", 100, 50, minute)
	g := b.granted("a", c)
	for range 3 {
		b.settle(g, 30)
		if err := b.Release(context.Background(), g); err != nil {
			b.Fatal(err)
		}
	}
	b.left(c, 70)
	b.settle(ratelimit.Grant{ID: "never reserved"}, 30)
	b.left(c, 70)
	short := b.granted("b", c)
	if err := b.Settle(context.Background(), short, []int64{1, 2}); !errors.Is(err, ratelimit.ErrCount) {
		b.Fatalf("two amounts for one charge: %v", err)
	}
	b.settle(short, 0)
	b.left(c, 70)
}

func settlesInItsWindow(b *bench) {
	c := charge("team", 100, 50, ratelimit.Sliding(10*time.Second))
	old := b.granted("old", c)
	b.Advance(11 * time.Second)
	b.left(c, 100) // what the running reservation took has left the window
	b.granted("new", c)
	b.settle(old, 0) // and is not given back a second time
	b.left(c, 50)
	older := b.granted("older", charge("team", 100, 10, ratelimit.Sliding(10*time.Second)))
	b.Advance(11 * time.Second)
	b.settle(older, 30) // the 20 that came on top weigh from now
	b.left(c, 80)
}

func reservesOnce(b *bench) {
	c := charge("team", 10, 4, minute)
	b.granted("a", c)
	if g := b.granted("a", c); g.States[0].Remaining != 6 {
		b.Fatalf("%+v", g)
	}
	b.left(c, 6)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := b.reserve("b", c); err != nil {
				var limited *ratelimit.LimitedError
				if !errors.As(err, &limited) {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.left(c, 2)
}

func expires(b *bench) {
	day := ratelimit.Calendar(ratelimit.Day, nil)
	c := charge("team", 10, 4, day)
	gone, kept := b.granted("gone", c), b.granted("kept", c)
	for range 3 {
		b.Advance(TTL / 2)
		if err := b.Extend(context.Background(), kept); err != nil {
			b.Fatal(err)
		}
	}
	b.left(c, 6)
	if err := b.Extend(context.Background(), gone); !errors.Is(err, ratelimit.ErrExpired) {
		b.Fatalf("extend: %v", err)
	}
	b.granted("more", charge("team", 10, 6, day))
	b.Advance(2 * TTL)
	b.granted("all", charge("team", 10, 10, day))
}

func settlesLate(b *bench) {
	c := charge("team", 100, 40, ratelimit.Calendar(ratelimit.Day, nil))
	g := b.granted("a", c)
	b.Advance(2 * TTL)
	b.left(c, 100)
	b.settle(g, 25)
	b.settle(g, 25)
	b.left(c, 75)
}

func manyBuckets(b *bench) {
	var all []ratelimit.Charge
	var actual []int64
	for i := range ratelimit.MaxCharges {
		all = append(all, charge(id("k", i), 10, int64(i%10), minute))
		actual = append(actual, 1)
	}
	b.settle(b.granted("a", all...), actual...)
	for _, c := range all {
		b.left(c, 9)
	}
}

func slides(b *bench) {
	c := charge("team", 10, 5, minute)
	b.settle(b.granted("a", c), 5)
	b.Advance(30 * time.Second)
	b.settle(b.granted("b", c), 5)
	e := b.refused("c", c)
	if e.RetryAfter < 30*time.Second || e.RetryAfter > 32*time.Second {
		b.Fatalf("%+v", e)
	}
	b.Advance(e.RetryAfter - time.Millisecond)
	b.refused("d", c)
	b.Advance(time.Millisecond)
	b.settle(b.granted("e", c), 5)
	b.refused("f", c)
	b.Advance(2 * time.Minute)
	b.left(c, 10)
}

func turns(b *bench) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	c := charge("team", 10, 10, ratelimit.Calendar(ratelimit.Day, berlin))
	again, _ := time.LoadLocation("Europe/Berlin")
	same := charge("team", 10, 10, ratelimit.Calendar(ratelimit.Day, again))
	// 13:00 in Berlin; its midnight is 23:00 UTC, and the day after has 23 hours.
	for _, wait := range []time.Duration{11 * time.Hour, 23 * time.Hour} {
		b.settle(b.granted(id("a", wait), c), 10)
		if e := b.refused(id("b", wait), same); e.RetryAfter != wait {
			b.Fatalf("retry after %s, expected %s", e.RetryAfter, wait)
		}
		b.Advance(wait - time.Millisecond)
		b.refused(id("c", wait), c)
		b.Advance(time.Millisecond)
	}
	b.left(c, 10)
	monthly := charge("team", 10, 10, ratelimit.Calendar(ratelimit.Month, berlin))
	b.settle(b.granted("month", monthly), 10)
	b.Advance(2 * 24 * time.Hour) // April
	b.left(monthly, 10)
}

func longest(b *bench) {
	c := charge("team", 10, 10, ratelimit.Sliding(ratelimit.MaxWindow))
	b.settle(b.granted("a", c), 10)
	b.Advance(ratelimit.MaxWindow)
	b.refused("b", c)
	b.Advance(ratelimit.MaxWindow/30 + time.Millisecond)
	b.left(c, 10)
}

func limitChanges(b *bench) {
	b.settle(b.granted("a", charge("team", 10, 8, minute)), 8)
	b.refused("b", charge("team", 5, 1, minute))
	b.left(charge("team", 5, 0, minute), 0)
	b.granted("c", charge("team", 20, 12, minute))
}

func windows(b *bench) {
	b.granted("a", charge("team", 10, 10, minute), charge("team", 10, 10, ratelimit.Sliding(time.Hour)),
		charge("team", 10, 10, ratelimit.Calendar(ratelimit.Day, nil)))
}

func largest(b *bench) {
	c := charge("team", ratelimit.MaxLimit, ratelimit.MaxAmount, minute)
	g := b.granted("a", c)
	if b.refused("b", charge("team", ratelimit.MaxLimit, 1, minute)).Remaining != 0 {
		b.Fatal("remaining")
	}
	b.settle(g, ratelimit.MaxAmount-1)
	b.left(c, 1)
	for i := range 4 {
		b.settle(b.granted(id("c", i), charge("other", ratelimit.MaxLimit, 0, minute)), ratelimit.MaxLimit/4)
	}
	b.left(charge("other", ratelimit.MaxLimit, 0, minute), 0)
	// Sums stop growing where integers stop being exact, and what has stopped leaves the window all the same.
	var zeros []ratelimit.Grant
	for i := range 3 {
		zeros = append(zeros, b.granted(id("z", i), charge("sum", ratelimit.MaxLimit, 0, minute)))
	}
	for _, g := range zeros {
		b.settle(g, ratelimit.MaxAmount)
	}
	b.left(charge("sum", ratelimit.MaxLimit, 0, minute), 0)
	b.Advance(2 * time.Minute)
	b.left(charge("sum", ratelimit.MaxLimit, 0, minute), ratelimit.MaxLimit)
}

func invalid(b *bench) {
	f := func(want, id string, c ...ratelimit.Charge) {
		b.Helper()
		if _, err := b.reserve(id, c...); err == nil || !strings.Contains(err.Error(), want) {
			b.Fatalf("got %v, expected %q", err, want)
		}
	}
	ok := charge("team", 10, 1, minute)
	f("an id of 0 bytes", "", ok)
	f("an id of 257 bytes", strings.Repeat("x", 257), ok)
	f("0 charges", "a")
	f("33 charges", "a", make([]ratelimit.Charge, 33)...)
	f("a key of 0 bytes", "a", charge("", 10, 1, minute))
	f("a key of 1025 bytes", "a", charge(strings.Repeat("x", 1025), 10, 1, minute))
	f("limit -1", "a", charge("team", -1, 1, minute))
	f("limit 4503599627370497", "a", charge("team", ratelimit.MaxLimit+1, 1, minute))
	f("amount -1", "a", charge("team", 10, -1, minute))
	f("amount 4503599627370497", "a", charge("team", 10, ratelimit.MaxAmount+1, minute))
	f("window: 0s", "a", charge("team", 10, 1, ratelimit.Window{}))
	f("window: 999ms", "a", charge("team", 10, 1, ratelimit.Sliding(999*time.Millisecond)))
	f("window: 744h0m1s", "a", charge("team", 10, 1, ratelimit.Sliding(ratelimit.MaxWindow+time.Second)))
	f("whole milliseconds", "a", charge("team", 10, 1, ratelimit.Sliding(time.Second+1)))
	f("period 9", "a", charge("team", 10, 1, ratelimit.Calendar(9, nil)))
	f("Local", "a", charge("team", 10, 1, ratelimit.Calendar(ratelimit.Day, time.Local)))
	closed, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Reserve(closed, "a", []ratelimit.Charge{ok}); !errors.Is(err, context.Canceled) {
		b.Fatalf("a context that has ended: %v", err)
	}
	if _, err := b.Peek(context.Background(), []ratelimit.Bucket{{}}); err == nil {
		b.Fatal("peek at an invalid bucket")
	}
	if err := b.Settle(context.Background(), b.granted("b", ok), []int64{-1}); err == nil {
		b.Fatal("a negative amount was settled")
	}
	b.left(ok, 9)
}
