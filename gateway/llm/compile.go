package llm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// compiler makes the models of one handler.
type compiler struct {
	llm       *LLM
	rs        map[string]*xdsv1.Resource
	clusters  ClusterSource
	providers map[string]*provider // by key
	prices    *Prices
}

// direct takes any name and asks the provider for it. The models that it lists have a target each, so that a rate limit
// of one does not keep the others waiting.
func (k *compiler) direct(m *xdsv1.Provider) (*models, error) {
	p, err := k.provider(m.GetKey())
	if err != nil {
		return nil, err
	}
	ms := &models{exact: map[string]*route{}, fallback: m.GetDefaultModel(), owner: m.GetName()}
	for _, pm := range m.GetModels() {
		ms.exact[pm.GetName()] = single(k.target(p, pm.GetName(), 1))
		ms.list = append(ms.list, p.info(pm.GetName(), pm.GetName(), ms.owner))
	}
	ms.patterns = []pattern{newPattern("*", single(k.target(p, "*", 1)))}
	ms.describe()
	return ms, nil
}

func single(t *target) *route {
	return &route{tiers: [][]*target{{t}}, on: defaultCauses, attempts: 1}
}

func (k *compiler) modelMap(m *xdsv1.ModelMap) (*models, error) {
	ms := &models{exact: map[string]*route{}, owner: m.GetName(), shared: true}
	for i, mod := range m.GetModels() {
		r, err := k.route(mod)
		if err != nil {
			return nil, fmt.Errorf("%s: models[%d]: %w", m.GetKey(), i, err)
		}
		if strings.Contains(mod.GetName(), "*") {
			ms.patterns = append(ms.patterns, newPattern(mod.GetName(), r))
			continue
		}
		ms.exact[mod.GetName()] = r
		ms.list = append(ms.list, r.info(mod.GetName(), ms.owner))
	}
	ms.sort()
	for i := range ms.patterns {
		k.expand(ms, &ms.patterns[i])
	}
	ms.describe()
	return ms, nil
}

// expand gives the models that providers list under a pattern names of their own: they are listed, and cool down one by
// one.
func (k *compiler) expand(ms *models, p *pattern) {
	for _, tier := range p.route.tiers {
		for _, t := range tier {
			at := pattern{prefix: t.prefix, suffix: t.suffix}
			if t.own {
				at.prefix, at.suffix = p.prefix, p.suffix
			} else if !t.star {
				continue
			}
			for _, listed := range t.provider.models {
				star, ok := at.match(listed.GetName())
				name := p.prefix + star + p.suffix
				if r, _ := ms.find(name); !ok || r != p.route {
					continue
				}
				ms.exact[name] = k.fixed(p.route, name, star)
				ms.list = append(ms.list, ms.exact[name].info(name, ms.owner))
			}
		}
	}
}

// fixed is a route of a pattern for one name.
func (k *compiler) fixed(r *route, name, star string) *route {
	f := &route{on: r.on, attempts: r.attempts}
	for _, tier := range r.tiers {
		var ts []*target
		for _, t := range tier {
			ts = append(ts, k.target(t.provider, t.model(name, star), t.weight))
		}
		f.tiers = append(f.tiers, ts)
	}
	return f
}

// route compiles the targets that take traffic. Those whose reference is not valid are left out; a model with no other
// has no tier and is answered with 503.
func (k *compiler) route(m *xdsv1.Model) (*route, error) {
	r := &route{on: causesOf(m.GetFallback().GetWhen()), attempts: int(m.GetFallback().GetMaxAttempts())}
	valid := slices.DeleteFunc(slices.Clone(m.GetTargets()), func(t *xdsv1.ModelTarget) bool {
		return t.GetProvider() == "" || t.GetWeight() == 0
	})
	slices.SortStableFunc(valid, func(a, b *xdsv1.ModelTarget) int { return int(a.GetPriority()) - int(b.GetPriority()) })
	for i, mt := range valid {
		p, err := k.provider(mt.GetProvider())
		if err != nil {
			return nil, err
		}
		if i == 0 || mt.GetPriority() != valid[i-1].GetPriority() {
			r.tiers = append(r.tiers, nil)
		}
		last := &r.tiers[len(r.tiers)-1]
		*last = append(*last, k.target(p, k.name(m, mt), mt.GetWeight()))
	}
	if r.attempts == 0 {
		r.attempts = len(valid)
	}
	return r, nil
}

// name is the model of a target; without one it is the client's, which a name without "*" fixes.
func (k *compiler) name(m *xdsv1.Model, t *xdsv1.ModelTarget) string {
	if t.GetModel() == "" && !strings.Contains(m.GetName(), "*") {
		return m.GetName()
	}
	return t.GetModel()
}

// target makes a target; model may hold a "*" or be empty for the client's own name.
func (k *compiler) target(p *provider, model string, weight uint32) *target {
	t := &target{provider: p, weight: weight, own: model == ""}
	t.prefix, t.suffix, t.star = strings.Cut(model, "*")
	label := model
	if t.own {
		label = "*"
	}
	listed := p.model(model)
	t.maxOutput, t.price, t.prices = int(listed.GetMaxOutput()), listed.GetPrice(), k.prices
	if t.price == nil && !t.star && !t.own {
		t.price = k.prices.of(model)
	}
	t.health = k.llm.register.get(p.key, label)
	t.meter = k.llm.Observer.Target(p.name, label)
	return t
}

// info is what clients are told of a name: what the first target's provider says.
func (r *route) info(name, owner string) ai.ModelInfo {
	if len(r.tiers) == 0 {
		return ai.ModelInfo{ID: name, OwnedBy: owner}
	}
	t := r.tiers[0][0]
	return t.provider.info(name, t.prefix, owner)
}

func (p *provider) info(name, model, owner string) ai.ModelInfo {
	m := p.model(model)
	return ai.ModelInfo{
		ID: name, OwnedBy: owner,
		ContextWindow: int(m.GetContextWindow()), MaxOutput: int(m.GetMaxOutput()),
	}
}

// model is what the provider lists under a name, or nil.
func (p *provider) model(name string) *xdsv1.ProviderModel {
	for _, m := range p.models {
		if m.GetName() == name {
			return m
		}
	}
	return nil
}
