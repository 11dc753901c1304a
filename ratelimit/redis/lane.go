package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

const (
	lanes       = 32        // of a cluster, at most
	maxRequests = 256       // of one exchange
	maxAccounts = 128       // of one exchange; a script that is too long would hold Redis up
	maxQueue    = 1 << 16   // requests that wait
	retryEvery  = 250 * 1e6 // nanoseconds between attempts while the store is away
)

// A lane gathers what is to be told to and asked of one part of the store, and has one exchange under way at a time. So
// reports of one account never overtake each other, and the more is asked at once the more goes into one round trip.
type lane struct {
	l    *Limiter
	down atomic.Bool // the last exchange failed altogether

	mu       sync.Mutex
	requests []*request
	reports  []*account
	running  bool
	due      bool  // reports go with the next exchange
	retry    int64 // no report before; 0: all is well
	cause    error // of the last failure
	idle     sync.Cond
}

func newLane(l *Limiter) *lane {
	n := &lane{l: l}
	n.idle.L = &n.mu
	return n
}

// A request asks for amounts in the buckets of one lane, all or none.
type request struct {
	asks    []ask
	done    chan struct{}
	state   atomic.Int32
	refused *ask // needs the longest wait of those that lack room
}

// An ask is one bucket's part of a request.
type ask struct {
	a      *account
	index  int // of the charge
	amount int64
	peek   bool
	// The answer is one of these.
	cell  *cell // granted
	lacks bool
	err   error

	left  int64
	after int64 // milliseconds until there is room; -1: never
}

const (
	waiting int32 = iota
	answered
	abandoned
)

// queue has an account reported at the next tick.
func (n *lane) queue(a *account) {
	n.mu.Lock()
	n.reports = append(n.reports, a)
	n.mu.Unlock()
}

// ask queues a request. It says false if there are too many.
func (n *lane) ask(r *request) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.requests) >= maxQueue {
		return false
	}
	n.requests = append(n.requests, r)
	n.start()
	return true
}

// flush sends the reports that wait, unless the store is away and it is too early to try again.
func (n *lane) flush(now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.reports) > 0 && now >= n.retry {
		n.due = true
		n.start()
	}
}

// drain sends the reports that wait whatever happened before, and returns when nothing is under way.
func (n *lane) drain() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.due = len(n.reports) > 0
	n.start()
	for n.running {
		n.idle.Wait()
	}
}

func (n *lane) start() {
	if !n.running {
		n.running = true
		go n.run()
	}
}

func (n *lane) run() {
	for {
		requests, reports, more := n.next()
		if !more {
			return
		}
		n.exchange(requests, reports)
	}
}

// next takes what goes into one exchange: a request that is too large for the rest of it waits for the next one.
func (n *lane) next() (requests []*request, reports []*account, more bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	room, count := maxAccounts, 0
	for count < min(len(n.requests), maxRequests) && room >= len(n.requests[count].asks) {
		room -= len(n.requests[count].asks)
		count++
	}
	requests = take(&n.requests, count)
	if n.due {
		reports = take(&n.reports, room)
		n.due = len(n.reports) > 0
	}
	n.running = len(requests)+len(reports) > 0
	if !n.running {
		n.idle.Broadcast()
	}
	return requests, reports, n.running
}

// take removes up to n elements from the front.
func take[E any](all *[]E, n int) []E {
	if n >= len(*all) {
		taken := *all
		*all = nil
		return taken
	}
	taken := (*all)[:n:n]
	*all = (*all)[n:]
	return taken
}

// exchange makes one round trip.
func (n *lane) exchange(requests []*request, reports []*account) {
	groups := n.sort(requests, reports)
	if len(groups) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.l.options.Timeout)
	n.l.send(ctx, groups)
	cancel()
	var cause error
	failed := 0
	for _, g := range groups {
		if g.err != nil {
			cause = g.err
			failed++
		}
		g.finish(n.l)
	}
	n.judge(failed, len(groups), cause)
	for _, r := range requests {
		r.answer(n.l)
	}
}

// judge notes whether the store answers.
func (n *lane) judge(failed, all int, cause error) {
	down := failed == all
	n.mu.Lock()
	n.retry, n.cause = 0, cause
	if failed > 0 {
		n.retry = n.l.now() + retryEvery
		n.due = false
		n.l.counts.failures.Add(1)
	}
	n.mu.Unlock()
	if n.down.Swap(down) != down {
		if !down {
			cause = nil
		}
		n.l.options.Changed(cause)
	}
}

func (n *lane) why() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cause == nil {
		return errAway
	}
	return n.cause
}

var errAway = errors.New("the store does not answer")

// answer tells whoever asked. What was granted goes back if another bucket refused, or if nobody waits any more.
func (r *request) answer(l *Limiter) {
	for i := range r.asks {
		if k := &r.asks[i]; k.lacks && (r.refused == nil || k.longer(r.refused)) {
			r.refused = k
		}
	}
	if r.refused != nil {
		r.undo(l)
	}
	if !r.state.CompareAndSwap(waiting, answered) {
		r.undo(l)
	}
	close(r.done)
}

func (k *ask) longer(o *ask) bool { return o.after >= 0 && (k.after < 0 || k.after > o.after) }

// undo gives back what was granted.
func (r *request) undo(l *Limiter) {
	for i := range r.asks {
		if k := &r.asks[i]; k.cell != nil {
			k.a.end(&entry{a: k.a, c: k.cell, amount: k.amount}, false, 0, l.now())
			k.cell = nil
		}
	}
}
