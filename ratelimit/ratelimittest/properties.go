package ratelimittest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

func twoHundred(b *bench) {
	var granted atomic.Int64
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			_, err := b.reserve(id("client ", i), charge("team", 10, 1, minute), charge(id("key ", i%7), 100, 1, minute))
			if err == nil {
				granted.Add(1)
			}
		})
	}
	group.Wait()
	if granted.Load() != 10 {
		b.Fatalf("%d granted, expected 10", granted.Load())
	}
	b.left(charge("team", 10, 0, minute), 0)
	for k := range 7 {
		b.sync()
		s, err := b.Peek(context.Background(), []ratelimit.Bucket{charge(id("key ", k), 100, 0, minute).Bucket})
		if err != nil || s[0].Remaining < 90 {
			b.Fatalf("key %d: %+v %v", k, s, err)
		}
		granted.Add(s[0].Remaining - 100)
	}
	if granted.Load() != 0 {
		b.Fatalf("the refused hold %d", -granted.Load())
	}
}

// littleUsed: with four clients that each reserve 8 % and use 1 %, at least 90 % of the limit is used.
func littleUsed(b *bench) {
	var used atomic.Int64
	var group sync.WaitGroup
	for n := range 4 {
		group.Go(func() {
			for i := range 200 {
				g, err := b.reserve(id(n, " ", i), charge("team", 10_000, 800, minute))
				if err != nil {
					return
				}
				b.settle(g, 100)
				used.Add(100)
			}
		})
	}
	group.Wait()
	if u := used.Load(); u < 9000 || u > 10_000 {
		b.Fatalf("%d of 10000 used", u)
	}
}

// anyWindow compares with a log of all that was granted: no window holds more than the limit, and whatever is refused
// would not have fitted into a window longer by a slot.
func anyWindow(b *bench) {
	const limit = 100
	rng := rand.New(rand.NewPCG(1, 2))
	window := 10 * time.Second
	slot := window/30 + time.Millisecond
	type grant struct {
		at     time.Duration
		amount int64
	}
	var log []grant
	within := func(from, to time.Duration) (sum int64) {
		for _, g := range log {
			if g.at > from && g.at <= to {
				sum += g.amount
			}
		}
		return sum
	}
	now := time.Duration(0)
	for i := range 400 {
		step := time.Duration(rng.IntN(400)) * time.Millisecond
		b.Advance(step)
		now += step
		amount := int64(rng.IntN(15))
		_, err := b.reserve(id("r", i), charge("team", limit, amount, ratelimit.Sliding(window)))
		switch {
		case err == nil:
			log = append(log, grant{now, amount})
			if sum := within(now-window, now); sum > limit {
				b.Fatalf("step %d: %d granted within the last window", i, sum)
			}
		case within(now-window-slot, now)+amount <= limit:
			b.Fatalf("step %d: %d refused although %d of %d are used", i, amount, within(now-window-slot, now), limit)
		}
	}
}

// concurrent reserves, settles, releases and forgets from many goroutines, and counts afterwards.
func concurrent(b *bench) {
	const limit = 50_000
	week := ratelimit.Calendar(ratelimit.Week, nil)
	var used [5]atomic.Int64
	var peak [5]atomic.Int64
	var group sync.WaitGroup
	for n := range 16 {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for i := range 150 {
				one, two := rng.IntN(5), rng.IntN(5)
				amount := int64(rng.IntN(200))
				g, err := b.reserve(id(n, "/", i), charge(id("k", one), limit, amount, week), charge(id("k", two), limit, amount, week))
				if err != nil {
					continue
				}
				for _, k := range []int{one, two} {
					if now := peak[k].Add(amount); now > limit {
						b.Errorf("%d reserved at once in bucket %d", now, k)
					}
				}
				actual := int64(0)
				if release := rng.IntN(3) == 0; !release {
					actual = rng.Int64N(amount + 1)
				}
				for _, k := range []int{one, two} { // before it goes back: another one may have it at once
					used[k].Add(actual)
					peak[k].Add(actual - amount)
				}
				b.settle(g, actual, actual)
			}
		})
	}
	group.Wait()
	for k := range used {
		b.left(charge(fmt.Sprint("k", k), limit, 0, week), limit-used[k].Load())
	}
}
