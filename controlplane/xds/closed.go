package xds

import (
	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// tooOld is the reason that a data plane logs for what it was not given.
const tooOld = "withheld: it needs a newer data plane"

// closeRoute lets a route match as before and makes all its rules fail.
func closeRoute(r *xdsv1.Route) {
	for _, rule := range r.GetHttp().GetRules() {
		closeHTTP(rule)
	}
	for _, rule := range r.GetGrpc().GetRules() {
		closeGRPC(rule)
	}
	if l4 := r.GetL4(); l4 != nil {
		closeBackends(l4.GetBackends())
	}
}

// closeHTTP makes a rule fail. A match whose path could not be understood covers every path: the rule must not leave its
// requests to another one.
func closeHTTP(rule *xdsv1.HTTPRule) {
	rule.Filters, rule.Backends = closedFilters(), nil
	rule.Retry, rule.SessionPersistence = nil, nil
	for _, m := range rule.GetMatches() {
		if p := m.GetPath(); p != nil && p.GetKind() == xdsv1.PathMatch_KIND_UNSPECIFIED {
			m.Path = &xdsv1.PathMatch{Kind: xdsv1.PathMatch_PREFIX, Value: "/"}
		}
	}
}

func closeGRPC(rule *xdsv1.GRPCRule) {
	rule.Filters, rule.Backends, rule.SessionPersistence = closedFilters(), nil, nil
}

func closedFilters() []*xdsv1.Filter {
	return []*xdsv1.Filter{{Kind: &xdsv1.Filter_Invalid{Invalid: tooOld}}}
}

func closeBackends(list []*xdsv1.WeightedBackend) {
	for _, b := range list {
		b.Target, b.Filters = &xdsv1.WeightedBackend_Invalid{Invalid: tooOld}, nil
	}
}

// closeReferences makes that share of a route's traffic fail which would go to something closed.
func (r *reduction) closeReferences(route *xdsv1.Route) {
	for _, rule := range route.GetHttp().GetRules() {
		r.filters(rule.GetFilters())
		r.backends(rule.GetBackends())
	}
	for _, rule := range route.GetGrpc().GetRules() {
		r.filters(rule.GetFilters())
		r.backends(rule.GetBackends())
	}
	r.backends(route.GetL4().GetBackends())
}

func (r *reduction) backends(list []*xdsv1.WeightedBackend) {
	for _, b := range list {
		r.filters(b.GetFilters())
		if r.closed[b.GetBackend()] || r.closed[b.GetProvider()] || r.closed[b.GetModels()] {
			b.Target = &xdsv1.WeightedBackend_Invalid{Invalid: tooOld}
		}
	}
}

// filters closes those that lead to something closed. A mirror just stops: it protects nothing.
func (r *reduction) filters(list []*xdsv1.Filter) {
	for _, f := range list {
		if m := f.GetMirror(); m != nil && r.closed[m.GetBackend()] {
			m.Backend = ""
		}
		if a := f.GetExternalAuth(); a != nil && r.closed[a.GetBackend()] {
			f.Kind = &xdsv1.Filter_Invalid{Invalid: tooOld}
		}
	}
}

// closeTargets makes those targets of models fail whose provider is closed.
func (r *reduction) closeTargets(m *xdsv1.Resource) *xdsv1.Resource {
	m = proto.CloneOf(m)
	for _, model := range m.GetModelMap().GetModels() {
		for _, t := range model.GetTargets() {
			if r.closed[t.GetProvider()] {
				t.Provider, t.Invalid = "", tooOld
			}
		}
	}
	return m
}

// coverAll makes a route whose matches could not be understood fail for all requests of its hosts.
func coverAll(r *xdsv1.Route) {
	if h := r.GetHttp(); h != nil {
		h.Rules = []*xdsv1.HTTPRule{{Filters: closedFilters()}}
	}
	if g := r.GetGrpc(); g != nil {
		g.Rules = []*xdsv1.GRPCRule{{Filters: closedFilters()}}
	}
}
