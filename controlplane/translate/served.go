package translate

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
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
		g := t.gateways[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}]
		if g == nil {
			continue
		}
		s := Gateway{Object: object, Group: g.group, Accepted: len(g.faults.list) == 0}
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

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
