package translate

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// buildL4Routes builds the routes of connections and datagrams: each is a list of backends. Which of several routes on one
// listener, or with one hostname, is used is decided by their age, in the data plane.
func (t *translator) buildL4Routes() {
	for _, o := range t.in.TLSRoutes.All() {
		r := &route{ref: routeRef("TLSRoute", o), object: o, parents: o.Spec.ParentRefs, hostnames: o.Spec.Hostnames}
		t.buildL4Route(r, xdsv1.RouteTLS, o, refsOf(o.Spec.Rules, func(r *gatewayv1.TLSRouteRule) []gatewayv1.BackendRef { return r.BackendRefs }))
	}
	for _, o := range t.in.TCPRoutes.All() {
		r := &route{ref: routeRef("TCPRoute", o), object: o, parents: o.Spec.ParentRefs}
		t.buildL4Route(r, xdsv1.RouteTCP, o, refsOf(o.Spec.Rules, func(r *gatewayv1.TCPRouteRule) []gatewayv1.BackendRef { return r.BackendRefs }))
	}
	for _, o := range t.in.UDPRoutes.All() {
		r := &route{ref: routeRef("UDPRoute", o), object: o, parents: o.Spec.ParentRefs}
		t.buildL4Route(r, xdsv1.RouteUDP, o, refsOf(o.Spec.Rules, func(r *gatewayv1.UDPRouteRule) []gatewayv1.BackendRef { return r.BackendRefs }))
	}
}

// refsOf are the backendRefs of each rule.
func refsOf[R any](rules []R, of func(*R) []gatewayv1.BackendRef) (out [][]gatewayv1.BackendRef) {
	for i := range rules {
		out = append(out, of(&rules[i]))
	}
	return out
}

// buildL4Route builds a route of its rules' backends. The schema allows one rule: nothing could tell two apart.
func (t *translator) buildL4Route(r *route, kind string, object metav1.Object, rules [][]gatewayv1.BackendRef) {
	out := &xdsv1.L4Rules{}
	for i, refs := range rules {
		c := &ruleContext{translator: t, route: r, at: fmt.Sprintf("rules[%d]", i)}
		for j, ref := range refs {
			out.Backends = append(out.Backends, c.l4Backend(fmt.Sprintf("backendRefs[%d]", j), ref, kind == xdsv1.RouteUDP))
		}
	}
	wire := newWire(kind, object)
	wire.Rules = &xdsv1.Route_L4{L4: out}
	t.finishRoute(r, wire)
}

// l4Backend resolves a backendRef. One that is not valid keeps its share, which is refused.
func (c *ruleContext) l4Backend(field string, ref gatewayv1.BackendRef, udp bool) *xdsv1.WeightedBackend {
	w := &xdsv1.WeightedBackend{Weight: uint32(ptr.Deref(ref.Weight, 1))}
	key, f := c.l4Target(c.route.ref, ref.BackendObjectReference, udp)
	c.route.targets = append(c.route.targets, key)
	w.Target = &xdsv1.WeightedBackend_Backend{Backend: key}
	if f != nil {
		c.unresolved(field, f)
		w.Target = &xdsv1.WeightedBackend_Invalid{Invalid: f.message}
	}
	return w
}
