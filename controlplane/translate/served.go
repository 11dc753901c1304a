package translate

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// Gateway is a Gateway of ours, as provisioning sees it.
type Gateway struct {
	// Object must not be changed.
	Object *gatewayv1.Gateway
	// Group of data planes that serve it.
	Group GroupName
	// Accepted: nothing is wrong with the Gateway as a whole.
	Accepted bool
	// Ports that its listeners are served at, in order.
	Ports []Port
	// Config is what is set for it, by its class and itself.
	Config v1alpha1.GatewayConfigSpec
	// Shared is the config that lets it run on data planes that are there already; nil: it gets its own.
	Shared *v1alpha1.GatewayConfig
}

// Port is a port that data planes listen at.
type Port struct {
	Number int32
	// UDP says that it is a port of UDP, not TCP.
	UDP bool
}

// served lists the Gateways with the ports of those of their listeners that data planes get.
func (t *translator) served() []Gateway {
	var out []Gateway
	for _, object := range t.in.Gateways.All() {
		g := t.gateways[nameOf(object)]
		if g == nil {
			continue
		}
		s := Gateway{Object: object, Group: g.group, Accepted: len(g.faults.list) == 0, Config: g.settings.spec}
		if c := g.settings.sharedBy(); c != nil {
			s.Shared = c.object
		}
		for _, l := range g.listeners {
			if l.served() {
				s.Ports = append(s.Ports, Port{Number: int32(l.spec.Port), UDP: l.spec.Protocol == gatewayv1.UDPProtocolType})
			}
		}
		slices.SortFunc(s.Ports, func(a, b Port) int { return cmp.Or(cmp.Compare(a.Number, b.Number), compareBool(a.UDP, b.UDP)) })
		s.Ports = slices.Compact(s.Ports)
		out = append(out, s)
	}
	return out
}

func nameOf(o metav1.Object) types.NamespacedName { return nameIn(o.GetNamespace(), o.GetName()) }

func nameIn(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
