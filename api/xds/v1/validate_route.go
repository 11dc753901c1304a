package xdsv1

import (
	"slices"
	"strings"
)

func (v *validator) route(r *Route) {
	if r.GetCreated() != nil && r.GetCreated().CheckValid() != nil {
		v.fail("created", "is not a time")
	}
	each(v, "parents", r.GetParents(), func(v *validator, p *Parent) {
		v.ref("listener", p.GetListener(), KindListener, KindListenerSet)
		for i, h := range p.GetHostnames() {
			v.step(step{"hostnames", i}, func() { v.host("", h, true) })
		}
	})
	sub := ""
	if k, err := ParseKey(v.key); err == nil {
		sub = k.Sub
	}
	switch m := r.GetRules().(type) {
	case *Route_Http:
		v.rulesOf(sub, RouteHTTP)
		v.in("http", func() { each(v, "rules", m.Http.GetRules(), (*validator).httpRule) })
	case *Route_Grpc:
		v.rulesOf(sub, RouteGRPC)
		v.in("grpc", func() { each(v, "rules", m.Grpc.GetRules(), (*validator).grpcRule) })
	case *Route_L4:
		v.rulesOf(sub, RouteTLS, RouteTCP, RouteUDP)
		v.in("l4", func() { v.l4Rules(m.L4) })
	default:
		v.fail("rules", "is not set")
	}
}

func (v *validator) l4Rules(r *L4Rules) {
	each(v, "backends", r.GetBackends(), func(v *validator, b *WeightedBackend) {
		v.weighted(b)
		if len(b.GetFilters()) > 0 || b.GetProvider() != "" || b.GetModels() != "" {
			v.fail("target", "connections and datagrams go to backends, without filters")
		}
	})
	v.duration("idle_timeout", r.GetIdleTimeout())
}

// rulesOf says whether the rules are those of the key's kind of route.
func (v *validator) rulesOf(sub string, kinds ...string) {
	if sub != "" && !slices.Contains(kinds, sub) {
		v.fail("rules", "are not those of a %s route", sub)
	}
}

func (v *validator) httpRule(r *HTTPRule) {
	each(v, "matches", r.GetMatches(), (*validator).httpMatch)
	each(v, "filters", r.GetFilters(), (*validator).filter)
	each(v, "backends", r.GetBackends(), (*validator).weighted)
	v.duration("request_timeout", r.GetRequestTimeout())
	v.duration("backend_timeout", r.GetBackendTimeout())
	if r.GetRetry() != nil {
		v.in("retry", func() { v.retry(r.GetRetry()) })
	}
	v.session(r.GetSessionPersistence())
}

func (v *validator) grpcRule(r *GRPCRule) {
	each(v, "matches", r.GetMatches(), (*validator).grpcMatch)
	each(v, "filters", r.GetFilters(), (*validator).filter)
	each(v, "backends", r.GetBackends(), (*validator).weighted)
	v.session(r.GetSessionPersistence())
}

func (v *validator) httpMatch(m *HTTPMatch) {
	if m.GetPath() != nil {
		v.in("path", func() { v.pathMatch(m.GetPath()) })
	}
	v.values("headers", m.GetHeaders(), true)
	v.values("query_params", m.GetQueryParams(), false)
	if m.GetMethod() != "" {
		v.token("method", m.GetMethod())
	}
}

func (v *validator) pathMatch(p *PathMatch) {
	v.enum("kind", p.GetKind())
	if p.GetKind() == PathMatch_REGEX {
		v.regexp("value", p.GetValue())
	} else {
		v.absolutePath("value", p.GetValue())
	}
}

func (v *validator) absolutePath(field, p string) {
	if p == "" || p[0] != '/' || strings.ContainsAny(p, "\r\n\x00 ?#") {
		v.fail(field, "%q is not an absolute path", p)
	}
}

// values checks header or query matches; header names stand in lower case, every name once.
func (v *validator) values(field string, list []*ValueMatch, header bool) {
	seen := map[string]bool{}
	each(v, field, list, func(v *validator, m *ValueMatch) {
		switch name := m.GetName(); {
		case name == "":
			v.fail("name", "is empty")
		case seen[name]:
			v.fail("name", "%q is there twice", name)
		case header && name != strings.ToLower(name):
			v.fail("name", "%q is not in lower case", name)
		case header:
			v.token("name", name)
		}
		seen[m.GetName()] = true
		if m.GetRegex() {
			v.regexp("value", m.GetValue())
		}
	})
}

func (v *validator) grpcMatch(m *GRPCMatch) {
	if m.GetRegex() {
		v.regexp("service", m.GetService())
		v.regexp("method", m.GetMethod())
	} else if strings.Contains(m.GetService()+m.GetMethod(), "/") {
		v.fail("service", "service and method have no /")
	}
	v.values("headers", m.GetHeaders(), true)
}

func (v *validator) retry(r *Retry) {
	v.duration("backoff", r.GetBackoff())
	for _, code := range r.GetCodes() {
		if code < 400 || code > 599 {
			v.fail("codes", "%d is not a status from 400 to 599", code)
		}
	}
}

func (v *validator) session(s *SessionPersistence) {
	if s == nil {
		return
	}
	v.in("session_persistence", func() {
		v.enum("kind", s.GetKind())
		if s.GetName() != "" {
			v.token("name", s.GetName())
		}
		v.duration("absolute_timeout", s.GetAbsoluteTimeout())
		if s.GetPermanent() && (s.GetKind() != SessionPersistence_COOKIE || s.GetAbsoluteTimeout().AsDuration() <= 0) {
			v.fail("permanent", "is for cookies with an absolute_timeout")
		}
	})
}

// maxWeight is the Gateway API's; it keeps sums of weights far from overflow.
const maxWeight = 1_000_000

func (v *validator) weighted(b *WeightedBackend) {
	if b.GetWeight() > maxWeight {
		v.fail("weight", "%d is more than %d", b.GetWeight(), maxWeight)
	}
	switch m := b.GetTarget().(type) {
	case *WeightedBackend_Backend:
		v.ref("backend", m.Backend, KindBackend)
	case *WeightedBackend_Provider:
		v.ref("provider", m.Provider, KindProvider)
	case *WeightedBackend_Models:
		v.ref("models", m.Models, KindModels)
	case *WeightedBackend_Invalid:
	default:
		v.fail("target", "is not set")
	}
	each(v, "filters", b.GetFilters(), (*validator).filter)
}
