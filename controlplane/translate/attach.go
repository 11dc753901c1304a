package translate

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/controlplane/status"
)

// route is one route object of any kind.
type route struct {
	ref       resources.Ref
	object    metav1.Object
	parents   []gatewayv1.ParentReference
	hostnames []gatewayv1.Hostname
	// wire is what a data plane gets, its parents apart; nil when there is nothing that it could run.
	wire *xdsv1.Route
	// invalid is why the route is not accepted anywhere, unresolved what it names in vain.
	invalid, unresolved faults
	// targets are the keys of the backends that the route names, valid or not.
	targets []string
	// refs are the keys that wire refers to.
	refs []string
	// attached has the listeners that took the route, and outcomes what became of each parentRef.
	attached []*listener
	outcomes []outcome
	// parentStatus is what is told of the parentRefs.
	parentStatus []status.Parent
}

// outcome is what became of a parentRef. ours is false for one that is somebody else's.
type outcome struct {
	fault fault
	ours  bool
}

// attach finds the listeners of a route and tells its status. old, if not nil, is what was made of the very same object before,
// with the same faults.
func (t *translator) attach(r, old *route) {
	for _, p := range r.parents {
		var o outcome
		if kind := ptr.Deref(p.Kind, "Gateway"); ptr.Deref(p.Group, schema.GatewayGroup) == schema.GatewayGroup && (kind == "Gateway" || kind == kindListenerSet) {
			var f *fault
			if f, o.ours = t.attachTo(r, p); f != nil {
				o.fault = *f
			}
		}
		r.outcomes = append(r.outcomes, o)
	}
	if old != nil && slices.Equal(r.outcomes, old.outcomes) {
		r.parentStatus = old.parentStatus
	} else {
		r.tell()
	}
	if len(r.parentStatus) > 0 || t.o.Standalone {
		t.update(status.Update{Ref: r.ref, Parents: r.parentStatus})
	}
	if r.runs() {
		t.routes = append(t.routes, r)
	}
}

// tell makes the conditions of the parentRefs.
func (r *route) tell() {
	for i, p := range r.parents {
		if !r.outcomes[i].ours {
			continue
		}
		accepted := r.invalid.with(&faults{})
		if f := r.outcomes[i].fault; f != (fault{}) && len(accepted.list) == 0 {
			accepted.add(&f)
		}
		generation := r.object.GetGeneration()
		r.parentStatus = append(r.parentStatus, status.Parent{Ref: p, Conditions: []metav1.Condition{
			accepted.condition(string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteReasonAccepted), "the route is accepted", generation),
			r.unresolved.condition(string(gatewayv1.RouteConditionResolvedRefs), string(gatewayv1.RouteReasonResolvedRefs), "all references are resolved", generation),
		}})
	}
}

// runs says whether some listener has the route.
func (r *route) runs() bool { return len(r.attached) > 0 && r.wire != nil }

// attachTo attaches a route to the listeners that one parentRef names. known is false for a Gateway of somebody else.
func (t *translator) attachTo(r *route, p gatewayv1.ParentReference) (f *fault, known bool) {
	parent, listeners, f := t.parent(r, p)
	if f != nil {
		return f, parent != (resources.Ref{}) || t.o.Standalone
	}
	var named, allowed, matched int
	for _, l := range listeners {
		if !names(p, l) {
			continue
		}
		named++
		if !t.allows(l, r) {
			continue
		}
		allowed++
		if hosts, ok := intersect(l.hostname, r.hostnames); ok {
			matched++
			r.join(l, hosts)
		}
	}
	switch {
	case named == 0:
		return &fault{string(gatewayv1.RouteReasonNoMatchingParent), fmt.Sprintf("%s has no such listener", parent)}, true
	case allowed == 0:
		return &fault{string(gatewayv1.RouteReasonNotAllowedByListeners), fmt.Sprintf("no listener of %s allows %s of namespace %s", parent, r.ref.Kind, r.ref.Namespace)}, true
	case matched == 0:
		return &fault{string(gatewayv1.RouteReasonNoMatchingListenerHostname), fmt.Sprintf("no hostname of the route is one of %s", parent)}, true
	}
	return nil, true
}

// parent finds the listeners of the Gateway or ListenerSet that a parentRef names. With a fault, ref is empty when the parent
// is somebody else's.
func (t *translator) parent(r *route, p gatewayv1.ParentReference) (ref resources.Ref, listeners []*listener, f *fault) {
	name := types.NamespacedName{Namespace: string(ptr.Deref(p.Namespace, gatewayv1.Namespace(r.ref.Namespace))), Name: string(p.Name)}
	kind := ptr.Deref(p.Kind, "Gateway")
	if kind == "Gateway" {
		if g := t.gateways[name]; g != nil {
			return g.ref, g.own(), nil
		}
	} else if s := t.sets[name]; s != nil {
		if s.refused != nil {
			return s.ref, nil, &fault{string(gatewayv1.RouteReasonNoMatchingParent), fmt.Sprintf("%s is not accepted", s.ref)}
		}
		return s.ref, s.listeners, nil
	}
	return ref, nil, &fault{string(gatewayv1.RouteReasonNoMatchingParent), fmt.Sprintf("there is no %s %s that is served here", kind, name)}
}

// names says whether a parentRef means a listener.
func names(p gatewayv1.ParentReference, l *listener) bool {
	return (p.SectionName == nil || *p.SectionName == l.spec.Name) && (p.Port == nil || *p.Port == l.spec.Port)
}

// allows says whether a listener takes routes of this kind and namespace.
func (t *translator) allows(l *listener, r *route) bool {
	kind := false
	for _, k := range l.kinds {
		kind = kind || string(k.Kind) == r.ref.Kind
	}
	if !kind {
		return false
	}
	switch l.from() {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return l.owner().Namespace == r.ref.Namespace
	case gatewayv1.NamespacesFromSelector:
		return l.namespaces.Matches(labels.Set(t.in.NamespaceLabels(r.ref.Namespace)))
	}
	return false
}

// join attaches the route to a listener, once. A listener that is not served counts its routes too, but no data plane sees
// them there.
func (r *route) join(l *listener, hosts []string) {
	if len(r.invalid.list) > 0 {
		return
	}
	for _, other := range r.attached {
		if other == l {
			return
		}
	}
	r.attached = append(r.attached, l)
	l.attached++
	if r.wire != nil && l.served() {
		r.wire.Parents = append(r.wire.Parents, &xdsv1.Parent{Listener: l.key, Hostnames: hosts})
	}
}

func routeRef(kind string, o metav1.Object) resources.Ref {
	return resources.Ref{Group: schema.GatewayGroup, Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}
