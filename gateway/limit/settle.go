package limit

import "context"

// Settle replaces what was reserved by what was used, and learns from it.
func (ls *Lease) Settle(u Usage) {
	if !ls.end() {
		return
	}
	ls.settle(u)
	l := ls.l
	if ls.model != 0 && u.Output > 0 {
		l.learner.observe(ls.model, u.Output)
	}
	for i := range ls.charges {
		c := &ls.charges[i]
		used := c.limit.of(u)
		c.limit.meter.Settled(used)
		c.state.Remaining = max(0, c.state.Remaining+c.held-used)
		if c.learn != 0 && u.Output > 0 {
			l.learner.observe(c.learn, u.Output)
		}
		l.queues.wake(c.key)
	}
}

// settle shares what was used out among the parts: each has what it reserved, the last of a charge what is above all.
func (ls *Lease) settle(u Usage) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var few [8]int64
	var fewLast [8]int
	rest, last := sized(few[:], len(ls.charges)), sized(fewLast[:], len(ls.charges))
	for i := range ls.charges {
		rest[i] = ls.charges[i].limit.of(u)
	}
	for n := range ls.parts {
		for _, at := range ls.parts[n].of {
			last[at] = n
		}
	}
	for n := range ls.parts {
		p := &ls.parts[n]
		actual := sized(ls.room.actual[:], len(p.of))
		for i, at := range p.of {
			actual[i] = rest[at]
			if last[at] != n {
				actual[i] = min(rest[at], p.amounts[i])
			}
			rest[at] -= actual[i]
		}
		if err := ls.store.Settle(context.Background(), p.grant, actual); err != nil {
			ls.l.Log.Error("what a call used could not be counted", "error", err)
		}
	}
	ls.parts = nil
	ls.store.release()
}

// Release gives all that was reserved back: nothing was used.
func (ls *Lease) Release() {
	if !ls.end() {
		return
	}
	ls.free()
	ls.store.release()
	for i := range ls.charges {
		ls.l.queues.wake(ls.charges[i].key)
	}
}

func (ls *Lease) end() bool {
	if ls == nil || ls.ended {
		return false
	}
	ls.ended = true
	ls.l.leases.remove(ls)
	return true
}

// free gives all parts back.
func (ls *Lease) free() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i := range ls.parts {
		ls.store.Release(context.Background(), ls.parts[i].grant)
	}
	ls.parts = ls.parts[:0]
	for i := range ls.charges {
		ls.charges[i].held = 0
	}
}
