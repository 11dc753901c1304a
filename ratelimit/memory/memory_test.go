package memory_test

import (
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
