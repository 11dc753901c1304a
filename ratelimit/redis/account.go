package redis

import (
	"sync"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
)

// An account is what this replica holds and has used in one bucket, and what it knows of the store's side. Reservations
// change it; a report tells the store, at the latest one tick later. Times are nanoseconds of the limiter's clock.
type account struct {
	key      string // in Redis
	lane     *lane
	width    int64    // of a slot in milliseconds; 0: a calendar
	count    int64    // of slots that weigh at once
	term     int64    // of a lease; 0: none
	visitor  bool     // it only looks, and nobody else knows it
	calendar calendar // its lane's alone

	mu     sync.Mutex
	bucket ratelimit.Bucket // as last seen
	gone   bool             // removed from the limiter: whoever finds it looks again
	change bool             // there is something to report
	queued bool             // its lane knows
	refs   int              // reservations that will come back to it
	touch  int64            // when something was last asked of it

	open  *cell   // since the last report
	since int64   // when something was first used since then
	cells []*cell // reported, and still in the window: one per slot
	sent  *report // not acknowledged

	lease  int64 // may be drawn from without a round trip
	until  int64 // until then
	demand demand

	away   bool  // the last report failed
	seeded bool  // the fallback knows what was used before
	forced int64 // used since the last report without having been reserved in the store
	acked  int64 // when the store last answered; 0: never
	total  int64 // in the store then, the lease included
	reset  int64 // when all of it has left the window
	head   int64 // the slot of that moment
}

// A cell is what was reserved within one slot: what is still held, and what has been used since the last report.
type cell struct {
	slot       int64
	held, used int64
	into       *cell // another cell of the same slot took it over
}

func (c *cell) root() *cell {
	for c.into != nil {
		c = c.into
	}
	return c
}

// An entry is what a reservation took from one bucket.
type entry struct {
	a      *account
	c      *cell
	amount int64
	local  bool // granted by the fallback
}

// draw takes an amount from the lease.
func (a *account) draw(amount, now int64) (*cell, bool) {
	if now >= a.until || a.lease == 0 || amount > a.lease {
		return nil, false
	}
	a.lease -= amount
	a.demand.add(amount, now)
	return a.hold(amount), true
}

// force takes an amount that the store has not granted.
func (a *account) force(amount int64) *cell {
	a.forced += amount
	return a.hold(amount)
}

func (a *account) hold(amount int64) *cell {
	a.refs++
	a.open.held += amount
	a.report()
	return a.open
}

// end replaces what an entry reserved by what was used. What was drawn from a lease and not yet reported goes back into it.
func (a *account) end(e *entry, expired bool, used, now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.touch = now
	more := used
	if !expired {
		a.refs--
		more = max(0, used-e.amount)
		c := e.c.root()
		c.held -= e.amount
		c.used += used - more
		if c == a.open && !e.local {
			a.lease += max(0, e.amount-used)
		}
	}
	a.open.used += more
	a.forced += more
	if a.open.used > 0 && a.since == 0 {
		a.since = now
	}
	a.report()
}

// report has the account reported at the next tick.
func (a *account) report() {
	a.change = true
	if !a.queued {
		a.queued = true
		a.lane.queue(a)
	}
}

// idle says that the store knows all there is to know, and nothing will come.
func (a *account) idle() bool {
	return a.refs == 0 && a.sent == nil && !a.change && !a.queued && !a.away
}

// state is what the account knows without asking.
func (a *account) state(now int64) ratelimit.State {
	limit, used := a.bucket.Limit, max(0, a.total-a.lease)
	s := ratelimit.State{Limit: limit, Remaining: max(0, limit-used)}
	if used > 0 {
		s.Reset = max(0, time.Duration(a.reset-now))
	}
	return s
}

func (a *account) limit() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bucket.Limit
}

// keep has an account reported that the store would forget.
func (a *account) keep(now, age int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refs > 0 && now-a.acked > age {
		a.report()
	}
}

// cellOf finds or makes the cell of a slot.
func (a *account) cellOf(slot int64) *cell {
	for i := len(a.cells) - 1; i >= 0; i-- {
		if a.cells[i].slot == slot {
			return a.cells[i]
		}
	}
	c := &cell{slot: slot}
	a.cells = append(a.cells, c)
	return c
}

// prune forgets cells that no longer weigh.
func (a *account) prune() {
	kept := a.cells[:0]
	for _, c := range a.cells {
		weighs := c.slot == a.head || a.width > 0 && a.head-c.slot < a.count
		if weighs && (c.held != 0 || c.used != 0) {
			kept = append(kept, c)
		}
	}
	clear(a.cells[len(kept):])
	a.cells = kept
}
