package approx

import (
	"cmp"
	"container/list"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Side is what of a call was counted. The two are learned apart: a provider's input holds framing and instructions of
// its own, its output does not.
type Side uint8

// The sides.
const (
	Input Side = iota
	Output
)

// A Calibration learns by what factor the estimates for a model are off, from what its provider reports. It may be used
// by many goroutines at once, and allocates for a model's first observation only.
//
// For each model and side it keeps the sum of the tokens that were estimated and of those that were reported; both shrink
// by 2% with each observation, so that the last hundred or so count. Both begin at 2,000 tokens, so that the first short
// request does not decide, and one call counts as 10,000 tokens at most, so that no long one decides alone. It keeps a
// bounded number of models and forgets the one that was observed longest ago.
type Calibration struct {
	mu     sync.Mutex
	max    int
	models map[string]*list.Element // of *observed
	recent *list.List               // last observed first
}

type observed struct {
	model string
	sides [2]ratio
}

// A ratio is what is known of one side of a model.
type ratio struct {
	estimated, reported float64 // sums that begin at prior
	off, total          float64 // sums of the errors after Adjust, and of what was reported, without prior
	n                   uint64
	due                 time.Time // from when on a call is due again
}

const (
	decay      = 0.98
	prior      = 2000.0   // tokens
	mostWeight = 10_000.0 // tokens
	maxFactor  = 4
	maxPerCall = 1 << 24 // tokens; more is a mistake of a provider

	// Observations that cost a count which nobody else needs are all made until there are enough, then one in a while: what
	// they cost does not grow with the traffic.
	enough = 32
	while  = 100 * time.Millisecond
)

// NewCalibration returns a Calibration of at most max models, at least one.
func NewCalibration(max int) *Calibration {
	if max < 1 {
		max = 1
	}
	return &Calibration{max: max, models: make(map[string]*list.Element), recent: list.New()}
}

// Observe learns from one call: estimated is what was counted for it, before Adjust; reported what its provider says.
// Numbers that can't be right are ignored (ok is false). It returns by what share of reported the adjusted estimate was off.
func (c *Calibration) Observe(model string, s Side, estimated, reported int) (off float64, ok bool) {
	if estimated <= 0 || reported <= 0 || estimated > maxPerCall || reported > maxPerCall {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.touch(model)
	factor := o.factor(s)
	o.sides[s].observe(float64(estimated), float64(reported), factor)
	return math.Abs(float64(estimated)*factor/float64(reported) - 1), true
}

func (r *ratio) observe(estimated, reported, factor float64) {
	weight := min(1, mostWeight/max(estimated, reported))
	r.off = r.off*decay + weight*math.Abs(estimated*factor-reported)
	r.total = r.total*decay + weight*reported
	r.estimated = r.estimated*decay + weight*estimated
	r.reported = r.reported*decay + weight*reported
	r.n++
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
	o := &observed{model: strings.Clone(model)} // the name may be part of a large request
	for s := range o.sides {
		o.sides[s].estimated, o.sides[s].reported = prior, prior
	}
	c.models[o.model] = c.recent.PushFront(o)
	return o
}

// factor is that of a side, or of the other one as long as only that has been observed.
func (o *observed) factor(s Side) float64 {
	r := &o.sides[s]
	if r.n == 0 {
		r = &o.sides[1-s]
	}
	return min(max(r.reported/r.estimated, 1.0/maxFactor), maxFactor)
}

func (c *Calibration) find(model string) *observed {
	if el, ok := c.models[model]; ok {
		return el.Value.(*observed)
	}
	return nil
}

// Due says whether to observe a call for which nothing was counted yet: every one of the first of a model, later one in 100 ms,
// so that models that change are noticed and traffic does not pay for it.
func (c *Calibration) Due(model string, s Side, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.find(model)
	if o == nil {
		return true
	}
	r := &o.sides[s]
	if r.n < enough {
		return true
	}
	if now.Before(r.due) {
		return false
	}
	r.due = now.Add(while)
	return true
}

// Factor returns by what to multiply an estimate for a model: 1 if nothing is known of it, and within 1/4 and 4.
func (c *Calibration) Factor(model string, s Side) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.find(model); o != nil {
		return o.factor(s)
	}
	return 1
}

// Adjust returns an estimate multiplied by the Factor of its model; what is not nothing stays at least 1.
func (c *Calibration) Adjust(model string, s Side, estimated int) int {
	return Ratio{Factor: c.Factor(model, s)}.Adjust(estimated)
}

// Len returns of how many models something is known.
func (c *Calibration) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.models)
}

// Learned is what a Calibration knows of a model. Its JSON is shown to operators.
type Learned struct {
	Model  string `json:"model"`
	Input  Ratio  `json:"input"`
	Output Ratio  `json:"output"`
}

// A Ratio is what is known of one side of a model.
type Ratio struct {
	// Factor is what estimates are multiplied by.
	Factor float64 `json:"factor"`
	// Error is by what share of what was reported the adjusted estimates of the last hundred or so calls were off,
	// weighted by tokens; 0 without observations.
	Error float64 `json:"error"`
	// Observations is how many calls were observed.
	Observations uint64 `json:"observations"`
}

// Adjust returns an estimate multiplied by the Factor; what is not nothing stays at least 1.
func (r Ratio) Adjust(estimated int) int {
	if estimated <= 0 {
		return 0
	}
	return max(1, int(math.Round(float64(estimated)*r.Factor)))
}

// Learned returns what is known, by model.
func (c *Calibration) Learned() []Learned {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Learned, 0, len(c.models))
	for el := c.recent.Front(); el != nil; el = el.Next() {
		o := el.Value.(*observed)
		out = append(out, Learned{o.model, o.ratio(Input), o.ratio(Output)})
	}
	slices.SortFunc(out, func(a, b Learned) int { return cmp.Compare(a.Model, b.Model) })
	return out
}

func (o *observed) ratio(s Side) Ratio {
	r := Ratio{Factor: o.factor(s), Observations: o.sides[s].n}
	if o.sides[s].total > 0 {
		r.Error = o.sides[s].off / o.sides[s].total
	}
	return r
}
