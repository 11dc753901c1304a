package llm

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/limit"
	"github.com/nantian-gw/nantian/ratelimit"
)

// limits are the TokenPolicies of a handler. They are immutable.
type limits struct {
	// closed is what everybody is told while a policy of the rule or the AIBackend cannot be run.
	closed *ai.Error
	// once are charged for a call, each for an attempt at a provider.
	once *limit.Set
	each map[*provider]*limit.Set
	// shut is why nothing may go to a provider: a policy of its own cannot be run.
	shut map[*provider]*ai.Error
}

// limit compiles what holds under a rule. A policy that holds for the whole call is not charged for attempts again.
func (h *Handler) limit(m *Models, rule []*xdsv1.Policy) error {
	whole := slices.Clone(rule)
	if m.models.shared {
		whole = append(whole, m.policies.by[m.key]...)
	}
	h.closed = invalid(whole)
	once, each, err := m.llm.Limits.Sets(whole)
	if err != nil {
		return err
	}
	h.once = once
	for p := range m.models.providers() {
		own := slices.DeleteFunc(slices.Clone(m.policies.by[p.key]), func(p *xdsv1.Policy) bool { return slices.Contains(whole, p) })
		if e := invalid(own); e != nil {
			if h.shut == nil {
				h.shut = map[*provider]*ai.Error{}
			}
			h.shut[p] = e
		}
		fixed, keyed, err := m.llm.Limits.Sets(own)
		if err != nil {
			return err
		}
		if set := each.With(fixed).With(keyed); set != nil {
			if h.each == nil {
				h.each = map[*provider]*limit.Set{}
			}
			h.each[p] = set
		}
	}
	return nil
}

// invalid is the answer where a policy, of whatever kind, cannot be run; nil: all can.
func invalid(list []*xdsv1.Policy) *ai.Error {
	for _, p := range list {
		if p.GetInvalid() != "" {
			return &ai.Error{
				Status: http.StatusServiceUnavailable, Code: "policy_closed",
				Message: fmt.Sprintf("the policy %s/%s is not valid, and what it is for is closed until it is", p.GetNamespace(), p.GetName()),
			}
		}
	}
	return nil
}

// charges are what a call reserved and has used.
type charges struct {
	// lease is of the call, part of the attempt in progress.
	lease, part *limit.Lease
	// used is what attempts have used until now; known says that it holds the one in progress.
	used  limit.Usage
	known bool
	// full is the refusal of the first target whose provider's limits have no room; target waits is one that may be waited for.
	full   *limit.Refusal
	waits  *target
	waited bool
	// shown is what a refusal shows, hopeless says that the call would be refused again for ever.
	shown    limit.Shown
	hopeless bool
	warned   []string
	// counted is the input as tokens of the model countedFor.
	counted    int64
	countedFor string
}

var _ limit.Call = (*call)(nil)

// Input implements limit.Call.
func (c *call) Input() int64 {
	if model := c.ax.Target.Model; c.counted == 0 || c.countedFor != model {
		c.counted, c.countedFor = int64(c.h.llm.input(&c.ax)), model
	}
	return c.counted
}

// MaxOutput implements limit.Call.
func (c *call) MaxOutput() int64 {
	r := &c.ax.Request
	switch {
	case c.ax.Op == ai.OpEmbeddings:
		return 0
	case r.MaxOutput == 0:
		return -1
	}
	return int64(min(r.MaxOutput, math.MaxInt32)) * int64(max(r.N, 1))
}

// Cost implements limit.Call.
func (c *call) Cost(input, output int64) int64 {
	return cost(&ai.Usage{Input: int(input), Output: int(output)}, c.price())
}

// price is that of the attempt in progress, or of the target that comes first.
func (c *call) price() *xdsv1.Price {
	t := c.target
	if t == nil {
		if len(c.order) == 0 {
			return nil
		}
		t = c.order[0]
	}
	if t.price != nil {
		return t.price
	}
	return t.prices.of(c.ax.Target.Model)
}

func (c *call) subject() limit.Subject {
	return limit.Subject{X: c.x, Model: c.ax.Request.Model, User: c.ax.Request.User}
}

// admit reserves what the call will probably use in the buckets of the rule and the AIBackend. To count tokens is free.
func (c *call) admit() *ai.Error {
	if c.h.once == nil || c.ax.Op == ai.OpCountTokens {
		return nil
	}
	if len(c.order) > 0 {
		c.ax.Target.Model = c.order[0].model(c.ax.Request.Model, c.star)
	}
	s := c.subject()
	lease, refused := c.h.llm.Limits.Reserve(c.h.once, &s, c, true)
	if refused != nil {
		return c.turnAway(refused)
	}
	c.lease = lease
	c.warn(lease)
	return nil
}

// admitTo does that for an attempt, in the buckets of its provider. false: it may not be made.
func (c *call) admitTo(t *target, wait bool) bool {
	c.part, c.known = nil, false
	if e := c.h.shut[t.provider]; e != nil {
		if c.err == nil {
			c.err = e
		}
		return false
	}
	set := c.h.each[t.provider]
	if set == nil || c.ax.Op == ai.OpCountTokens {
		return true
	}
	s := c.subject()
	s.Provider = t.provider.name
	part, refused := c.h.llm.Limits.Reserve(set, &s, c, wait)
	if refused == nil {
		c.part = part
		c.warn(part)
		return true
	}
	t.meter.Attempt("limited", 0)
	if c.full == nil || wait {
		c.full = refused
	}
	if refused.Wait && c.waits == nil && !c.waited {
		c.waits = t
	}
	return false
}

// waitFor is the target that is waited for when no other is left.
func (c *call) waitFor() *target {
	t := c.waits
	if c.attempts > 0 || c.waited {
		return nil
	}
	c.waits, c.waited = nil, true
	return t
}

func (c *call) warn(l *limit.Lease) {
	if more := l.Warned(); len(more) > 0 {
		c.warned = append(c.warned, more...)
		c.x.Model.Limit, c.x.Model.LimitOutcome = more[0], "warned"
	}
}

// turnAway is the answer to a call that may not be made.
func (c *call) turnAway(r *limit.Refusal) *ai.Error {
	m := &c.x.Model
	m.Limit, m.LimitOutcome = r.Limit, "refused"
	c.x.Note = "limit"
	c.shown.Merge(&r.Shown)
	c.hopeless = r.Never
	if r.Left {
		m.Aborted = true
		return gone().err
	}
	e := &ai.Error{Status: r.Status, Message: r.Message, RetryAfter: r.RetryAfter}
	if r.Status == http.StatusTooManyRequests {
		e.Code = "rate_limit_exceeded"
	}
	return e
}

// spent records what the attempt in progress used and what that costs, once.
func (c *call) spent() {
	if c.known {
		return
	}
	c.known = true
	u := &c.ax.Usage
	price := c.price()
	if price == nil {
		c.target.meter.Unpriced()
	}
	n := cost(u, price)
	c.target.meter.Tokens(u, n)
	c.charge(limit.Usage{Requests: 1, Input: int64(u.Input), Output: int64(u.Output), Cost: n})
}

// unspent ends the charges of an attempt that failed: what its provider said that it used is charged, and a request to a
// provider that has answered.
func (c *call) unspent() {
	switch u := &c.ax.Usage; {
	case c.known:
	case u.Input+u.Output > 0:
		c.spent()
	case c.answered:
		c.charge(limit.Usage{Requests: 1})
	default:
		c.part.Release()
	}
}

func (c *call) charge(u limit.Usage) {
	c.part.Settle(u)
	c.used = c.used.Plus(u)
	c.x.Model.Cost = c.used.Cost
}

// settle ends the charges of the call. A call that was made is a request, whatever became of it.
func (c *call) settle() {
	if c.lease == nil {
		return
	}
	if c.attempts == 0 {
		c.lease.Release()
		return
	}
	u := c.used
	u.Requests = 1
	c.lease.Settle(u)
}

// settleAll ends what has not been ended.
func (c *call) settleAll() {
	if c.part != nil {
		c.part.Settle(limit.Usage{Requests: 1})
	}
	c.settle()
}

const (
	exceeded    = "X-Nantian-Limit-Exceeded"
	shouldRetry = "X-Should-Retry" // what OpenAI's and Anthropic's SDKs read
)

// showLimits tells the client how much of its limits is left, as the SDKs of OpenAI and Anthropic read it. Sources:
// platform.openai.com/docs/guides/rate-limits, platform.claude.com/docs/en/api/rate-limits.
func (c *call) showLimits(h *fasthttp.ResponseHeader) {
	if len(c.warned) > 0 {
		h.Set(exceeded, strings.Join(c.warned, ", "))
	}
	if c.hopeless {
		h.Set(shouldRetry, "false")
	}
	s := c.lease.Show()
	part := c.part.Show()
	s.Merge(&part)
	s.Merge(&c.shown)
	if tokens, has := s.AllTokens(); has {
		tokensLeft.set(h, tokens)
	}
	if s.HasRequests() {
		requestsLeft.set(h, s.Requests)
	}
	if c.ax.Client == nil || c.ax.Client.Schema() != ai.Anthropic {
		return
	}
	for _, f := range [...]struct {
		has   bool
		name  string
		state *ratelimit.State
	}{
		{s.HasRequests(), "requests", &s.Requests}, {s.HasTokens(), "tokens", &s.Tokens},
		{s.HasInput(), "input-tokens", &s.Input}, {s.HasOutput(), "output-tokens", &s.Output},
	} {
		if f.has {
			setAnthropic(h, f.name, f.state, c.h.llm.Now())
		}
	}
}

// left are the names of OpenAI's fields for what is left of a limit, as fasthttp writes them.
type left struct{ limit, remaining, reset []byte }

var tokensLeft, requestsLeft = leftOf("Tokens"), leftOf("Requests")

func leftOf(what string) left {
	const prefix = "X-Ratelimit-"
	return left{[]byte(prefix + "Limit-" + what), []byte(prefix + "Remaining-" + what), []byte(prefix + "Reset-" + what)}
}

func (l *left) set(h *fasthttp.ResponseHeader, s ratelimit.State) {
	var room [20]byte
	h.SetCanonical(l.limit, strconv.AppendInt(room[:0], s.Limit, 10))
	h.SetCanonical(l.remaining, strconv.AppendInt(room[:0], s.Remaining, 10))
	h.SetCanonical(l.reset, []byte(s.Reset.Round(time.Millisecond).String()))
}

func setAnthropic(h *fasthttp.ResponseHeader, what string, s *ratelimit.State, now time.Time) {
	name := "Anthropic-Ratelimit-" + what
	var room [40]byte
	h.SetBytesV(name+"-Limit", strconv.AppendInt(room[:0], s.Limit, 10))
	h.SetBytesV(name+"-Remaining", strconv.AppendInt(room[:0], s.Remaining, 10))
	h.SetBytesV(name+"-Reset", now.Add(s.Reset+time.Second-1).UTC().AppendFormat(room[:0], "2006-01-02T15:04:05Z"))
}
