package xds

import (
	"math/rand/v2"
	"time"
)

// backoff is how long to wait before another attempt: longer each time, and never the same for all data planes, for they
// lose a control plane together.
type backoff struct {
	min, max time.Duration
	failures int
}

// next is the wait after an attempt that lived so long. One that lived longer than the longest wait was a good one.
func (b *backoff) next(lived time.Duration) time.Duration {
	if lived > b.max {
		b.failures = 0
	}
	d := b.max
	if b.failures < 30 && b.min<<b.failures < b.max {
		d = b.min << b.failures
	}
	b.failures++
	return d/4 + rand.N(d*3/4+1)
}
