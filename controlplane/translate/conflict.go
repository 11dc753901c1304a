package translate

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// findConflicts marks the listeners of a Gateway that a request could not tell apart. All of them are left out: the Gateway
// API forbids to pick a winner. Listeners of protocols that are not served conflict with nobody.
func (g *gateway) findConflicts() {
	for _, a := range g.listeners {
		for _, b := range g.listeners {
			if a == b || len(kindsOf(a.spec.Protocol)) == 0 || len(kindsOf(b.spec.Protocol)) == 0 || a.spec.Port != b.spec.Port {
				continue
			}
			switch {
			case a.spec.Protocol != b.spec.Protocol:
				a.conflict.add(&fault{string(gatewayv1.ListenerReasonProtocolConflict), fmt.Sprintf("port %d is %s here and %s on listener %s", a.spec.Port, a.spec.Protocol, b.spec.Protocol, b.spec.Name)})
			case a.hostname == b.hostname:
				a.conflict.add(&fault{string(gatewayv1.ListenerReasonHostnameConflict), fmt.Sprintf("port %d has the same hostname on listener %s", a.spec.Port, b.spec.Name)})
			}
		}
	}
}
