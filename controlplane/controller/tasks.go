package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nantian-gw/nantian/controlplane"
)

// together runs functions until ctx ends or one of them fails, and waits for all.
func together(ctx context.Context, fs ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != context.Canceled && err != nil && ctx.Err() != nil {
		return err
	}
	return nil
}

const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
)

// repeat runs f when there is news, every so often, and after an error again with a growing wait. It
// ends with ctx.
func (c *Controller) repeat(ctx context.Context, name string, news <-chan struct{}, every time.Duration, f func(context.Context) error) {
	backoff := minBackoff
	for ctx.Err() == nil {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			c.metrics.failed(name)
			c.o.Log.Warn("will be tried again", "task", name, "error", err, "in", backoff)
			wait(ctx, backoff) // news or not: what fails must not be tried at the rate of events
			backoff = min(2*backoff, maxBackoff)
			continue
		}
		backoff = minBackoff
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
		case <-news:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// latest is the newest View.
type latest struct {
	mu   sync.Mutex
	view *controlplane.View
	subs map[chan struct{}]bool
}

func (l *latest) get() *controlplane.View {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.view
}

func (l *latest) set(v controlplane.View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.view = &v
	for ch := range l.subs {
		poke(ch)
	}
}

// subscribe gives a channel that has a token after each set.
func (l *latest) subscribe() (news chan struct{}, stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.subs == nil {
		l.subs = map[chan struct{}]bool{}
	}
	ch := make(chan struct{}, 1)
	l.subs[ch] = true
	return ch, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.subs, ch)
	}
}

// poke puts a token into a channel for one.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// heartbeat tells whether translation goes on.
type heartbeat struct{ since atomic.Int64 }

// begin notes that work has begun; what it returns, that it has ended.
func (h *heartbeat) begin() (end func()) {
	h.since.Store(time.Now().UnixNano())
	return func() { h.since.Store(0) }
}

// stuck says whether work takes longer than it ever should.
func (h *heartbeat) stuck() bool {
	since := h.since.Load()
	return since != 0 && time.Since(time.Unix(0, since)) > time.Minute
}
