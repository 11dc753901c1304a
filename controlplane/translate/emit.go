package translate

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// reachable gathers what one group of data planes gets: its listeners, the routes on them, and what these refer to. Nothing
// else leaves the control plane, least of all a Secret that nobody refers to.
func (t *translator) reachable(group GroupName, routes []*route, policies []*xdsv1.Resource) map[string]*xdsv1.Resource {
	out := map[string]*xdsv1.Resource{}
	for _, g := range t.gateways {
		for _, l := range g.listeners {
			if g.group == group && l.served() {
				t.emit(out, l.key)
			}
		}
	}
	for _, r := range routes {
		if wire := r.in(group); wire != nil {
			out[wire.Key] = t.resourceOf(wire)
			for _, key := range r.refs {
				t.emit(out, key)
			}
		}
	}
	t.emitPolicies(out, policies)
	t.emitRuntime(out, group)
	return out
}

// resourceOf is the resource of a route: the one in the pool, unless a group sees the route in part.
func (t *translator) resourceOf(wire *xdsv1.Route) *xdsv1.Resource {
	if r := t.pool[wire.Key]; r.GetRoute() == wire {
		return r
	}
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: wire}}
}

// byGroup are the routes that each group sees something of.
func (t *translator) byGroup() map[GroupName][]*route {
	out := map[GroupName][]*route{}
	for _, r := range t.routes {
		for i, l := range r.attached {
			group := l.gateway.group
			if !slices.ContainsFunc(r.attached[:i], func(o *listener) bool { return o.gateway.group == group }) {
				out[group] = append(out[group], r)
			}
		}
	}
	return out
}

// policiesInPool are the policies and callers that were built.
func (t *translator) policiesInPool() (out []*xdsv1.Resource) {
	for _, r := range t.pool {
		if r.GetPolicy() != nil || r.GetCaller() != nil {
			out = append(out, r)
		}
	}
	return out
}

// in is the route as a group sees it: with the listeners of that group alone. It is nil when there are none.
func (r *route) in(group GroupName) *xdsv1.Route {
	own := map[string]bool{}
	for _, l := range r.attached {
		own[l.key] = l.gateway.group == group
	}
	var parents []*xdsv1.Parent
	for _, p := range r.wire.GetParents() {
		if own[p.GetListener()] {
			parents = append(parents, p)
		}
	}
	if len(parents) == 0 {
		return nil
	}
	if len(parents) == len(r.wire.GetParents()) {
		return r.wire
	}
	wire := proto.CloneOf(r.wire)
	wire.Parents = parents
	return wire
}

// emit adds the resource of a key and, once, everything that it refers to.
func (t *translator) emit(out map[string]*xdsv1.Resource, key string) {
	r := t.pool[key]
	if r == nil || out[key] != nil {
		return
	}
	out[key] = r
	if k := r.GetProvider().GetAuth().GetApiKey(); k != nil {
		t.emitSecretValue(out, k.GetSecret(), k.GetDataKey())
	}
	for _, ref := range snapshot.References(r) {
		t.emit(out, ref)
	}
}

// emitSecretValue adds one value of a Secret: of its data only what something refers to leaves the control plane.
func (t *translator) emitSecretValue(out map[string]*xdsv1.Resource, key, dataKey string) {
	name, err := xdsv1.ParseKey(key)
	if err != nil {
		return
	}
	secret, ok := t.in.Secrets.Get(name.Namespace, name.Name)
	if !ok {
		return
	}
	r := out[key]
	if r == nil {
		opaque := &xdsv1.Opaque{Data: map[string][]byte{}}
		r = &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: key, Kind: &xdsv1.Secret_Opaque{Opaque: opaque}}}}
		out[key] = r
	}
	r.GetSecret().GetOpaque().Data[dataKey] = secret.Data[dataKey]
}

// visit calls f for every Service that the targets of a route lead to, valid or not.
func (t *translator) visit(targets []string, f func(types.NamespacedName)) {
	for _, key := range targets {
		k, err := xdsv1.ParseKey(key)
		if err != nil {
			continue
		}
		switch k.Kind {
		case xdsv1.KindBackend:
			f(types.NamespacedName{Namespace: k.Namespace, Name: k.Name})
		case xdsv1.KindProvider:
			if p := t.providers[key]; p != nil && p.backend != "" {
				t.visit([]string{p.backend}, f)
			}
		case xdsv1.KindModels:
			if m := t.models[key]; m != nil {
				t.visit(m.providers, f)
			}
		}
	}
}
