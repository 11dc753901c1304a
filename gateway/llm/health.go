package llm

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tripAfter failures in a row open a circuit.
	tripAfter = 5
	// openFor is how long a circuit stays open at first; it doubles with each probe that fails, up to maxOpen.
	openFor = 5 * time.Second
	maxOpen = 2 * time.Minute
	// maxCool bounds what a provider may ask for by Retry-After; cool is used where a 429 does not say.
	maxCool = time.Hour
	cool    = time.Second
	// maxHealth bounds the targets that are remembered beyond the life of a table.
	maxHealth = 8192
)

// health is the cool-down and the circuit breaker of one target. It is safe for concurrent use.
type health struct {
	// troubled spares healthy targets the lock.
	troubled atomic.Bool

	mu       sync.Mutex
	coolTill time.Time
	// openTill is zero while the circuit is closed. During a probe it is when the probe is given up.
	openTill time.Time
	probing  bool
	failures int // in a row
	opened   int // times in a row
}

// admit says whether a call may be made. After true, one of succeed, fail and release must follow: the call may be the
// probe of an open circuit.
func (h *health) admit(now time.Time) bool {
	if !h.troubled.Load() {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case now.Before(h.coolTill) || now.Before(h.openTill):
		return false
	case h.openTill.IsZero():
		return true
	}
	h.probing = true
	h.openTill = now.Add(h.backoff())
	return true
}

// recovers is when the target may be asked again.
func (h *health) recovers() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.coolTill.After(h.openTill) {
		return h.coolTill
	}
	return h.openTill
}

// succeed closes the circuit.
func (h *health) succeed(now time.Time) {
	if !h.troubled.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failures, h.opened, h.probing, h.openTill = 0, 0, false, time.Time{}
	h.troubled.Store(now.Before(h.coolTill))
}

// fail counts a failure, and opens the circuit after too many or when a probe failed. spread is from 0 to 1 and spreads
// the probes of several gateways by a quarter. Failures of calls that were made although the circuit is open count nothing.
func (h *health) fail(now time.Time, spread float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubled.Store(true)
	h.failures++
	if !h.probing && (h.failures < tripAfter || now.Before(h.openTill)) {
		return
	}
	d := h.backoff()
	h.opened++
	h.probing = false
	h.openTill = now.Add(d + time.Duration(float64(d)*spread/4))
}

// release ends a call that says nothing about the target.
func (h *health) release(now time.Time) {
	if !h.troubled.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.probing {
		h.probing, h.openTill = false, now
	}
}

// coolDown keeps calls away for d.
func (h *health) coolDown(now time.Time, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubled.Store(true)
	if till := now.Add(min(d, maxCool)); till.After(h.coolTill) {
		h.coolTill = till
	}
}

func (h *health) backoff() time.Duration { return min(openFor<<min(h.opened, 10), maxOpen) }

// register keeps the health of targets by provider and model, so that it outlives tables. It is safe for concurrent use.
type register struct {
	mu sync.Mutex
	m  map[string]*health
}

func (r *register) get(provider, model string) *health {
	key := provider + "\x00" + model
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.m[key]; h != nil {
		return h
	}
	if len(r.m) >= maxHealth {
		r.prune()
	}
	if r.m == nil {
		r.m = map[string]*health{}
	}
	h := new(health)
	r.m[key] = h
	return h
}

// prune forgets healthy targets, and all if none is: what a table uses lives on in the table.
func (r *register) prune() {
	for k, h := range r.m {
		if !h.troubled.Load() {
			delete(r.m, k)
		}
	}
	if len(r.m) >= maxHealth {
		clear(r.m)
	}
}
