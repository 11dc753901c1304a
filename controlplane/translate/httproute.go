package translate

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

func (t *translator) buildHTTPRoutes() {
	for _, object := range t.in.HTTPRoutes.All() {
		r := &route{ref: routeRef("HTTPRoute", object), object: object, parents: object.Spec.ParentRefs, hostnames: object.Spec.Hostnames}
		if t.again(r) {
			continue
		}
		rules := &xdsv1.HTTPRules{}
		for i := range object.Spec.Rules {
			c := &ruleContext{translator: t, route: r, at: fmt.Sprintf("rules[%d]", i)}
			rules.Rules = append(rules.Rules, c.httpRule(&object.Spec.Rules[i]))
		}
		wire := newWire(xdsv1.RouteHTTP, object)
		wire.Rules = &xdsv1.Route_Http{Http: rules}
		t.finishRoute(r, wire)
	}
}

// newWire begins a route of the wire.
func newWire(kind string, o metav1.Object) *xdsv1.Route {
	w := &xdsv1.Route{Key: xdsv1.RouteKey(kind, o.GetNamespace(), o.GetName()), Namespace: o.GetNamespace(), Name: o.GetName()}
	if created := o.GetCreationTimestamp(); !created.IsZero() {
		w.Created = timestamppb.New(created.Time)
	}
	return w
}

// finishRoute validates and attaches a route. One that a data plane could not run is accepted nowhere.
func (t *translator) finishRoute(r *route, wire *xdsv1.Route) {
	resource := &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: wire}}
	if err := t.put(resource); err != nil {
		r.invalid.add(&fault{string(gatewayv1.RouteReasonUnsupportedValue), oneLine(wire.GetKey(), err)})
	} else {
		r.wire, r.refs = wire, snapshot.References(resource)
	}
	t.built[r.ref] = r
	t.attach(r, nil)
}

// ruleContext is where in a route a rule is translated: for messages and references.
type ruleContext struct {
	*translator
	route *route
	at    string
}

// unresolved notes a reference that is not valid.
func (c *ruleContext) unresolved(field string, f *fault) {
	c.route.unresolved.add(&fault{f.reason, c.at + "." + field + ": " + f.message})
}

func (c *ruleContext) httpRule(r *gatewayv1.HTTPRouteRule) *xdsv1.HTTPRule {
	out := &xdsv1.HTTPRule{
		Name: string(ptr.Deref(r.Name, "")), Filters: c.filters("filters", r.Filters),
		Retry: c.retry(r.Retry), SessionPersistence: session(r.SessionPersistence),
	}
	for i := range r.Matches {
		out.Matches = append(out.Matches, httpMatch(&r.Matches[i]))
	}
	for i := range r.BackendRefs {
		b := &r.BackendRefs[i]
		field := fmt.Sprintf("backendRefs[%d]", i)
		w := c.weighted(field, b.BackendRef)
		w.Filters = c.filters(field+".filters", b.Filters)
		out.Backends = append(out.Backends, w)
	}
	if r.Timeouts != nil {
		out.RequestTimeout, out.BackendTimeout = duration(r.Timeouts.Request), duration(r.Timeouts.BackendRequest)
	}
	return out
}

// duration reads a GEP-2257 duration, which is a subset of Go's.
func duration(d *gatewayv1.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	v, err := time.ParseDuration(string(*d))
	if err != nil {
		return nil
	}
	return durationpb.New(v)
}

func (c *ruleContext) retry(r *gatewayv1.HTTPRouteRetry) *xdsv1.Retry {
	if r == nil {
		return nil
	}
	out := &xdsv1.Retry{Attempts: uint32(max(ptr.Deref(r.Attempts, 1), 0)), Backoff: duration(r.Backoff)}
	for _, code := range r.Codes {
		out.Codes = append(out.Codes, uint32(code))
	}
	return out
}

func session(s *gatewayv1.SessionPersistence) *xdsv1.SessionPersistence {
	if s == nil {
		return nil
	}
	out := &xdsv1.SessionPersistence{
		Kind: xdsv1.SessionPersistence_COOKIE, Name: ptr.Deref(s.SessionName, ""),
		AbsoluteTimeout: duration(s.AbsoluteTimeout),
	}
	if ptr.Deref(s.Type, gatewayv1.CookieBasedSessionPersistence) == gatewayv1.HeaderBasedSessionPersistence {
		out.Kind = xdsv1.SessionPersistence_HEADER
	}
	out.Permanent = s.CookieConfig != nil && ptr.Deref(s.CookieConfig.LifetimeType, gatewayv1.SessionCookieLifetimeType) == gatewayv1.PermanentCookieLifetimeType
	return out
}

// weighted resolves a backendRef. One that is not valid keeps its share of the traffic, which is answered with 500.
func (c *ruleContext) weighted(field string, ref gatewayv1.BackendRef) *xdsv1.WeightedBackend {
	w := &xdsv1.WeightedBackend{Weight: uint32(ptr.Deref(ref.Weight, 1))}
	key, f := c.target(c.route.ref, ref.BackendObjectReference, w)
	c.route.targets = append(c.route.targets, key)
	if f != nil {
		c.unresolved(field, f)
		w.Target = &xdsv1.WeightedBackend_Invalid{Invalid: f.message}
	}
	return w
}
