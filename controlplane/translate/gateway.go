package translate

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/controlplane/status"
)

// gateway is one Gateway of ours.
type gateway struct {
	object    *gatewayv1.Gateway
	ref       resources.Ref
	group     GroupName
	addresses []string
	// listeners are the Gateway's own, then those of the ListenerSets on it, in order of precedence.
	listeners []*listener
	sets      []*listenerSet
	settings  settings
	// clientCertificate is the key of what backends with TLS are shown; empty: nothing.
	clientCertificate string
	// faults are why the Gateway as a whole is not accepted, unresolved what it names in vain, unusable why it is not
	// programmed.
	faults, unresolved, unusable faults
}

func gatewayRef(g *gatewayv1.Gateway) resources.Ref {
	return resources.Ref{Group: schema.GatewayGroup, Kind: "Gateway", Namespace: g.Namespace, Name: g.Name}
}

// classes accepts the GatewayClasses that name our controller.
func (t *translator) classes() {
	for _, c := range t.in.GatewayClasses.All() {
		if c.Spec.ControllerName != ControllerName {
			continue
		}
		var f faults
		_, invalid := t.ofClass(c)
		f.add(invalid)
		t.update(status.Update{
			Ref: resources.Ref{Group: schema.GatewayGroup, Kind: "GatewayClass", Name: c.Name},
			Conditions: []metav1.Condition{
				f.condition(string(gatewayv1.GatewayClassConditionStatusAccepted), string(gatewayv1.GatewayClassReasonAccepted), "the class is served by Nantian Gateway", c.Generation),
			},
		})
	}
}

// ours says whether a Gateway is of a class of ours.
func (t *translator) ours(g *gatewayv1.Gateway) bool {
	c, ok := t.in.GatewayClasses.Get("", string(g.Spec.GatewayClassName))
	if !ok {
		return t.o.Standalone && g.Spec.GatewayClassName == ClassName
	}
	return c.Spec.ControllerName == ControllerName
}

// buildGateways makes the Gateways and their listeners; their status is finished when the routes are attached.
func (t *translator) buildGateways() {
	for _, object := range t.in.Gateways.All() {
		if t.ours(object) {
			t.buildGateway(object)
		} else if t.o.Standalone {
			t.strayGateway(object)
		}
	}
	t.buildListenerSets()
	for _, g := range t.gateways {
		g.findConflicts()
	}
	t.sharePorts()
}

func (t *translator) buildGateway(object *gatewayv1.Gateway) {
	g := &gateway{object: object, ref: gatewayRef(object), group: Standalone}
	t.readSettings(g)
	if !t.o.Standalone {
		g.group = g.groupOf()
	}
	g.readAddresses()
	t.readClientCertificate(g)
	for i := range object.Spec.Listeners {
		g.listeners = append(g.listeners, t.buildListener(g, nil, &object.Spec.Listeners[i]))
	}
	t.gateways[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}] = g
}

// strayGateway tells of a Gateway that nobody serves: in standalone mode there is no other controller.
func (t *translator) strayGateway(object *gatewayv1.Gateway) {
	c := condition(string(gatewayv1.GatewayConditionAccepted), false, string(gatewayv1.GatewayReasonPending),
		fmt.Sprintf("spec.gatewayClassName: no GatewayClass %s with controllerName %s; the class %s needs none", object.Spec.GatewayClassName, ControllerName, ClassName), object.Generation)
	c.Status = metav1.ConditionUnknown
	t.update(status.Update{Ref: gatewayRef(object), Conditions: []metav1.Condition{c}})
}

// readAddresses reads spec.addresses. Only IP addresses can be bound.
func (g *gateway) readAddresses() {
	for i, a := range g.object.Spec.Addresses {
		if a.Type != nil && *a.Type != gatewayv1.IPAddressType {
			g.faults.add(&fault{string(gatewayv1.GatewayReasonUnsupportedAddress), fmt.Sprintf("spec.addresses[%d].type: %s is not supported, only IPAddress", i, *a.Type)})
			continue
		}
		if a.Value == "" {
			continue
		}
		addr, err := netip.ParseAddr(a.Value)
		if err != nil {
			g.faults.add(&fault{string(gatewayv1.GatewayReasonUnsupportedAddress), fmt.Sprintf("spec.addresses[%d].value: %q is not an IP address", i, a.Value)})
			continue
		}
		// The addresses of provisioned data planes are their Service's; they themselves listen at all of their own.
		if g.group == Standalone || g.settings.sharedBy() != nil {
			g.addresses = append(g.addresses, addr.Unmap().String())
		}
	}
}

// sharePorts finds Gateways of one group that want the same address and port. The oldest has it.
func (t *translator) sharePorts() {
	type port struct {
		group GroupName
		port  gatewayv1.PortNumber
		udp   bool
	}
	taken := map[port][]*gateway{}
	for _, g := range t.byAge() {
		for _, l := range g.listeners {
			if !l.served() {
				continue
			}
			p := port{g.group, l.spec.Port, l.spec.Protocol == gatewayv1.UDPProtocolType}
			i := slices.IndexFunc(taken[p], func(other *gateway) bool { return other != g && overlap(other.addresses, g.addresses) })
			if i < 0 {
				taken[p] = append(taken[p], g)
				continue
			}
			message := fmt.Sprintf("port %d is served by %s already", l.spec.Port, taken[p][i].ref)
			l.unusable.add(&fault{string(gatewayv1.ListenerReasonPortUnavailable), message})
			g.unusable.add(&fault{string(gatewayv1.GatewayReasonAddressNotUsable), fmt.Sprintf("listener %s: %s", l.spec.Name, message)})
		}
	}
}

// overlap says whether two Gateways have an address in common. Without addresses a Gateway has them all.
func overlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// byAge lists the Gateways by creation, then namespace and name.
func (t *translator) byAge() []*gateway {
	var list []*gateway
	for _, object := range t.in.Gateways.All() {
		if g := t.gateways[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}]; g != nil {
			list = append(list, g)
		}
	}
	slices.SortStableFunc(list, func(a, b *gateway) int {
		return a.object.CreationTimestamp.Time.Compare(b.object.CreationTimestamp.Time)
	})
	return list
}

// finishGateways tells the status of the Gateways, now that routes are attached.
func (t *translator) finishGateways() {
	for _, g := range t.byAge() {
		u := status.Update{Ref: g.ref, Conditions: g.conditions()}
		for _, l := range g.own() {
			u.Listeners = append(u.Listeners, l.status())
		}
		u.AttachedListenerSets = g.attachedSets()
		t.update(u)
	}
}

// conditions are the Gateway's own: accepted with at least one good listener, programmed with at least one that is served.
func (g *gateway) conditions() []metav1.Condition {
	generation := g.object.Generation
	var bad, good []string
	served := false
	for _, l := range g.own() {
		if l.accepted() {
			good = append(good, string(l.spec.Name))
		} else {
			bad = append(bad, string(l.spec.Name))
		}
		served = served || l.served()
	}
	accepted := g.faults.condition(string(gatewayv1.GatewayConditionAccepted), string(gatewayv1.GatewayReasonAccepted), "the Gateway is accepted", generation)
	if len(g.faults.list) == 0 && len(bad) > 0 {
		message := fmt.Sprintf("not accepted: %s; accepted: %s", strings.Join(bad, ", "), cmp.Or(strings.Join(good, ", "), "none"))
		accepted = condition(accepted.Type, len(good) > 0, string(gatewayv1.GatewayReasonListenersNotValid), message, generation)
	}
	programmed := g.unusable.condition(string(gatewayv1.GatewayConditionProgrammed), string(gatewayv1.GatewayReasonProgrammed), "the Gateway is programmed", generation)
	if len(g.unusable.list) == 0 && !served {
		programmed = condition(programmed.Type, false, string(gatewayv1.GatewayReasonInvalid), "no listener can be served", generation)
	}
	list := []metav1.Condition{accepted, programmed}
	if tls := g.object.Spec.TLS; tls != nil && tls.Backend != nil {
		list = append(list, g.unresolved.condition(string(gatewayv1.GatewayConditionResolvedRefs), string(gatewayv1.GatewayReasonResolvedRefs), "all references are resolved", generation))
	}
	if !g.insecure() {
		return list
	}
	insecure := condition(string(gatewayv1.GatewayConditionInsecureFrontendValidationMode), true, string(gatewayv1.GatewayReasonConfigurationChanged),
		"spec.tls.frontend lets clients in whose certificate is missing or not valid", generation)
	return append(list, insecure)
}

// own are the listeners that stand in the Gateway itself.
func (g *gateway) own() []*listener { return g.listeners[:len(g.object.Spec.Listeners)] }

// insecure says whether clients without a valid certificate are let in where certificates are looked at.
func (g *gateway) insecure() bool {
	return slices.ContainsFunc(g.listeners, func(l *listener) bool {
		v := frontendValidation(g.object, l.spec.Port)
		return l.spec.Protocol == gatewayv1.HTTPSProtocolType && v != nil && v.Mode == gatewayv1.AllowInsecureFallback
	})
}
