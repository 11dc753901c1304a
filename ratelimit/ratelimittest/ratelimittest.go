// Package ratelimittest holds the tests that every ratelimit.Limiter passes: the suite (Run) and stories (Stories), which
// are scripts of commands with the answers that are expected.
package ratelimittest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

// TTL is the time to live of reservations that a Harness's limiters must have.
const TTL = time.Minute

// Start is where a Harness's clock begins: a day before Europe's clocks changed in 2026.
var Start = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

// A Harness is a fresh set of limiters on one store and one clock.
type Harness struct {
	// Replica returns the nth limiter, from 1; it makes it if need be. A store within one process has only one.
	Replica func(n int) ratelimit.Limiter
	// Advance moves the clock of the store and of the limiters, and returns when what depends on it has been done.
	Advance func(d time.Duration)
	// Sync returns when all that was settled has reached the store. Nil: it always has.
	Sync func()
	// Do runs a story's command that only this store knows, and returns its answer.
	Do func(command string, args []string) string
}

func (h *Harness) sync() {
	if h.Sync != nil {
		h.Sync()
	}
}

// A bench is a Harness with the words that the suite is written in.
type bench struct {
	*testing.T
	*Harness
	ratelimit.Limiter
}

func newBench(t *testing.T, open func(testing.TB) *Harness) *bench {
	h := open(t)
	return &bench{t, h, h.Replica(1)}
}

func charge(key string, limit, amount int64, w ratelimit.Window) ratelimit.Charge {
	return ratelimit.Charge{Bucket: ratelimit.Bucket{Key: key, Limit: limit, Window: w}, Amount: amount}
}

var minute = ratelimit.Sliding(time.Minute)

func (b *bench) reserve(id string, c ...ratelimit.Charge) (ratelimit.Grant, error) {
	return b.Reserve(context.Background(), ratelimit.ID(id), c)
}

func (b *bench) granted(id string, c ...ratelimit.Charge) ratelimit.Grant {
	b.Helper()
	g, err := b.reserve(id, c...)
	if err != nil {
		b.Fatalf("reserve %s: %v", id, err)
	}
	return g
}

func (b *bench) refused(id string, c ...ratelimit.Charge) *ratelimit.LimitedError {
	b.Helper()
	_, err := b.reserve(id, c...)
	var limited *ratelimit.LimitedError
	if !errors.As(err, &limited) {
		b.Fatalf("reserve %s: got %v, expected a LimitedError", id, err)
	}
	return limited
}

func (b *bench) settle(g ratelimit.Grant, actual ...int64) {
	b.Helper()
	if err := b.Settle(context.Background(), g, actual); err != nil {
		b.Fatalf("settle %s: %v", g.ID, err)
	}
}

func (b *bench) left(c ratelimit.Charge, want int64) {
	b.Helper()
	b.sync()
	s, err := b.Peek(context.Background(), []ratelimit.Bucket{c.Bucket})
	if err != nil {
		b.Fatalf("peek: %v", err)
	}
	if s[0].Remaining != want {
		b.Fatalf("bucket %s: %d left, expected %d", c.Bucket.Key, s[0].Remaining, want)
	}
}

func id(parts ...any) string { return fmt.Sprint(parts...) }
