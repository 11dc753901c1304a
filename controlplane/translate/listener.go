package translate

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/schema"
)

// listener is one listener of a Gateway of ours.
type listener struct {
	gateway  *gateway
	spec     *gatewayv1.Listener
	key      string
	hostname string
	// kinds are the kinds of routes that may attach.
	kinds []gatewayv1.RouteGroupKind
	// namespaces selects by label; nil without a selector.
	namespaces labels.Selector
	attached   int32
	// invalid is why the listener is not accepted, unresolved what it names in vain, conflict with whom it conflicts,
	// unusable why it cannot be served all the same.
	invalid, unresolved, conflict, unusable faults
	// broken: unresolved references leave nothing to serve with.
	broken bool
	// kept: the listener is refused, and its last valid version stays in force.
	kept bool
}

// kindsOf lists the kinds of routes that a protocol takes; none: the protocol is not served.
func kindsOf(p gatewayv1.ProtocolType) []gatewayv1.Kind {
	switch p {
	case gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType:
		return []gatewayv1.Kind{"HTTPRoute", "GRPCRoute"}
	}
	return nil
}

func (t *translator) buildListener(g *gateway, spec *gatewayv1.Listener) *listener {
	l := &listener{gateway: g, spec: spec, key: xdsv1.ListenerKey(g.object.Namespace, g.object.Name, string(spec.Name))}
	l.hostname = strings.ToLower(string(ptr.Deref(spec.Hostname, "")))
	l.readKinds()
	l.readNamespaces()
	wire := &xdsv1.Listener{
		Key: l.key, Gateway: g.object.Namespace + "/" + g.object.Name, Name: string(spec.Name),
		Addresses: g.addresses, Port: uint32(spec.Port), Hostname: l.hostname, Protocol: xdsv1.Protocol_HTTP,
	}
	if spec.Protocol == gatewayv1.HTTPSProtocolType {
		wire.Protocol = xdsv1.Protocol_HTTPS
		wire.Tls = t.listenerTLS(l)
	}
	if len(kindsOf(spec.Protocol)) == 0 {
		l.invalid.add(&fault{string(gatewayv1.ListenerReasonUnsupportedProtocol), fmt.Sprintf("protocol: %s is not served by this version, only HTTP and HTTPS", spec.Protocol)})
	}
	if len(l.invalid.list) == 0 && !l.broken {
		if err := t.put(&xdsv1.Resource{Kind: &xdsv1.Resource_Listener{Listener: wire}}); err != nil {
			l.invalid.add(&fault{string(gatewayv1.ListenerReasonUnsupportedValue), oneLine(l.key, err)})
			l.kept = t.kept(l.key)
		}
	}
	return l
}

// readKinds finds the kinds of routes that may attach: those of the protocol, and of these the ones that are allowed.
func (l *listener) readKinds() {
	own := kindsOf(l.spec.Protocol)
	if l.spec.AllowedRoutes == nil || len(l.spec.AllowedRoutes.Kinds) == 0 {
		for _, k := range own {
			l.kinds = append(l.kinds, routeKind(k))
		}
		return
	}
	for _, want := range l.spec.AllowedRoutes.Kinds {
		kind, found := want, false
		for _, k := range own {
			found = found || (want.Kind == k && ptr.Deref(want.Group, schema.GatewayGroup) == schema.GatewayGroup)
		}
		if found {
			l.kinds = append(l.kinds, routeKind(kind.Kind))
			continue
		}
		l.unresolved.add(&fault{string(gatewayv1.ListenerReasonInvalidRouteKinds), fmt.Sprintf("allowedRoutes.kinds: %s is not a kind of route for protocol %s", want.Kind, l.spec.Protocol)})
	}
}

func routeKind(k gatewayv1.Kind) gatewayv1.RouteGroupKind {
	return gatewayv1.RouteGroupKind{Group: ptr.To(gatewayv1.Group(schema.GatewayGroup)), Kind: k}
}

func (l *listener) readNamespaces() {
	if l.from() != gatewayv1.NamespacesFromSelector {
		return
	}
	selector, err := metav1.LabelSelectorAsSelector(l.spec.AllowedRoutes.Namespaces.Selector)
	if err != nil {
		l.invalid.add(&fault{string(gatewayv1.ListenerReasonUnsupportedValue), "allowedRoutes.namespaces.selector: " + err.Error()})
		selector = labels.Nothing()
	}
	l.namespaces = selector
}

func (l *listener) from() gatewayv1.FromNamespaces {
	if l.spec.AllowedRoutes == nil || l.spec.AllowedRoutes.Namespaces == nil {
		return gatewayv1.NamespacesFromSame
	}
	return ptr.Deref(l.spec.AllowedRoutes.Namespaces.From, gatewayv1.NamespacesFromSame)
}

// accepted says whether the listener is as it should be, its references aside.
func (l *listener) accepted() bool {
	return len(l.invalid.list) == 0 && len(l.conflict.list) == 0
}

// served says whether a data plane gets the listener.
func (l *listener) served() bool {
	valid := len(l.invalid.list) == 0 || l.kept
	return valid && len(l.conflict.list) == 0 && !l.broken && len(l.unusable.list) == 0 && len(l.gateway.faults.list) == 0
}

func (l *listener) status() gatewayv1.ListenerStatus {
	generation := l.gateway.object.Generation
	accepted := l.invalid.with(&l.conflict)
	conflicted := condition(string(gatewayv1.ListenerConditionConflicted), false, string(gatewayv1.ListenerReasonNoConflicts), "no conflicts", generation)
	if len(l.conflict.list) > 0 {
		c := l.conflict.list[0]
		conflicted = condition(conflicted.Type, true, c.reason, c.message, generation)
	}
	programmed := l.unusable.condition(string(gatewayv1.ListenerConditionProgrammed), string(gatewayv1.ListenerReasonProgrammed), "the listener is programmed", generation)
	if len(l.unusable.list) == 0 && !l.served() {
		programmed = condition(programmed.Type, false, string(gatewayv1.ListenerReasonInvalid), "the listener cannot be served", generation)
	}
	kinds := l.kinds
	if kinds == nil {
		kinds = []gatewayv1.RouteGroupKind{}
	}
	return gatewayv1.ListenerStatus{
		Name: l.spec.Name, SupportedKinds: kinds, AttachedRoutes: l.attached,
		Conditions: []metav1.Condition{
			accepted.condition(string(gatewayv1.ListenerConditionAccepted), string(gatewayv1.ListenerReasonAccepted), "the listener is accepted", generation),
			conflicted,
			programmed,
			l.unresolved.condition(string(gatewayv1.ListenerConditionResolvedRefs), string(gatewayv1.ListenerReasonResolvedRefs), "all references are resolved", generation),
		},
	}
}
