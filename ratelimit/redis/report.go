package redis

import "time"

// A report is what an account tells the store: all it holds, and what has been used since the report before. Until the
// store has acknowledged it, it is sent again as it is; the store adds what was used once per sequence number.
type report struct {
	sequence   int64
	at         int64 // when it was made
	cell       *cell // its held and used belong to the slot in which the store gets them
	held, used int64
	slots      []slot
	lease      int64 // still to draw from
	want       int64 // to draw from
	least      int64 // not worth less
	forced     int64
}

type slot struct{ number, held, used int64 }

// prepare makes the account's next report, or returns the one that was not acknowledged. When more is asked for than the
// lease holds, the lease is given back first, so that all there is can be granted.
func (a *account) prepare(l *Limiter, asked bool, now int64) *report {
	a.change = false
	if a.sent != nil {
		if a.over(l, a.sent.at, now) {
			a.sent.used = 0
		}
		a.report() // what has changed since follows
		return a.sent
	}
	a.bound(l, now)
	r := &report{sequence: l.sequence.Add(1), at: now, cell: a.open, held: a.open.held, used: a.open.used, forced: a.forced}
	r.want, r.least = a.demand.lease(now, a.term)
	if l.closing.Load() {
		r.want = 0
	}
	if asked || now >= a.until {
		a.lease = 0
	}
	a.lease = min(a.lease, r.want, max(0, a.bucket.Limit-a.total+a.lease)/share)
	r.lease = a.lease
	a.open.used = 0
	a.open, a.since, a.forced = &cell{}, 0, 0
	for _, c := range a.cells {
		r.slots = append(r.slots, slot{c.slot, c.held, c.used})
		c.used = 0
	}
	a.sent = r
	return r
}

// bound forgets what was used so long ago, while the store was away, that it no longer weighs: the fallback knows what does.
func (a *account) bound(l *Limiter, now int64) {
	if a.since != 0 && a.over(l, a.since, now) {
		a.open.used = min(a.open.used, l.local.Used(a.bucket))
	}
	if a.seeded && !a.away && !a.lane.down.Load() {
		l.local.Forget(a.bucket)
		a.seeded = false
	}
}

// over says whether what was used at a moment has left the window.
func (a *account) over(l *Limiter, then, now int64) bool {
	if a.width == 0 {
		start, _ := a.bucket.Window.Bounds(l.storeTime(now))
		return l.storeTime(then).Before(start)
	}
	return now-then > a.width*a.count*int64(time.Millisecond)
}

// acknowledge takes over what the store answered to a report that left at a moment.
func (a *account) acknowledge(r *report, answer answer, left int64) (overshoot int64) {
	a.acked, a.head, a.total = left, answer.head, answer.total
	a.reset = left + answer.reset*int64(time.Millisecond)
	if r == nil {
		return 0
	}
	a.sent, a.away = nil, false
	a.lease = max(0, a.lease+answer.lease-r.lease)
	a.until = left + a.term/2
	a.prune()
	if c := r.cell; c.held != 0 || c.used != 0 {
		r.cell.slot = answer.head
		into := a.cellOf(answer.head)
		into.held += c.held
		into.used += c.used
		c.into = into
	}
	return max(0, min(r.forced, a.total-a.bucket.Limit))
}

// fail keeps a report for another attempt.
func (a *account) fail() {
	a.away = true
	a.report()
}

const (
	// share is the part of what is left that a lease may be: one 32nd.
	share = 32
	// longestTerm and termPart bound how long a lease is, and so for how long a dead replica strands it.
	longestTerm = 5 * time.Second
	termPart    = 20
	// shortestTerm is where leases are no longer worth it.
	shortestTerm = 200 * time.Millisecond
)

// termOf is how long a bucket's leases are.
func termOf(window time.Duration, calendar bool) int64 {
	term := longestTerm
	if !calendar {
		term = min(term, window/termPart)
	}
	if term < shortestTerm {
		return 0
	}
	return int64(term)
}

// demand measures what is asked of an account, to lease as much as half a term needs.
type demand struct {
	begin, draws, amount int64
	rate, mean           float64 // per nanosecond, per draw
}

const (
	measure  = int64(100 * time.Millisecond) // how long demand is measured
	frequent = 8                             // draws in that time that make leases worth it
)

func (d *demand) add(amount, now int64) {
	if d.begin == 0 {
		d.begin = now
	}
	d.draws++
	d.amount += amount
}

// lease says how much to ask for, and what is not worth the trouble.
func (d *demand) lease(now, term int64) (want, least int64) {
	if elapsed := now - d.begin; d.begin != 0 && (elapsed >= measure || d.draws >= 4*frequent) {
		d.rate, d.mean = 0, 0
		if d.draws*measure >= frequent*elapsed {
			d.rate = float64(d.amount) / float64(max(elapsed, 1))
			d.mean = float64(d.amount) / float64(d.draws)
		}
		d.begin, d.draws, d.amount = 0, 0, 0
	}
	want = int64(min(d.rate*float64(term)/2, exact/share))
	return want, int64(4*d.mean) + 1
}
