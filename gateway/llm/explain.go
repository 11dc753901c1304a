package llm

import (
	"errors"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/guard"
)

// Explained is what would become of a model call, without making it.
type Explained struct {
	Client    ai.Schema `json:"client"`
	Operation string    `json:"operation"`
	Model     string    `json:"model,omitempty"`
	Stream    bool      `json:"stream"`
	// InputTokens is an estimate by the first target's model, MaxOutputTokens what the client allows; 0: not known.
	InputTokens     int               `json:"inputTokens"`
	MaxOutputTokens int               `json:"maxOutputTokens,omitempty"`
	Targets         []ExplainedTarget `json:"targets"`
	Findings        []ExplainedPlace  `json:"findings"`
	// Webhooks are the rules that would ask a service; they are not asked here.
	Webhooks []string `json:"webhooks,omitempty"`
	// Refused is what the client would be told instead.
	Refused string `json:"refused,omitempty"`
	Status  int    `json:"status,omitempty"`
}

// ExplainedTarget is a target in the order of priority. Those of one priority share requests by weight.
type ExplainedTarget struct {
	Provider string    `json:"provider"`
	Schema   ai.Schema `json:"schema"`
	Model    string    `json:"model"`
	Priority int       `json:"priority"`
	Weight   uint32    `json:"weight"`
	// Bypass says that the client's bytes are forwarded but for the model's name.
	Bypass bool `json:"bypass"`
	// Cost is what the input costs, in billionths of a US dollar; 0 where no price is known.
	Cost int64 `json:"costNanodollars,omitempty"`
	// Unfit is why the request does not go to it.
	Unfit string `json:"unfit,omitempty"`
}

// ExplainedPlace is where a rule of a prompt guard finds something: never what.
type ExplainedPlace struct {
	Policy  string `json:"policy"`
	Rule    string `json:"rule"`
	Action  string `json:"action"`
	Monitor bool   `json:"monitor,omitempty"`
	Kind    string `json:"kind"`
	Path    string `json:"path"`
	Start   int    `json:"start"`
	End     int    `json:"end"`
	// Provider is whose own guard it is; empty: of the rule or the AIBackend.
	Provider string `json:"provider,omitempty"`
}

// Explain takes the steps of a call up to its first attempt, on the same code, and tells what it meets. Nothing is sent.
func (h *Handler) Explain(x *exchange.Exchange) *Explained {
	c := h.newCall(x)
	e := &Explained{}
	if err := h.explain(c, e); err != nil {
		e.Refused, e.Status = err.Message, err.Status
	}
	return e
}

func (h *Handler) explain(c *call, e *Explained) *ai.Error {
	model, err := c.detect()
	if err != nil {
		return err
	}
	e.Client, e.Operation = c.ax.Client.Schema(), c.ax.Op.String()
	if h.closed != nil {
		return h.closed
	}
	if c.ax.Op == ai.OpListModels || c.ax.Op == ai.OpGetModel {
		return nil
	}
	if err := c.read(model); err != nil {
		return err
	}
	r := &c.ax.Request
	e.Model, e.Stream, e.MaxOutputTokens = r.Model, r.Stream, r.MaxOutput
	if err := c.resolve(); err != nil {
		return err
	}
	refused := h.explainGuards(c, e)
	h.explainTargets(c, e)
	return refused
}

// explainGuards looks at the request with the rules that are for it. Nothing ends at the first that blocks.
func (h *Handler) explainGuards(c *call, e *Explained) *ai.Error {
	g := h.guards
	if g == nil {
		return nil
	}
	c.guard = h.llm.guards.Session()
	var blocks *guard.Rule
	c.guard.Trace = func(p guard.Place) {
		e.Findings = append(e.Findings, explainPlace(p, ""))
		if p.Blocks() && blocks == nil {
			blocks = p.Rule
		}
	}
	e.Webhooks = append(e.Webhooks, g.request.Webhooks()...)
	err := c.guardBody(g.request, &c.guarded)
	c.base = c.ax.Request
	switch {
	case blocks != nil:
		return guard.BlockedBy(blocks, guard.Request).AI()
	case err != nil:
		return c.refusal(err)
	}
	return nil
}

func explainPlace(p guard.Place, provider string) ExplainedPlace {
	return ExplainedPlace{
		Policy: p.Policy, Rule: p.Name, Action: p.Action.String(), Monitor: p.Monitor, Kind: p.Kind, Path: p.Path, Start: p.Start, End: p.End, Provider: provider,
	}
}

func (h *Handler) explainTargets(c *call, e *Explained) {
	for priority, tier := range c.route.tiers {
		for _, t := range tier {
			e.Targets = append(e.Targets, h.explainTarget(c, e, t, priority))
		}
	}
}

func (h *Handler) explainTarget(c *call, e *Explained, t *target, priority int) ExplainedTarget {
	out := ExplainedTarget{Provider: t.provider.name, Schema: t.provider.wire.Schema(), Priority: priority, Weight: t.weight}
	var blocks *guard.Rule
	if c.guard != nil {
		c.guard.Trace = func(p guard.Place) {
			e.Findings = append(e.Findings, explainPlace(p, t.provider.name))
			if p.Blocks() {
				blocks = p.Rule
			}
		}
		if st := h.guards.attempt[t.provider]; st != nil {
			e.Webhooks = append(e.Webhooks, st.Webhooks()...)
		}
	}
	err := c.encode(t)
	out.Model, out.Bypass = c.ax.Target.Model, c.bypass != nil
	n := h.llm.input(&c.ax)
	if e.InputTokens == 0 {
		e.InputTokens = n
	}
	out.Cost = cost(&ai.Usage{Input: n}, c.price())
	var u *ai.Unsupported
	switch {
	case h.shut[t.provider] != nil:
		out.Unfit = h.shut[t.provider].Message
	case blocks != nil:
		out.Unfit = guard.BlockedBy(blocks, guard.Request).Error()
	case errors.As(err, &u):
		out.Unfit = u.Error()
	case err != nil:
		out.Unfit = clientError(err).Message
	}
	return out
}
