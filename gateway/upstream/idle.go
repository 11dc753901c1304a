package upstream

import (
	"slices"
	"sync"
	"time"
)

const (
	// idleTimeout is how long a connection is kept that nobody uses; below the 75 s of common servers.
	idleTimeout = 60 * time.Second
	// maxIdle bounds the idle connections of an endpoint.
	maxIdle = 512
)

// idleConns keeps the idle connections of one endpoint, the latest on top.
type idleConns struct {
	mu     sync.Mutex
	conns  []*h1Conn
	closed bool
	sweep  *time.Timer
}

// get takes the connection that was used last; nil: there is none.
func (p *idleConns) get() *h1Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns)
	if n == 0 {
		return nil
	}
	c := p.conns[n-1]
	p.conns[n-1] = nil
	p.conns = p.conns[:n-1]
	return c
}

// put gives a connection back. It is closed when the endpoint is gone or has enough.
func (p *idleConns) put(c *h1Conn) {
	c.idleSince = time.Now()
	p.mu.Lock()
	full := p.closed || len(p.conns) >= maxIdle
	if !full {
		p.conns = append(p.conns, c)
		if p.sweep == nil {
			p.sweep = time.AfterFunc(idleTimeout, p.expire)
		}
	}
	p.mu.Unlock()
	if full {
		c.destroy()
	}
}

// expire closes what has been idle for too long, and comes again while anything is left.
func (p *idleConns) expire() {
	limit := time.Now().Add(-idleTimeout)
	p.mu.Lock()
	n := 0
	for n < len(p.conns) && p.conns[n].idleSince.Before(limit) {
		n++
	}
	old := slices.Clone(p.conns[:n])
	p.conns = slices.Delete(p.conns, 0, n)
	if len(p.conns) > 0 && !p.closed {
		p.sweep.Reset(idleTimeout / 4)
	} else {
		p.sweep = nil
	}
	p.mu.Unlock()
	for _, c := range old {
		c.destroy()
	}
}

func (p *idleConns) close() {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.closed = nil, true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.destroy()
	}
}
