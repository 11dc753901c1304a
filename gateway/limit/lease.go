package limit

import (
	"context"
	"errors"
	"sync"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/ratelimit"
)

// Call says what a model call will use. Its methods are asked only where a limit needs the answer.
type Call interface {
	// Input is the tokens of the request.
	Input() int64
	// MaxOutput is the most tokens that the call may generate; 0: it generates none, below 0: there is no bound.
	MaxOutput() int64
	// Cost is what tokens cost at the provider that will probably answer, in 1e-9 US dollars.
	Cost(input, output int64) int64
}

// Usage is what a call has used: in its attempts together, or in one.
type Usage struct {
	Requests      int64
	Input, Output int64
	Cost          int64 // in 1e-9 US dollars
}

// Plus is the sum of both.
func (u Usage) Plus(o Usage) Usage {
	return Usage{u.Requests + o.Requests, u.Input + o.Input, u.Output + o.Output, u.Cost + o.Cost}
}

// of is what a usage means to a limit.
func (l *limit) of(u Usage) int64 {
	var n int64
	switch l.unit {
	case xdsv1.LimitUnit_REQUESTS:
		n = u.Requests
	case xdsv1.LimitUnit_TOKENS:
		n = u.Input + u.Output
	case xdsv1.LimitUnit_INPUT_TOKENS:
		n = u.Input
	case xdsv1.LimitUnit_OUTPUT_TOKENS:
		n = u.Output
	case xdsv1.LimitUnit_COST:
		n = u.Cost
	}
	return min(max(n, 0), ratelimit.MaxAmount)
}

// Lease is what was reserved for a call or an attempt. It belongs to the goroutine that serves the request. Exactly one of
// Settle and Release ends it, and what comes after that does nothing. A nil Lease has no limits.
type Lease struct {
	l       *Limits
	store   *store
	charges []charge
	model   uint64 // what is learned of the model, whoever calls
	cut     bool
	ended   bool

	mu    sync.Mutex // of parts, which the keeper reads
	parts []part

	// Of the keeper.
	kept       *keeperShard
	due        time.Time
	next, prev *Lease

	room room
}

// room holds the lists of a lease of few limits, so that they need no memory of their own.
type room struct {
	charges [2]charge
	amounts [2]int64
	of      [2]int
	asked   [2]ratelimit.Charge
	parts   [1]part
	actual  [2]int64
}

// sized is a list of n zeros, in room if they fit.
func sized[T any](room []T, n int) []T {
	if n > len(room) {
		return make([]T, n)
	}
	clear(room[:n])
	return room[:n:n]
}

// charge is one bucket's part.
type charge struct {
	limit *limit
	key   string
	learn uint64
	held  int64 // reserved, in all parts
	state ratelimit.State
	over  bool // more than the limit is used
}

// part is one reservation at the store.
type part struct {
	grant   ratelimit.Grant
	of      []int // its charges
	amounts []int64
}

// Reserve reserves what a call will probably use in all buckets of a set that count it, all or none. wait lets it wait for room
// where the policy does. It returns nil and nil where nothing counts the call.
func (l *Limits) Reserve(set *Set, s *Subject, call Call, wait bool) (*Lease, *Refusal) {
	if set == nil {
		return nil, nil
	}
	ls := &Lease{l: l, cut: set.cut}
	ls.parts = ls.room.parts[:0]
	if set.tokens {
		ls.model = l.learner.id("", s.Model)
	}
	amounts, refused := ls.charge(set, s, call)
	if refused != nil {
		return nil, refused.count(refused.outcome())
	}
	if len(ls.charges) == 0 {
		return nil, nil
	}
	if refused = l.reserve(ls, amounts, s, wait && set.queue); refused != nil {
		return nil, refused
	}
	l.leases.start(l.closing)
	l.leases.add(ls, l.serial.Load())
	for i := range ls.charges {
		ls.charges[i].limit.meter.Reserved(ls.charges[i].held)
	}
	return ls, nil
}

func (l *Limits) reserve(ls *Lease, amounts []int64, s *Subject, wait bool) *Refusal {
	if wait {
		if q := l.busy(ls); q != nil { // those who wait go first
			return l.wait(ls, amounts, s, q)
		}
	}
	refused := ls.take(amounts)
	switch {
	case refused == nil:
		return nil
	case wait && refused.Wait:
		return l.wait(ls, amounts, s, refused)
	}
	return refused.count(refused.outcome())
}

// charge lists the buckets that count the call, and how much of each it needs.
func (ls *Lease) charge(set *Set, s *Subject, call Call) (amounts []int64, _ *Refusal) {
	ls.charges = sized(ls.room.charges[:], len(set.limits))[:0]
	amounts = sized(ls.room.amounts[:], len(set.limits))[:0]
	for _, one := range set.limits {
		if !one.counts(s.Model) || one.unit == xdsv1.LimitUnit_OUTPUT_TOKENS && call.MaxOutput() == 0 {
			continue
		}
		key, refused := ls.l.bucketKey(one, s)
		if refused != nil {
			return nil, refused
		}
		c := charge{limit: one, key: key}
		if one.unit != xdsv1.LimitUnit_REQUESTS && one.unit != xdsv1.LimitUnit_INPUT_TOKENS {
			c.learn = ls.l.learner.id(key, s.Model)
		}
		if len(one.key) > 0 {
			one.seen.note(key)
		}
		ls.charges = append(ls.charges, c)
		amounts = append(amounts, ls.estimate(&c, call))
	}
	return amounts, nil
}

// estimate is how much of a bucket a call will probably need. What it may generate is no reason to refuse it for ever: with
// that, the estimate is at most the limit.
func (ls *Lease) estimate(c *charge, call Call) int64 {
	switch c.limit.unit {
	case xdsv1.LimitUnit_REQUESTS:
		return 1
	case xdsv1.LimitUnit_INPUT_TOKENS:
		return bounded(call.Input())
	}
	output := ls.output(c, call)
	least, all := int64(1), output
	switch c.limit.unit {
	case xdsv1.LimitUnit_TOKENS:
		least, all = call.Input(), call.Input()+output
	case xdsv1.LimitUnit_COST:
		least, all = call.Cost(call.Input(), 0), call.Cost(call.Input(), output)
	}
	return bounded(min(all, max(least, c.limit.amount)))
}

// bounded is an amount that a store takes. It is never nothing: a bucket without room has none for the smallest call either.
func bounded(n int64) int64 { return min(max(n, 1), ratelimit.MaxAmount) }

// output is what a call will probably generate.
func (ls *Lease) output(c *charge, call Call) int64 {
	n, known := ls.l.learner.expect(c.learn)
	if !known {
		n, known = ls.l.learner.expect(ls.model)
	}
	if !known {
		n = unknownOutput
	}
	if most := call.MaxOutput(); most >= 0 {
		n = min(n, most)
	}
	return n
}

// take reserves the amounts, all or none.
func (ls *Lease) take(amounts []int64) *Refusal {
	all := sized(ls.room.of[:], len(ls.charges))
	for i := range all {
		all[i] = i
	}
	for again := true; ; again = false {
		ls.store = ls.l.acquire()
		err := ls.takeParts(all, amounts)
		if err == nil {
			return nil
		}
		ls.free()
		ls.store.release()
		if again && errors.Is(err, ratelimit.ErrClosed) { // another store has taken its place
			continue
		}
		return ls.refusal(err)
	}
}

func (ls *Lease) takeParts(of []int, amounts []int64) error {
	for len(of) > 0 {
		n := min(len(of), ratelimit.MaxCharges)
		if err := ls.takePart(of[:n:n], amounts[:n:n]); err != nil {
			return err
		}
		of, amounts = of[n:], amounts[n:]
	}
	return nil
}

func (ls *Lease) takePart(of []int, amounts []int64) error {
	charges := sized(ls.room.asked[:], len(of))
	for i, at := range of {
		c := &ls.charges[at]
		charges[i] = ratelimit.Charge{Bucket: c.limit.bucket(c.key), Amount: amounts[i]}
	}
	g, err := ls.store.Reserve(context.Background(), ls.l.id(), charges)
	if err != nil {
		return err
	}
	for i, at := range of {
		c := &ls.charges[at]
		c.held += amounts[i]
		c.state = c.limit.real(g.States[i])
		c.over = g.States[i].Limit-g.States[i].Remaining > c.limit.amount
	}
	ls.mu.Lock()
	ls.parts = append(ls.parts, part{g, of, amounts})
	ls.mu.Unlock()
	return nil
}

// extend keeps the reservations for another time to live. One that has expired is settled in full at the end.
func (ls *Lease) extend() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i := range ls.parts {
		ls.store.Extend(context.Background(), ls.parts[i].grant)
	}
}

// Cuts says whether a stream may have to be ended at a limit of the lease.
func (ls *Lease) Cuts() bool { return ls != nil && ls.cut && !ls.ended }

// Covers says whether a stream that has used so much is within what was reserved.
func (ls *Lease) Covers(u Usage) bool {
	if !ls.Cuts() {
		return true
	}
	for i := range ls.charges {
		if c := &ls.charges[i]; c.cuts() && c.limit.of(u) >= c.held {
			return false
		}
	}
	return true
}

// cuts says whether streams are ended at the limit. What does not grow with the output cannot be reached by it.
func (c *charge) cuts() bool {
	p := c.limit.policy
	return p.cut && p.onLimit != xdsv1.TokenLimit_WARN && c.limit.unit != xdsv1.LimitUnit_REQUESTS && c.limit.unit != xdsv1.LimitUnit_INPUT_TOKENS
}

// Allows says whether a stream may go on that has used so much: if that is more than was reserved, there is room for more. With
// false it returns the limit that is reached.
func (ls *Lease) Allows(u Usage) (bool, string) {
	if !ls.Cuts() {
		return true, ""
	}
	for i := range ls.charges {
		c := &ls.charges[i]
		if !c.cuts() {
			continue
		}
		if used := c.limit.of(u); used >= c.held && !ls.grow(i, used) {
			c.limit.meter.Cut()
			return false, c.limit.id()
		}
	}
	return true, ""
}

// grow reserves more of a bucket, a quarter of what was reserved or else what is left of it. A store that is away is no reason
// to cut, unless the policy fails closed.
func (ls *Lease) grow(i int, used int64) bool {
	c := &ls.charges[i]
	least := used - c.held + 1
	want := max(least, c.held/4, 32)
	for {
		err := ls.takePart([]int{i}, []int64{want})
		if err == nil {
			c.limit.meter.Reserved(want)
			return true
		}
		e, ok := errors.AsType[*ratelimit.LimitedError](err)
		if !ok || e.Remaining < least || want == e.Remaining {
			return false
		}
		want = e.Remaining
	}
}

// Warned lists limits of policies with onLimit Warn that the call exceeds.
func (ls *Lease) Warned() []string {
	if ls == nil {
		return nil
	}
	var out []string
	for i := range ls.charges {
		c := &ls.charges[i]
		if c.limit.policy.onLimit == xdsv1.TokenLimit_WARN && c.over {
			c.limit.meter.Refused("warned")
			out = append(out, c.limit.id())
		}
	}
	return out
}

// Show is what clients are told: after Settle of what is left then.
func (ls *Lease) Show() (s Shown) {
	if ls != nil {
		for i := range ls.charges {
			s.add(ls.charges[i].limit, ls.charges[i].state)
		}
	}
	return s
}
