package translate

import (
	"slices"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// remember says where what was made before may be used again. What rules mean depends on everything but other routes: so that
// is possible when nothing else has changed, which is the most common edit by far.
func (t *translator) remember() {
	if t.o.Last == nil || t.o.Last.of == nil {
		return
	}
	last := t.o.Last.of
	sameBackends := !t.o.Standalone || t.in.SameSlices(last.in) // without slices a Service is found by its name
	if last.o.Standalone == t.o.Standalone && last.o.ClusterDomain == t.o.ClusterDomain && sameBackends && t.in.SameBut(last.in, "HTTPRoute", "GRPCRoute") {
		t.last = last
	}
}

// again takes the rules of a route from the translation before, if its object is the same one. Where it attaches is found anew.
// A route that names something that was refused is not taken: what becomes of that depends on what is in force.
func (t *translator) again(r *route) bool {
	if t.last == nil {
		return false
	}
	old := t.last.built[r.ref]
	if old == nil || old.object != r.object || old.wire == nil || slices.ContainsFunc(old.targets, t.anyRefused) {
		return false
	}
	resource := t.last.pool[old.wire.GetKey()]
	for _, key := range old.refs {
		t.takeBackend(key)
	}
	r.unresolved, r.targets, r.refs = old.unresolved, old.targets, old.refs
	r.wire = &xdsv1.Route{Key: old.wire.Key, Namespace: old.wire.Namespace, Name: old.wire.Name, Created: old.wire.Created, Rules: old.wire.Rules}
	t.pool[r.wire.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: r.wire}}
	t.built[r.ref] = r
	t.attach(r, old)
	if slices.EqualFunc(r.wire.Parents, old.wire.Parents, func(a, b *xdsv1.Parent) bool {
		return a.Listener == b.Listener && slices.Equal(a.Hostnames, b.Hostnames)
	}) {
		// The very same resource needs no new version.
		r.wire, t.pool[r.wire.Key] = old.wire, resource
	}
	return true
}

func (t *translator) anyRefused(key string) bool {
	return t.refused[key] != nil || t.last.refused[key] != nil
}

// takeBackend takes what was made of one port of a Service, if there is any.
func (t *translator) takeBackend(key string) {
	if b := t.last.backends[key]; b != nil && t.backends[key] == nil {
		t.backends[key] = b
		if r := t.last.pool[key]; r != nil {
			t.pool[key] = r
		}
	}
}
