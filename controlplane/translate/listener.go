package translate

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/schema"
)

// listener is one listener of a Gateway of ours, its own or of a ListenerSet.
type listener struct {
	gateway *gateway
	// set is the ListenerSet that has the listener; nil: it is the Gateway's own.
	set      *listenerSet
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

// kindsOf lists the kinds of routes that a listener may take; none: its protocol is not served. The bytes of a connection
// whose TLS ends here are a TCP connection's.
func kindsOf(spec *gatewayv1.Listener) []gatewayv1.Kind {
	switch spec.Protocol {
	case gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType:
		return []gatewayv1.Kind{"HTTPRoute", "GRPCRoute"}
	case gatewayv1.TLSProtocolType:
		if passthrough(spec) {
			return []gatewayv1.Kind{"TLSRoute"}
		}
		return []gatewayv1.Kind{"TLSRoute", "TCPRoute"}
	case gatewayv1.TCPProtocolType:
		return []gatewayv1.Kind{"TCPRoute"}
	case gatewayv1.UDPProtocolType:
		return []gatewayv1.Kind{"UDPRoute"}
	}
	return nil
}

func passthrough(spec *gatewayv1.Listener) bool {
	return spec.TLS != nil && ptr.Deref(spec.TLS.Mode, gatewayv1.TLSModeTerminate) == gatewayv1.TLSModePassthrough
}

var protocols = map[gatewayv1.ProtocolType]xdsv1.Protocol{
	gatewayv1.HTTPProtocolType: xdsv1.Protocol_HTTP, gatewayv1.HTTPSProtocolType: xdsv1.Protocol_HTTPS,
	gatewayv1.TLSProtocolType: xdsv1.Protocol_TLS, gatewayv1.TCPProtocolType: xdsv1.Protocol_TCP, gatewayv1.UDPProtocolType: xdsv1.Protocol_UDP,
}

// buildListener makes a listener of a Gateway, or with set of a ListenerSet on it.
func (t *translator) buildListener(g *gateway, set *listenerSet, spec *gatewayv1.Listener) *listener {
	l := &listener{gateway: g, set: set, spec: spec, key: xdsv1.ListenerKey(g.object.Namespace, g.object.Name, string(spec.Name))}
	name := string(spec.Name)
	if set != nil {
		l.key = xdsv1.ListenerSetKey(set.object.Namespace, set.object.Name, name)
		name = set.object.Namespace + "/" + set.object.Name + "/" + name
	}
	l.hostname = strings.ToLower(string(ptr.Deref(spec.Hostname, "")))
	l.readKinds()
	l.readNamespaces()
	wire := &xdsv1.Listener{
		Key: l.key, Gateway: g.object.Namespace + "/" + g.object.Name, Name: name,
		Addresses: g.addresses, Port: uint32(spec.Port), Hostname: l.hostname, Protocol: protocols[spec.Protocol],
		ClientCertificate: g.clientCertificate,
	}
	if p := g.settings.spec.ProxyProtocol; p != nil && spec.Protocol != gatewayv1.UDPProtocolType {
		wire.ProxyProtocol = slices.Contains(p.Ports, int32(spec.Port))
	}
	if spec.Protocol == gatewayv1.HTTPSProtocolType || spec.Protocol == gatewayv1.TLSProtocolType {
		wire.Tls = t.listenerTLS(l)
	}
	if len(kindsOf(spec)) == 0 {
		l.invalid.add(&fault{string(gatewayv1.ListenerReasonUnsupportedProtocol), fmt.Sprintf("protocol: %s is not one of HTTP, HTTPS, TLS, TCP and UDP", spec.Protocol)})
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
	own := kindsOf(l.spec)
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

// owner is the object that the listener stands in.
func (l *listener) owner() resources.Ref {
	if l.set != nil {
		return l.set.ref
	}
	return l.gateway.ref
}

func (l *listener) generation() int64 {
	if l.set != nil {
		return l.set.object.Generation
	}
	return l.gateway.object.Generation
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
	generation := l.generation()
	accepted := l.invalid.with(&l.conflict)
	conflicted := condition(string(gatewayv1.ListenerConditionConflicted), false, string(gatewayv1.ListenerReasonNoConflicts), "no conflicts", generation)
	if len(l.conflict.list) > 0 {
		c := l.conflict.list[0]
		conflicted = condition(conflicted.Type, true, c.reason, c.message, generation)
	}
	programmed := l.unusable.condition(string(gatewayv1.ListenerConditionProgrammed), string(gatewayv1.ListenerReasonProgrammed), "the listener is programmed", generation)
	if len(l.unusable.list) == 0 && !l.served() {
		programmed = condition(programmed.Type, false, string(gatewayv1.ListenerReasonInvalid), "the listener cannot be served", generation)
		if l.set != nil && len(l.conflict.list) > 0 {
			programmed.Reason = l.conflict.list[0].reason
		}
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
