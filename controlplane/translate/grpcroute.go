package translate

import (
	"fmt"

	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func (t *translator) buildGRPCRoutes() {
	for _, object := range t.in.GRPCRoutes.All() {
		r := &route{ref: routeRef("GRPCRoute", object), object: object, parents: object.Spec.ParentRefs, hostnames: object.Spec.Hostnames}
		if t.again(r) {
			continue
		}
		rules := &xdsv1.GRPCRules{}
		for i := range object.Spec.Rules {
			c := &ruleContext{translator: t, route: r, at: fmt.Sprintf("rules[%d]", i)}
			rules.Rules = append(rules.Rules, c.grpcRule(&object.Spec.Rules[i]))
		}
		wire := newWire(xdsv1.RouteGRPC, object)
		wire.Rules = &xdsv1.Route_Grpc{Grpc: rules}
		t.finishRoute(r, wire)
	}
}

func (c *ruleContext) grpcRule(r *gatewayv1.GRPCRouteRule) *xdsv1.GRPCRule {
	out := &xdsv1.GRPCRule{
		Name: string(ptr.Deref(r.Name, "")), Filters: c.filters("filters", httpFilters(r.Filters)),
		SessionPersistence: session(r.SessionPersistence),
	}
	for i := range r.Matches {
		out.Matches = append(out.Matches, grpcMatch(&r.Matches[i]))
	}
	for i := range r.BackendRefs {
		b := &r.BackendRefs[i]
		field := fmt.Sprintf("backendRefs[%d]", i)
		w := c.weighted(field, b.BackendRef)
		w.Filters = c.filters(field+".filters", httpFilters(b.Filters))
		out.Backends = append(out.Backends, w)
	}
	return out
}

func grpcMatch(m *gatewayv1.GRPCRouteMatch) *xdsv1.GRPCMatch {
	out := &xdsv1.GRPCMatch{}
	if m.Method != nil {
		out.Service, out.Method = ptr.Deref(m.Method.Service, ""), ptr.Deref(m.Method.Method, "")
		out.Regex = ptr.Deref(m.Method.Type, gatewayv1.GRPCMethodMatchExact) == gatewayv1.GRPCMethodMatchRegularExpression
	}
	headers := values{fold: true}
	for _, h := range m.Headers {
		headers.add(string(h.Name), h.Value, ptr.Deref(h.Type, gatewayv1.GRPCHeaderMatchExact) == gatewayv1.GRPCHeaderMatchRegularExpression)
	}
	out.Headers = headers.list
	return out
}

// httpFilters are GRPCRoute's filters as HTTPRoute's, of which they are some.
func httpFilters(list []gatewayv1.GRPCRouteFilter) []gatewayv1.HTTPRouteFilter {
	var out []gatewayv1.HTTPRouteFilter
	for _, f := range list {
		out = append(out, gatewayv1.HTTPRouteFilter{
			Type: gatewayv1.HTTPRouteFilterType(f.Type), RequestHeaderModifier: f.RequestHeaderModifier,
			ResponseHeaderModifier: f.ResponseHeaderModifier, RequestMirror: f.RequestMirror, ExtensionRef: f.ExtensionRef,
		})
	}
	return out
}
