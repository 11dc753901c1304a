package translate

import (
	"strings"

	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func httpMatch(m *gatewayv1.HTTPRouteMatch) *xdsv1.HTTPMatch {
	out := &xdsv1.HTTPMatch{Path: pathMatch(m.Path), Method: string(ptr.Deref(m.Method, ""))}
	headers := values{fold: true}
	for _, h := range m.Headers {
		headers.add(string(h.Name), h.Value, ptr.Deref(h.Type, gatewayv1.HeaderMatchExact) == gatewayv1.HeaderMatchRegularExpression)
	}
	var query values
	for _, q := range m.QueryParams {
		query.add(string(q.Name), q.Value, ptr.Deref(q.Type, gatewayv1.QueryParamMatchExact) == gatewayv1.QueryParamMatchRegularExpression)
	}
	out.Headers, out.QueryParams = headers.list, query.list
	return out
}

func pathMatch(p *gatewayv1.HTTPPathMatch) *xdsv1.PathMatch {
	out := &xdsv1.PathMatch{Kind: xdsv1.PathMatch_PREFIX, Value: "/"}
	if p == nil {
		return out
	}
	out.Value = ptr.Deref(p.Value, "/")
	switch ptr.Deref(p.Type, gatewayv1.PathMatchPathPrefix) {
	case gatewayv1.PathMatchExact:
		out.Kind = xdsv1.PathMatch_EXACT
	case gatewayv1.PathMatchRegularExpression:
		out.Kind = xdsv1.PathMatch_REGEX
	case gatewayv1.PathMatchPathPrefix:
		// A trailing slash of a prefix is ignored: "/a/" is "/a".
		if len(out.Value) > 1 {
			out.Value = strings.TrimSuffix(out.Value, "/")
		}
	}
	return out
}

// values gathers matches by name. Of equivalent names only the first counts (HTTPRouteMatch).
type values struct {
	fold bool
	list []*xdsv1.ValueMatch
}

func (v *values) add(name, value string, regex bool) {
	if v.fold {
		name = strings.ToLower(name)
	}
	for _, m := range v.list {
		if m.Name == name {
			return
		}
	}
	v.list = append(v.list, &xdsv1.ValueMatch{Name: name, Value: value, Regex: regex})
}
