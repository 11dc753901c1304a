package approx

import (
	"container/list"
	"math"
	"sync"
)

// A Calibration learns by what factor the estimates for a model are off, from what its provider reports. It may be used
// by many goroutines at once.
//
// For each model it keeps the sum of the tokens that were estimated and of those that were reported; both shrink by
// 2% with each observation, so that the last hundred or so count. Both begin at 2,000 tokens, so that the first short
// request does not decide. It keeps a bounded number of models and forgets the one that was observed longest ago.
type Calibration struct {
	mu     sync.Mutex
	max    int
	models map[string]*list.Element // of *observed
	recent *list.List               // last observed first
}

type observed struct {
	model               string
	estimated, reported float64
}

const (
	decay      = 0.98
	prior      = 2000.0 // tokens
	maxFactor  = 4
	maxPerCall = 1 << 24 // tokens; more is a mistake of a provider
)

// NewCalibration returns a Calibration of at most max models, at least one.
func NewCalibration(max int) *Calibration {
	if max < 1 {
		max = 1
	}
	return &Calibration{max: max, models: make(map[string]*list.Element), recent: list.New()}
}

// Observe learns from one request: estimated is what was counted for it, before Adjust; reported what its provider
// says. Numbers that can't be right are ignored.
func (c *Calibration) Observe(model string, estimated, reported int) {
	if estimated <= 0 || reported <= 0 || estimated > maxPerCall || reported > maxPerCall {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.touch(model)
	o.estimated = o.estimated*decay + float64(estimated)
	o.reported = o.reported*decay + float64(reported)
}

// touch returns what is kept of a model and makes it the most recent. The caller holds the lock.
func (c *Calibration) touch(model string) *observed {
	if el, ok := c.models[model]; ok {
		c.recent.MoveToFront(el)
		return el.Value.(*observed)
	}
	if len(c.models) == c.max {
		oldest := c.recent.Back()
		delete(c.models, c.recent.Remove(oldest).(*observed).model)
	}
	o := &observed{model: model, estimated: prior, reported: prior}
	c.models[model] = c.recent.PushFront(o)
	return o
}

// Factor returns by what to multiply an estimate for a model: 1 if nothing is known of it, and within 1/4 and 4.
func (c *Calibration) Factor(model string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.models[model]
	if !ok {
		return 1
	}
	o := el.Value.(*observed)
	return min(max(o.reported/o.estimated, 1.0/maxFactor), maxFactor)
}

// Adjust returns an estimate multiplied by the Factor of its model.
func (c *Calibration) Adjust(model string, estimated int) int {
	return int(math.Round(float64(estimated) * c.Factor(model)))
}

// Len returns of how many models something is known.
func (c *Calibration) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.models)
}
