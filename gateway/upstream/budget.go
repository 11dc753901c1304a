package upstream

import (
	"sync"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// budget bounds retries to a share of the calls of an interval. A nil budget allows all. It counts in tenths of its intervals,
// so what it forgets it forgets a tenth at a time.
type budget struct {
	percent, least uint64

	mu      sync.Mutex
	calls   window
	retries window // of the interval of calls
	recent  window // retries, of the interval of the least rate
}

func newBudget(b *xdsv1.RetryBudget) *budget {
	if b == nil {
		return nil
	}
	interval := b.GetInterval().AsDuration()
	return &budget{
		percent: uint64(b.GetPercent()), least: uint64(b.GetMinRetries()),
		calls: window{step: interval / steps}, retries: window{step: interval / steps}, recent: window{step: b.GetMinInterval().AsDuration() / steps},
	}
}

// request counts a call, a retry or not.
func (b *budget) request() {
	if b == nil {
		return
	}
	now := time.Now()
	b.mu.Lock()
	b.calls.add(now)
	b.mu.Unlock()
}

// retry says whether one more retry is allowed, and counts it.
func (b *budget) retry() bool {
	if b == nil {
		return true
	}
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	share := (b.retries.sum(now) + 1) * 100
	if share > b.calls.sum(now)*b.percent && b.recent.sum(now) >= b.least {
		return false
	}
	b.retries.add(now)
	b.recent.add(now)
	return true
}

const steps = 10

// window counts what happened in the last steps.
type window struct {
	step   time.Duration
	counts [steps]uint64
	last   int64 // the step that was counted in last
	total  uint64
}

func (w *window) add(now time.Time) {
	w.forget(now)
	w.counts[w.last%steps]++
	w.total++
}

func (w *window) sum(now time.Time) uint64 {
	w.forget(now)
	return w.total
}

// forget moves the window on to now.
func (w *window) forget(now time.Time) {
	at := now.UnixNano() / int64(w.step)
	if at-w.last > steps {
		w.last = max(at-steps, w.last)
		w.counts, w.total = [steps]uint64{}, 0
	}
	for w.last < at {
		w.last++
		w.total -= w.counts[w.last%steps]
		w.counts[w.last%steps] = 0
	}
}
