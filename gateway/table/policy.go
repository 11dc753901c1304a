package table

import (
	"slices"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// policies are those of a table by the key of what they target, in order of their own keys.
type policies map[string][]attached

// attached is a policy at one of its targets.
type attached struct {
	*xdsv1.Policy
	target *xdsv1.Target
}

func newPolicies(rs map[string]*xdsv1.Resource) policies {
	ps := policies{}
	for _, key := range sortedKeys(rs, func(r *xdsv1.Resource) bool { return r.GetPolicy() != nil }) {
		p := rs[key].GetPolicy()
		for _, t := range p.GetTargets() {
			ps[t.GetKey()] = append(ps[t.GetKey()], attached{p, t})
		}
	}
	return ps
}

// The levels at which policies meet a rule, the widest first.
const (
	ofGateway = iota
	ofListener
	ofRoute
	ofRule
	levels
)

// rule lists the policies on the way to a rule: of the Gateway, the listener, the route and the rule itself, each once, the
// widest first. An overridable AuthPolicy is not among them where one of a narrower level is, and of the RoutePolicies only
// the narrowest is.
func (ps policies) rule(listener, route, rule string) []*xdsv1.Policy {
	var at [levels][]*xdsv1.Policy
	for _, a := range ps[listener] {
		level := ofListener
		if a.target.GetGateway() {
			level = ofGateway
		}
		at[level] = append(at[level], a.Policy)
	}
	for _, a := range ps[route] {
		switch a.target.GetRule() {
		case "":
			at[ofRoute] = append(at[ofRoute], a.Policy)
		case rule:
			at[ofRule] = append(at[ofRule], a.Policy)
		}
	}
	var out []*xdsv1.Policy
	for level, list := range at {
		narrower := func(kind string) bool {
			return slices.ContainsFunc(at[level+1:], func(l []*xdsv1.Policy) bool {
				return slices.ContainsFunc(l, func(p *xdsv1.Policy) bool { return isOf(p, kind) })
			})
		}
		for _, p := range list {
			switch {
			case slices.Contains(out, p), p.GetAuth().GetOverridable() && narrower(xdsv1.PolicyAuth), isOf(p, xdsv1.PolicyRoute) && narrower(xdsv1.PolicyRoute):
			default:
				out = append(out, p)
			}
		}
	}
	return out
}

// isOf says whether a policy was made of an object of a kind, one that cannot be run included.
func isOf(p *xdsv1.Policy, kind string) bool {
	k, err := xdsv1.ParseKey(p.GetKey())
	return err == nil && k.Sub == kind
}

// traffic is the RoutePolicy among those of a rule; nil: there is none.
func traffic(list []*xdsv1.Policy) *xdsv1.Traffic {
	for _, p := range list {
		if t := p.GetTraffic(); t != nil {
			return t
		}
	}
	return nil
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
