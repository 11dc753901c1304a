package table

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// specs reads the rules of a route of either kind. kind is that of the object.
func (b *routeBuilder) specs() (specs []ruleSpec, kind string, err error) {
	switch m := b.route.msg.GetRules().(type) {
	case *xdsv1.Route_Http:
		for i, r := range m.Http.GetRules() {
			s, err := b.httpSpec(i, r)
			if err != nil {
				return nil, "", fmt.Errorf("http.rules[%d].%w", i, err)
			}
			specs = append(specs, s)
		}
		return specs, "HTTPRoute", nil
	case *xdsv1.Route_Grpc:
		for i, r := range m.Grpc.GetRules() {
			s, err := b.grpcSpec(i, r)
			if err != nil {
				return nil, "", fmt.Errorf("grpc.rules[%d].%w", i, err)
			}
			specs = append(specs, s)
		}
		return specs, "GRPCRoute", nil
	}
	return nil, "", errors.New("rules: are missing, or of a kind not known to this version")
}

func (b *routeBuilder) httpSpec(i int, r *xdsv1.HTTPRule) (ruleSpec, error) {
	s := ruleSpec{
		name: r.GetName(), index: i, filters: r.GetFilters(), backends: r.GetBackends(), retry: r.GetRetry(), session: r.GetSessionPersistence(),
		requestTimeout: r.GetRequestTimeout(), backendTimeout: r.GetBackendTimeout(),
	}
	matches := r.GetMatches()
	if len(matches) == 0 {
		matches = []*xdsv1.HTTPMatch{{}}
	}
	for j, hm := range matches {
		m := match{place: b.place(i, j), method: b.intern(hm.GetMethod())}
		err := b.httpPath(&m, hm.GetPath())
		if err == nil {
			m.headers, err = b.values("headers", hm.GetHeaders())
		}
		if err == nil {
			m.query, err = b.values("query_params", hm.GetQueryParams())
		}
		if err != nil {
			return s, fmt.Errorf("matches[%d].%w", j, err)
		}
		s.matches = append(s.matches, m)
	}
	return s, nil
}

func (b *routeBuilder) place(rule, index int) *place {
	msg := b.route.msg
	p := &place{route: msg.GetNamespace() + "/" + msg.GetName(), rule: rule, index: index}
	if msg.GetCreated() != nil {
		p.created = msg.GetCreated().AsTime().UnixNano()
	}
	return p
}

func (b *routeBuilder) httpPath(m *match, p *xdsv1.PathMatch) error {
	switch value := p.GetValue(); {
	case p == nil:
		m.place.kind = prefixPath
	case p.GetKind() == xdsv1.PathMatch_PREFIX:
		m.place.kind, m.place.path = prefixPath, b.intern(strings.TrimSuffix(normal(value), "/"))
	case p.GetKind() == xdsv1.PathMatch_EXACT:
		m.place.kind, m.place.path = exactPath, b.intern(normal(value))
	case p.GetKind() == xdsv1.PathMatch_REGEX:
		return b.patternPath(m, value)
	default:
		return fmt.Errorf("path.kind: %s is not known to this version", p.GetKind())
	}
	return nil
}

func (b *routeBuilder) patternPath(m *match, text string) (err error) {
	m.place.kind, m.place.path = patternPath, text
	if m.pattern, err = b.pattern(text); err != nil {
		return fmt.Errorf("path.value: %w", err)
	}
	return nil
}

// pattern notes the expression as one of the route's.
func (b *routeBuilder) pattern(text string) (*regexp.Regexp, error) {
	b.route.patterns = append(b.route.patterns, text)
	return b.compiler.pattern(text)
}

// normal writes a path as the front end writes those of requests. One that no request can have, since it is refused there,
// stays as it is and matches none.
func normal(path string) string {
	dst, err := exchange.AppendPath(make([]byte, 0, len(path)), []byte(path))
	if err != nil {
		return path
	}
	return string(dst)
}

func (b *routeBuilder) values(field string, list []*xdsv1.ValueMatch) ([]valueMatch, error) {
	var out []valueMatch
	for i, v := range list {
		m := valueMatch{name: b.intern(v.GetName()), value: b.intern(v.GetValue())}
		if v.GetRegex() {
			var err error
			if m.pattern, err = b.pattern(v.GetValue()); err != nil {
				return nil, fmt.Errorf("%s[%d].value: %w", field, i, err)
			}
		}
		out = append(out, m)
	}
	return out, nil
}

func (b *routeBuilder) grpcSpec(i int, r *xdsv1.GRPCRule) (ruleSpec, error) {
	s := ruleSpec{name: r.GetName(), index: i, filters: r.GetFilters(), backends: r.GetBackends(), session: r.GetSessionPersistence(), grpc: true}
	matches := r.GetMatches()
	if len(matches) == 0 {
		matches = []*xdsv1.GRPCMatch{{}}
	}
	for j, gm := range matches {
		m := match{place: b.place(i, j), method: "POST"}
		err := b.grpcPath(&m, gm)
		if err == nil {
			m.headers, err = b.values("headers", gm.GetHeaders())
		}
		if err != nil {
			return s, fmt.Errorf("matches[%d].%w", j, err)
		}
		s.matches = append(s.matches, m)
	}
	return s, nil
}

// grpcPath writes service and method as a path. The order of paths is then that of GRPCRoute: exact, longest service,
// longest method.
func (b *routeBuilder) grpcPath(m *match, gm *xdsv1.GRPCMatch) error {
	service, method := gm.GetService(), gm.GetMethod()
	switch {
	case gm.GetRegex() && service+method != "":
		return b.patternPath(m, "/"+group(service)+"/"+group(method))
	case service != "" && method != "":
		m.place.kind, m.place.path = exactPath, "/"+service+"/"+method
	case service != "":
		m.place.kind, m.place.path = prefixPath, "/"+service
	default:
		m.place.kind, m.grpcMethod = prefixPath, method
	}
	return nil
}

func group(expression string) string {
	if expression == "" {
		return "[^/]+"
	}
	return "(?:" + expression + ")"
}
