package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// conns counts the clients' connections and bounds them, so that descriptors are left for upstreams and streams in
// flight survive a flood. At the bound idle connections make room first; then new ones wait in the kernel's queue.
type conns struct {
	limit int
	// waiting is the number of ports that wait for room.
	waiting atomic.Int32

	mu    sync.Mutex
	room  *sync.Cond
	all   map[*clientConn]struct{}
	ended bool
}

// reservedDescriptors are kept for listeners, logs, the admin listener and the store.
const reservedDescriptors = 48

func newConns() *conns {
	c := &conns{limit: connLimit(), all: map[*clientConn]struct{}{}}
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

// wait waits until there is room for a connection; waited says whether it had to. It fails after end.
func (c *conns) wait() (waited, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.all) >= c.limit && !c.ended {
		if !waited {
			waited = true
			c.waiting.Add(1)
			defer c.waiting.Add(-1)
		}
		look := time.AfterFunc(freshTime, c.room.Broadcast) // what is fresh now may be idle then
		c.closeIdleLocked(1)
		c.room.Wait()
		look.Stop()
	}
	return waited, !c.ended
}

// freshTime is how long a new connection may take to send its first request before it counts as idle.
const freshTime = time.Second

// crowded says that connections which serve nothing are to be closed.
func (c *conns) crowded() bool { return c.waiting.Load() > 0 }

// closeIdle makes up to n connections that serve nothing end.
func (c *conns) closeIdle(n int) {
	c.mu.Lock()
	c.closeIdleLocked(n)
	c.mu.Unlock()
}

func (c *conns) closeIdleLocked(n int) {
	old := time.Now().Add(-freshTime)
	for cc := range c.all {
		if n == 0 {
			return
		}
		if (cc.rested.Load() || cc.accepted.Before(old)) && cc.hurry() {
			n--
		}
	}
}

// closePort makes the connections of a port that is gone end when they serve nothing.
func (c *conns) closePort(p *port) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cc := range c.all {
		if cc.p == p {
			cc.leavePort()
		}
	}
}

func (c *conns) add(cc *clientConn) {
	c.mu.Lock()
	c.all[cc] = struct{}{}
	c.mu.Unlock()
}

func (c *conns) remove(cc *clientConn) {
	c.mu.Lock()
	delete(c.all, cc)
	c.mu.Unlock()
	c.room.Broadcast()
}

// open is the number of connections.
func (c *conns) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// drain waits until all connections have ended. When ctx ends first, those that are left are cut.
func (c *conns) drain(ctx context.Context) error {
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.room.Broadcast()
	if c.empty(ctx) {
		return nil
	}
	c.cut()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cutTimeout)
	defer cancel()
	c.empty(last)
	return ctx.Err()
}

// cutTimeout is how long requests have to notice that their clients were cut off.
const cutTimeout = time.Second

// empty closes connections as they become idle and says whether ctx lasted until all were gone. HTTP/2 ends its own.
func (c *conns) empty(ctx context.Context) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.open() > 0 {
		c.mu.Lock()
		for cc := range c.all {
			if !cc.h2.Load() {
				cc.hurry()
			}
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// cut ends all connections as their clients could: whoever watches them notices.
func (c *conns) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for cc := range c.all {
		cc.cut()
	}
}

// cut ends what is served, by itself or as the client could.
func (c *clientConn) cut() {
	c.mu.Lock()
	end := c.end
	c.mu.Unlock()
	if end != nil {
		end()
		return
	}
	if t, ok := c.Conn.(*net.TCPConn); ok {
		t.CloseRead()
		t.CloseWrite()
	}
	c.Conn.SetDeadline(past)
}

// clientConn is a client's connection below TLS, and its place among all connections. What was read ahead to tell
// protocols apart is read again.
type clientConn struct {
	net.Conn
	p             *port
	client, local netip.AddrPort
	ahead         []byte
	once          sync.Once
	accepted      time.Time
	h2            atomic.Bool // served by net/http
	rested        atomic.Bool // has served something and waits for more
	served        atomic.Int64

	mu sync.Mutex
	// end, if set, ends what is served when the connection is cut.
	end func()
	// busy is set while something is served: a connection that is not may be closed at any time. hurried says that it
	// has been asked to end.
	busy, hurried bool
}

func (c *clientConn) Read(b []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// begin says that a request has come. It may have come together with a hurry: then it is the last.
func (c *clientConn) begin() (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = true
	return c.hurried
}

// rest says that nothing is served.
func (c *clientConn) rest() {
	c.rested.Store(true)
	c.mu.Lock()
	c.busy = false
	c.mu.Unlock()
	if c.p.stopped.Load() {
		c.leavePort()
	}
}

// leavePort ends a connection that serves nothing, because its port is gone. When all of the server ends, HTTP/2 says
// goodbye itself.
func (c *clientConn) leavePort() {
	if !c.h2.Load() || !c.p.server.draining() {
		c.hurry()
	}
}

// onCut says how to end what is served when the connection is cut; nil: it notices itself.
func (c *clientConn) onCut(end func()) {
	c.mu.Lock()
	c.end = end
	c.mu.Unlock()
}

// NetConn is the connection below.
func (c *clientConn) NetConn() net.Conn { return c.Conn }

// idleEnded says whether the connection has been hurried.
func (c *clientConn) idleEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hurried
}

// hurry ends the connection if it serves nothing, by ending its wait for a request.
func (c *clientConn) hurry() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.hurried {
		return false
	}
	c.hurried = true
	c.Conn.SetReadDeadline(past)
	return true
}

// pending says whether something has come that was not read, without waiting.
func pending(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, _ = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}

// Close closes the connection and gives its place back.
func (c *clientConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.p.server.conns.remove(c)
		c.p.server.observer.Connections(-1)
	})
	return err
}

// clientOf finds the connection below TLS.
func clientOf(conn net.Conn) *clientConn {
	if tc, ok := conn.(*tls.Conn); ok {
		conn = tc.NetConn()
	}
	return conn.(*clientConn)
}
