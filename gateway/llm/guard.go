package llm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/guard"
)

// modelPolicies are the policies that target AIBackends and AIProviders, by the key of these, in order of their own keys.
type modelPolicies struct {
	rs map[string]*xdsv1.Resource
	by map[string][]*xdsv1.Policy
}

func newModelPolicies(rs map[string]*xdsv1.Resource) modelPolicies {
	m := modelPolicies{rs, map[string][]*xdsv1.Policy{}}
	for _, r := range rs {
		for _, t := range r.GetPolicy().GetTargets() {
			m.by[t.GetKey()] = append(m.by[t.GetKey()], r.GetPolicy())
		}
	}
	for _, list := range m.by {
		slices.SortFunc(list, func(a, b *xdsv1.Policy) int { return strings.Compare(a.GetKey(), b.GetKey()) })
	}
	return m
}

func (m modelPolicies) secret(key, dataKey string) ([]byte, bool) {
	v, ok := m.rs[key].GetSecret().GetOpaque().GetData()[dataKey]
	return v, ok
}

// guards are the prompt guards of one handler. They are immutable.
type guards struct {
	// request looks at requests once, attempt at what a provider gets, answer at what it says.
	request         *guard.Stage
	attempt, answer map[*provider]*guard.Stage
}

// guards compiles the prompt guards under which models stand. Those of a provider guard what it gets and says.
func (m *Models) guards(rule []*xdsv1.Policy) (*guards, error) {
	c, secrets := &m.llm.guards, m.policies.secret
	own := rule
	if m.models.shared { // of an AIBackend; those of an AIProvider alone are its own
		own = append(slices.Clone(rule), m.policies.by[m.key]...)
	}
	g := &guards{attempt: map[*provider]*guard.Stage{}, answer: map[*provider]*guard.Stage{}}
	var err error
	if g.request, err = c.Stage(guard.Request, own, secrets); err != nil {
		return nil, err
	}
	any := g.request != nil
	for p := range m.models.providers() {
		theirs := m.policies.by[p.key]
		if g.attempt[p], err = c.Stage(guard.Request, theirs, secrets); err != nil {
			return nil, err
		}
		if g.answer[p], err = c.Stage(guard.Response, append(slices.Clone(theirs), own...), secrets); err != nil {
			return nil, err
		}
		any = any || g.attempt[p] != nil || g.answer[p] != nil
	}
	if !any {
		return nil, nil
	}
	return g, nil
}

// guardContext ends when the client leaves or the request's time is up, where that may matter: a watch of the client costs a
// system call.
func (c *call) guardContext(st *guard.Stage) context.Context {
	if !st.Asks() {
		return context.Background()
	}
	ctx := c.x.Context()
	if !c.x.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, c.x.Deadline)
		c.x.Keep(releaseFunc(cancel))
	}
	return ctx
}

// releaseFunc is a function as an exchange.Releaser.
type releaseFunc func()

// Release calls f.
func (f releaseFunc) Release() { f() }

// halted is the failure of what ended with a guard's context: the client has left, or the request's time is up.
func (c *call) halted() *failure {
	if c.expired() && !c.x.Gone() {
		f := late()
		f.err.Message, f.outcome, f.sick, f.neutral, f.causes = "the request's time was up while a prompt guard looked at it", "timeout", false, true, 0
		return f
	}
	return gone()
}

// guardRequest applies the guards of the rule and of the AIBackend, once for all attempts.
func (c *call) guardRequest() *ai.Error {
	g := c.h.guards
	if g == nil {
		return nil
	}
	c.guard = c.h.llm.guards.Session()
	c.x.Model.Guard = c.guard
	err := c.guardBody(g.request, &c.guarded)
	c.base = c.ax.Request
	if err != nil {
		return c.refusal(err)
	}
	return nil
}

// guardAttempt applies the guards of a provider to what it is about to get.
func (c *call) guardAttempt(t *target) error {
	g := c.h.guards
	if g == nil {
		return nil
	}
	if st := g.attempt[t.provider]; st != nil || len(c.attempted) > 0 {
		c.ax.Request = c.base
		c.attempted = c.attempted[:0]
		return c.guardBody(st, &c.attempted)
	}
	return nil
}

// guardBody puts the request through a stage; room is where it is written if it changes.
func (c *call) guardBody(st *guard.Stage, room *[]byte) error {
	if st == nil {
		return nil
	}
	r, ctx := &c.ax.Request, c.guardContext(st)
	_, exact := c.h.models.exact[r.Model]
	raw, err := c.guard.Body(ctx, st, c.ax.Client.Schema(), r.Raw, *room, exact)
	if err != nil {
		if !exact {
			c.x.Model.Requested = "" // it may be what was found
		}
		return err
	}
	if r.Beta != "" {
		if beta, err := c.guard.Text(ctx, st, []byte(r.Beta)); err != nil || string(beta) != r.Beta {
			return errors.Join(err, guard.Unchangeable("the header Anthropic-Beta"))
		}
	}
	if len(raw) == len(r.Raw) && (len(raw) == 0 || &raw[0] == &r.Raw[0]) {
		return nil
	}
	*room = raw
	return c.reread(raw)
}

// reread reads what routing and limits need of a request that has changed.
func (c *call) reread(raw []byte) error {
	old := &c.ax.Request
	r := ai.Request{Raw: raw, Beta: old.Beta}
	err := c.ax.Client.Peek(c.ax.Op, raw, &r)
	if !bytes.Equal(jsonscan.Get(raw, "model"), jsonscan.Get(old.Raw, "model")) {
		c.x.Model.Requested = ""
		return guard.Unchangeable("model")
	}
	if r.Model = old.Model; err != nil {
		var e *ai.Error
		if !errors.As(err, &e) || e.Param != "model" {
			return guard.Unchangeable("a parameter")
		}
	}
	c.ax.Request = r
	return nil
}

// refusal tells the client why its request does not go on.
func (c *call) refusal(err error) *ai.Error {
	var r *guard.Refusal
	if !errors.As(err, &r) {
		return c.end().err
	}
	c.x.Note = note(r)
	c.guard.Refused(r, guard.Request)
	return r.AI()
}

// end is the failure of a guard that was neither passed nor refused.
func (c *call) end() *failure {
	f := c.halted()
	c.x.Model.Aborted, c.x.Note = f.outcome == aborted, f.note
	return f
}

// note is what logs say of a refusal: the rule with its policy, never what it found.
func note(r *guard.Refusal) string {
	if r.Rule == nil {
		return r.Code
	}
	return fmt.Sprintf("%s: rule %s of %s", r.Code, r.Rule.Name, r.Rule.Policy)
}

// deny notes that a provider's own guard refuses the request: another may take it.
func (c *call) deny(t *target, err error) bool {
	var r *guard.Refusal
	if !errors.As(err, &r) {
		return false
	}
	t.meter.Attempt(blocked, 0)
	c.guard.Refused(r, guard.Request)
	c.x.Note = note(r)
	if c.denied == nil {
		c.denied = r
	}
	return true
}

// blocked is the outcome of an attempt whose request or answer a prompt guard refused.
const blocked = "blocked"

// blockedAnswer is the failure of an answer that must not go on. The provider did well, and another would not do better.
func (c *call) blockedAnswer(err error) *failure {
	var r *guard.Refusal
	if !errors.As(err, &r) {
		return c.halted()
	}
	c.guard.Refused(r, guard.Response)
	return &failure{err: r.AI(), outcome: blocked, note: note(r)}
}

// answerStage is what looks at the answer of the attempt; false: nothing is to be done with it.
func (c *call) answerStage() (*guard.Stage, bool) {
	if c.guard == nil {
		return nil, false
	}
	st := c.h.guards.answer[c.target.provider]
	return st, st != nil || c.guard.Restores()
}

// guardAnswer looks at a whole answer in the client's schema and returns it as it may go on.
func (c *call) guardAnswer(body []byte) ([]byte, *failure) {
	st, any := c.answerStage()
	if !any {
		return body, nil
	}
	out, err := c.guard.Body(c.guardContext(st), st, c.ax.Client.Schema(), body, c.spoken, true)
	if err != nil {
		c.spent()
		return nil, c.blockedAnswer(err)
	}
	if len(out) != len(body) || len(out) > 0 && &out[0] != &body[0] {
		c.spoken = out
	}
	return out, nil
}

// guardError looks at what a provider's error says.
func (c *call) guardError(e *ai.Error) {
	st, any := c.answerStage()
	if !any || !e.Upstream {
		return
	}
	ctx := c.guardContext(st)
	for i, s := range []*string{&e.Message, &e.Param, &e.Code, &e.Type} {
		if *s == "" {
			continue
		}
		look := c.guard.Text
		if i == 0 {
			look = c.guard.Said
		}
		out, err := look(ctx, st, []byte(*s))
		if err != nil {
			*s = "withheld by a prompt guard"
			continue
		}
		*s = string(out)
	}
}

// guardStream begins to look at the stream of an attempt.
func (s *stream) guardStream() {
	s.shield = nil
	if st, any := s.answerStage(); any {
		s.shield = s.guard.Stream(s.halt.ctx, st, s.ax.Client.Schema())
	}
}

// shielded puts what was appended to a buffer through the guard. What is blocked is not in it any more.
func (s *stream) shielded(to *[]byte, from int) *failure {
	if s.shield == nil || len(*to) == from {
		return nil
	}
	s.raw = append(s.raw[:0], (*to)[from:]...)
	out, err := s.shield.Push((*to)[:from], s.raw)
	if err != nil {
		*to = (*to)[:from]
		return s.blockedAnswer(err)
	}
	*to = out
	return nil
}

// shieldedEnd does the same for the end of a stream, with what was held back until then.
func (s *stream) shieldedEnd(from int) *failure {
	if s.shield == nil {
		return nil
	}
	if f := s.shielded(&s.out, from); f != nil {
		return f
	}
	out, err := s.shield.End(s.out)
	if err != nil {
		return s.blockedAnswer(err)
	}
	s.out = out
	return nil
}
