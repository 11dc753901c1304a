package xds

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// lens shows resources as a data plane of a schema level can understand them. What is newer is withheld, and whatever would
// have been protected or served by it fails closed.
type lens struct {
	level  uint32
	newest bool // nothing is newer than the level
	since  func(protoreflect.FullName) uint32
}

// newer says whether m holds a field or an enum value that came after the level. With prune it takes them out.
func (l lens) newer(m protoreflect.Message, prune bool) bool {
	found := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if l.since(f.FullName()) > l.level || l.newerEnum(f, v) {
			found = true
			if prune {
				m.Clear(f)
			}
			return true
		}
		for _, sub := range messages(f, v) {
			found = l.newer(sub, prune) || found
		}
		return !found || prune
	})
	return found
}

// newerEnum says whether a field is an enum, or a list of them, with a value that came after the level.
func (l lens) newerEnum(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	if f.Enum() == nil || f.IsMap() {
		return false
	}
	newer := func(n protoreflect.EnumNumber) bool {
		d := f.Enum().Values().ByNumber(n)
		return d != nil && l.since(d.FullName()) > l.level
	}
	if !f.IsList() {
		return newer(v.Enum())
	}
	for i := range v.List().Len() {
		if newer(v.List().Get(i).Enum()) {
			return true
		}
	}
	return false
}

// messages are those inside a field.
func messages(f protoreflect.FieldDescriptor, v protoreflect.Value) []protoreflect.Message {
	if f.Message() == nil {
		return nil
	}
	var out []protoreflect.Message
	switch {
	case f.IsList():
		for i := range v.List().Len() {
			out = append(out, v.List().Get(i).Message())
		}
	case f.IsMap():
		if f.MapValue().Message() == nil {
			return nil
		}
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			out = append(out, v.Message())
			return true
		})
	default:
		out = append(out, v.Message())
	}
	return out
}

// endpoints is e without what is newer.
func (l lens) endpoints(e *xdsv1.Endpoints) *xdsv1.Endpoints {
	if l.newest || !l.newer(e.ProtoReflect(), false) {
		return e
	}
	e = proto.CloneOf(e)
	l.newer(e.ProtoReflect(), true)
	return e
}

// reduce is the snapshot as the level sees it, and the keys of what it cannot see whole, in order.
func (l lens) reduce(s *snapshot.Snapshot) (shown *snapshot.Snapshot, withheld []string, err error) {
	if l.newest {
		return s, nil, nil
	}
	r := reduction{lens: l, out: maps.Clone(s.Resources), closed: map[string]bool{}}
	for _, key := range s.Keys() {
		if l.newer(s.Resources[key].ProtoReflect(), false) {
			withheld = append(withheld, key)
		}
	}
	if len(withheld) == 0 {
		return s, nil, nil
	}
	for _, key := range withheld {
		r.withhold(key)
	}
	r.spread()
	shown, err = snapshot.New(r.out)
	if err != nil {
		return nil, nil, fmt.Errorf("view of schema level %d: %w", l.level, err)
	}
	return shown, withheld, nil
}

// reduction is a snapshot on its way to a lower level.
type reduction struct {
	lens
	out    map[string]*xdsv1.Resource
	closed map[string]bool // keys that nothing may go through
}

// withhold takes what is newer out of a resource, and closes what depends on it.
func (r *reduction) withhold(key string) {
	m := proto.CloneOf(r.out[key])
	switch {
	case m.GetPolicy() != nil:
		r.closeTargetsOf(m.GetPolicy())
		delete(r.out, key)
	case r.unknown(m):
		r.closed[key] = true
		delete(r.out, key)
	case m.GetRuntime() != nil:
		r.newer(m.ProtoReflect(), true)
		if xdsv1.Validate(m) != nil { // a store that can be reached in a newer way alone: limits are counted in memory
			m.GetRuntime().RateLimitStore = nil
		}
		r.out[key] = m
	case m.GetRoute() != nil:
		r.pruneRoute(m.GetRoute())
		r.out[key] = m
		if xdsv1.Validate(m) != nil {
			delete(r.out, key)
		}
	case m.GetListener() != nil:
		r.closed[key] = true
		r.newer(m.ProtoReflect(), true)
		r.out[key] = m
	default:
		r.closed[key] = true
	}
}

// closeTargetsOf closes what a policy would have protected. p may be nil.
func (r *reduction) closeTargetsOf(p *xdsv1.Policy) {
	for _, t := range p.GetTargets() {
		r.closed[t.GetKey()] = true
	}
}

// unknown says whether a resource is of a kind that came after the level.
func (r *reduction) unknown(m *xdsv1.Resource) bool {
	p := m.ProtoReflect()
	f := p.WhichOneof(p.Descriptor().Oneofs().ByName("kind"))
	return f == nil || r.since(f.FullName()) > r.level
}

// pruneRoute closes those rules of a route that hold something newer, or all when it is the route itself that does.
func (r *reduction) pruneRoute(route *xdsv1.Route) {
	for _, rule := range route.GetHttp().GetRules() {
		if r.newer(rule.ProtoReflect(), true) {
			closeHTTP(rule)
		}
	}
	for _, rule := range route.GetGrpc().GetRules() {
		if r.newer(rule.ProtoReflect(), true) {
			closeGRPC(rule)
		}
	}
	if r.newer(route.ProtoReflect(), true) {
		closeRoute(route)
	}
	if xdsv1.Validate(&xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: route}}) != nil {
		coverAll(route)
	}
}

// spread carries closing on to everything that depends on what is closed: from secrets to backends, to providers, to model
// maps, to routes. What was closed and is no route is then taken out; a listener stays when it is still valid, so that
// another with a wider hostname does not take its requests.
func (r *reduction) spread() {
	keys := slices.Sorted(maps.Keys(r.out))
	for again := true; again; {
		again = false
		for _, key := range keys {
			if !r.closed[key] && !partly(r.out[key]) && r.reachesClosed(r.out[key]) {
				r.closed[key], again = true, true
				r.closeTargetsOf(r.out[key].GetPolicy())
			}
		}
	}
	for _, key := range keys {
		switch m := r.out[key]; {
		case m.GetRoute() != nil:
			r.spreadToRoute(key)
		case m.GetModelMap() != nil && r.reachesClosed(m):
			r.out[key] = r.closeTargets(m)
		}
	}
	for key := range r.closed {
		m := r.out[key]
		if m.GetRoute() != nil || m.GetListener() != nil && xdsv1.Validate(m) == nil && !r.reachesClosed(m) {
			continue
		}
		delete(r.out, key)
	}
	r.dropOrphans()
}

// partly says whether only that part of a resource is closed which leads to something closed.
func partly(m *xdsv1.Resource) bool { return m.GetRoute() != nil || m.GetModelMap() != nil }

func (r *reduction) reachesClosed(m *xdsv1.Resource) bool {
	return slices.ContainsFunc(snapshot.References(m), func(key string) bool { return r.closed[key] })
}

func (r *reduction) spreadToRoute(key string) {
	route := r.out[key].GetRoute()
	whole := r.closed[key] || slices.ContainsFunc(route.GetParents(), func(p *xdsv1.Parent) bool { return r.closed[p.GetListener()] })
	if !whole && !r.reachesClosed(r.out[key]) {
		return
	}
	route = proto.CloneOf(route)
	if whole {
		closeRoute(route)
	} else {
		r.closeReferences(route)
	}
	r.out[key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: route}}
}

// dropOrphans takes out of routes the listeners that were taken out, and routes that are left without any.
func (r *reduction) dropOrphans() {
	for key, m := range r.out {
		route := m.GetRoute()
		gone := func(p *xdsv1.Parent) bool { return r.out[p.GetListener()] == nil }
		if route == nil || !slices.ContainsFunc(route.GetParents(), gone) {
			continue
		}
		route = proto.CloneOf(route)
		route.Parents = slices.DeleteFunc(route.Parents, gone)
		r.out[key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: route}}
		if len(route.Parents) == 0 {
			delete(r.out, key)
		}
	}
}
