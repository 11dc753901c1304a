package translate

import (
	"fmt"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// findConflicts marks the listeners of a Gateway that could not be told apart. Of those in one object all are left out: the
// Gateway API forbids to pick a winner. Between a Gateway and its ListenerSets, and between sets, the one that is preferred
// stays (ListenerSetSpec.listeners), and what is left out for it is in nobody's way. Listeners of protocols that are not
// served conflict with nobody.
func (g *gateway) findConflicts() {
	for _, group := range g.inOrder() {
		var left []*listener
		for _, l := range group {
			if !l.yields() {
				left = append(left, l)
			}
		}
		for _, l := range left {
			for _, other := range left {
				if l != other {
					l.conflict.add(l.conflictWith(other))
				}
			}
		}
	}
}

// inOrder are the listeners by the object that they stand in, what is preferred first.
func (g *gateway) inOrder() [][]*listener {
	out := [][]*listener{g.own()}
	for _, s := range g.sets {
		out = append(out, s.listeners)
	}
	return out
}

// yields marks a listener that is in conflict with one that is preferred.
func (l *listener) yields() bool {
	for _, other := range l.gateway.listeners {
		if other.set == l.set {
			break
		}
		if other.set == nil || len(other.conflict.list) == 0 {
			l.conflict.add(l.conflictWith(other))
		}
	}
	return len(l.conflict.list) > 0
}

// conflictWith is why a connection or request could not be told to be for l and not for other; nil: it can.
func (l *listener) conflictWith(other *listener) *fault {
	if len(kindsOf(l.spec)) == 0 || len(kindsOf(other.spec)) == 0 {
		return nil
	}
	if l.spec.Port != other.spec.Port || (l.spec.Protocol == gatewayv1.UDPProtocolType) != (other.spec.Protocol == gatewayv1.UDPProtocolType) {
		return nil
	}
	name := "listener " + string(other.spec.Name)
	if other.set != l.set {
		name = "another listener" // its name may be none of this owner's business
	}
	port := l.spec.Port
	switch {
	case family(l.spec.Protocol) != family(other.spec.Protocol):
		return &fault{string(gatewayv1.ListenerReasonProtocolConflict), fmt.Sprintf("port %d is %s here and %s on %s", port, l.spec.Protocol, other.spec.Protocol, name)}
	case l.spec.Protocol == gatewayv1.TCPProtocolType || l.spec.Protocol == gatewayv1.UDPProtocolType:
		return &fault{string(gatewayv1.ListenerEntryReasonListenerConflict), fmt.Sprintf("port %d is that of %s as well", port, name)}
	case l.hostname != other.hostname:
		return nil
	case l.spec.Protocol != other.spec.Protocol:
		return &fault{string(gatewayv1.ListenerReasonProtocolConflict), fmt.Sprintf("port %d has the same hostname as %s on %s", port, other.spec.Protocol, name)}
	}
	return &fault{string(gatewayv1.ListenerReasonHostnameConflict), fmt.Sprintf("port %d has the same hostname on %s", port, name)}
}

// family is what the listeners of one port have to agree on. HTTPS and TLS are told apart by the server name.
func family(p gatewayv1.ProtocolType) gatewayv1.ProtocolType {
	if p == gatewayv1.HTTPSProtocolType {
		return gatewayv1.TLSProtocolType
	}
	return p
}
