package table

import (
	"slices"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// policies are those of a table by the key of what they target, in order of their own keys.
type policies map[string][]attached

// attached is a policy at one of its targets; rule is that of the target.
type attached struct {
	*xdsv1.Policy
	rule string
}

func newPolicies(rs map[string]*xdsv1.Resource) policies {
	ps := policies{}
	for _, key := range sortedKeys(rs, func(r *xdsv1.Resource) bool { return r.GetPolicy() != nil }) {
		p := rs[key].GetPolicy()
		for _, t := range p.GetTargets() {
			ps[t.GetKey()] = append(ps[t.GetKey()], attached{p, t.GetRule()})
		}
	}
	return ps
}

// rule lists the policies on the way to a rule: of the listener, the route and the rule itself, each once, the widest first.
func (ps policies) rule(listener, route, rule string) []*xdsv1.Policy {
	var out []*xdsv1.Policy
	add := func(p *xdsv1.Policy) {
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for _, a := range ps[listener] {
		add(a.Policy)
	}
	for _, a := range ps[route] {
		if a.rule == "" {
			add(a.Policy)
		}
	}
	for _, a := range ps[route] {
		if a.rule != "" && a.rule == rule {
			add(a.Policy)
		}
	}
	return out
}

// route lists all policies that some rule of a route may have, to see whether one of them has changed.
func (ps policies) route(m *xdsv1.Route) []*xdsv1.Policy {
	var out []*xdsv1.Policy
	for _, p := range m.GetParents() {
		for _, a := range ps[p.GetListener()] {
			out = append(out, a.Policy)
		}
	}
	for _, a := range ps[m.GetKey()] {
		out = append(out, a.Policy)
	}
	return out
}

func samePolicies(a, b []*xdsv1.Policy) bool {
	return slices.EqualFunc(a, b, func(a, b *xdsv1.Policy) bool { return a == b || proto.Equal(a, b) })
}
