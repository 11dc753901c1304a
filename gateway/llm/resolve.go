package llm

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// models maps the names that clients ask for to routes. It is immutable.
type models struct {
	exact    map[string]*route
	patterns []pattern // the longest literal first
	// fallback is the name that stands in when a client names none; empty: it has to.
	fallback string
	// owner is the AIProvider or AIBackend.
	owner string
	// list is what clients are told; names is the same for error messages.
	list  []ai.ModelInfo
	names string
	// shared says that this is an AIBackend.
	shared bool
}

// providers are those of all targets.
func (m *models) providers() map[*provider]bool {
	all := map[*provider]bool{}
	add := func(r *route) {
		for _, tier := range r.tiers {
			for _, t := range tier {
				all[t.provider] = true
			}
		}
	}
	for _, r := range m.exact {
		add(r)
	}
	for i := range m.patterns {
		add(m.patterns[i].route)
	}
	return all
}

// route is the way of one name: its targets and when to go on to the next.
type route struct {
	// tiers are the targets by priority.
	tiers [][]*target
	on    causes
	// attempts is the most calls that are made.
	attempts int
}

// pattern is a name with one "*".
type pattern struct {
	prefix, suffix string
	route          *route
}

func newPattern(name string, r *route) pattern {
	prefix, suffix, _ := strings.Cut(name, "*")
	return pattern{prefix, suffix, r}
}

// match gives what the "*" stands for.
func (p *pattern) match(name string) (string, bool) {
	if len(name) < len(p.prefix)+len(p.suffix) || !strings.HasPrefix(name, p.prefix) || !strings.HasSuffix(name, p.suffix) {
		return "", false
	}
	return name[len(p.prefix) : len(name)-len(p.suffix)], true
}

// find gives the route of a name and what its "*" stands for; nil if there is none.
func (m *models) find(name string) (*route, string) {
	if r := m.exact[name]; r != nil {
		return r, ""
	}
	for i := range m.patterns {
		if star, ok := m.patterns[i].match(name); ok {
			return m.patterns[i].route, star
		}
	}
	return nil, ""
}

// target is a model of a provider, as one route uses it. It is immutable but for its health.
type target struct {
	provider *provider
	weight   uint32
	// The provider's name of the model is prefix, and, if star, what the client's "*" stood for, and suffix.
	prefix, suffix string
	star           bool
	// own takes the client's name as it is.
	own       bool
	maxOutput int
	price     *xdsv1.Price // nil: not known, or prices know it by the model's name
	prices    *Prices
	health    *health
	meter     Meter
}

func (t *target) model(requested, star string) string {
	switch {
	case t.own:
		return requested
	case t.star && t.prefix == "" && t.suffix == "":
		return star
	case t.star:
		return t.prefix + star + t.suffix
	}
	return t.prefix
}

func (m *models) sort() {
	slices.SortStableFunc(m.patterns, func(a, b pattern) int {
		return cmp.Compare(len(b.prefix)+len(b.suffix), len(a.prefix)+len(a.suffix))
	})
}

// maxNames bounds how many names an error message lists.
const maxNames = 50

// describe makes names of the list and the patterns.
func (m *models) describe() {
	var names []string
	for i := range m.list {
		names = append(names, m.list[i].ID)
	}
	for _, p := range m.patterns {
		if p.prefix+p.suffix != "" {
			names = append(names, p.prefix+"*"+p.suffix)
		}
	}
	if more := len(names) - maxNames; more > 0 {
		names = append(names[:maxNames], "...")
	}
	m.names = strings.Join(names, ", ")
}

// order puts the targets of a route into the order in which they are tried: by priority, and within one at random by
// weight.
func (l *LLM) order(dst []*target, r *route) []*target {
	for _, tier := range r.tiers {
		at := len(dst)
		dst = append(dst, tier...)
		for rest := dst[at:]; len(rest) > 1; rest = rest[1:] {
			i := l.draw(rest)
			rest[0], rest[i] = rest[i], rest[0]
		}
	}
	return dst
}

func (l *LLM) draw(ts []*target) int {
	var total float64
	for _, t := range ts {
		total += float64(t.weight)
	}
	at := l.Rand() * total
	for i, t := range ts {
		if at -= float64(t.weight); at < 0 {
			return i
		}
	}
	return len(ts) - 1
}
