package server

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// conns counts the clients' connections and bounds them, so that descriptors are left for upstreams and streams in
// flight survive a flood. At the bound idle connections make room first; then new ones wait in the kernel's queue.
type conns struct {
	limit int

	mu    sync.Mutex
	room  *sync.Cond
	count int
	h1    map[*h1Conn]struct{}
	ended bool
}

// reservedDescriptors are kept for listeners, logs, the admin listener and the store.
const reservedDescriptors = 48

func newConns() *conns {
	c := &conns{limit: connLimit(), h1: map[*h1Conn]struct{}{}}
	c.room = sync.NewCond(&c.mu)
	return c
}

// connLimit leaves one descriptor for an upstream connection beside each client's.
func connLimit() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil || l.Cur > 1<<20 {
		return 1 << 19
	}
	return max(8, (int(l.Cur)-reservedDescriptors)/2)
}

// acquire takes a place, waiting for one if there is none; waited says whether it had to. It fails after end.
func (c *conns) acquire() (waited, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.count >= c.limit && !c.ended {
		waited = true
		c.closeIdleLocked(1)
		c.room.Wait()
	}
	c.count++
	return waited, !c.ended
}

// closeIdleLocked closes up to n connections that serve nothing; 0: all.
func (c *conns) closeIdleLocked(n int) {
	for h := range c.h1 {
		if h.busy.Load() {
			continue
		}
		h.c.SetReadDeadline(past)
		if n--; n == 0 {
			return
		}
	}
}

// release gives a place back.
func (c *conns) release() {
	c.mu.Lock()
	c.count--
	c.mu.Unlock()
	c.room.Signal()
}

func (c *conns) add(h *h1Conn) {
	c.mu.Lock()
	c.h1[h] = struct{}{}
	c.mu.Unlock()
}

func (c *conns) remove(h *h1Conn) {
	c.mu.Lock()
	delete(c.h1, h)
	c.mu.Unlock()
}

// open is the number of connections.
func (c *conns) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

// drain waits until all connections have ended. When ctx ends first, those that are left are cut.
func (c *conns) drain(ctx context.Context) error {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.room.Broadcast()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.open() > 0 {
		c.mu.Lock()
		c.closeIdleLocked(0)
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			c.cut()
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := range c.h1 {
		h.c.Close()
	}
}
