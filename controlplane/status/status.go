// Package status owns what the control plane says about each object: its conditions, as the Gateway API has them, and how
// they are printed. Nothing of it is ever sent to a data plane.
package status

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// Update is the status of one object. Which of its lists are used depends on the kind: Conditions for GatewayClass, Gateway,
// AIProvider and AIBackend, Listeners for Gateway and ListenerSet, Parents for routes and policies.
type Update struct {
	Ref        resources.Ref
	Origin     resources.Origin
	Conditions []metav1.Condition
	Listeners  []gatewayv1.ListenerStatus
	// AttachedListenerSets is how many ListenerSets a Gateway has accepted; nil for other kinds.
	AttachedListenerSets *int32
	// Parents are the parents of a route, or the ancestors of a policy.
	Parents []Parent
	// Addresses are a Gateway's. Only a cluster knows them.
	Addresses []gatewayv1.GatewayStatusAddress
	// Features are what a GatewayClass supports. Only a cluster is told.
	Features []gatewayv1.SupportedFeature
}

// Parent is the status of an object with respect to one parent.
type Parent struct {
	Ref        gatewayv1.ParentReference
	Conditions []metav1.Condition
}

// OK says whether nothing is wrong: every condition that should be True is.
func (u Update) OK() bool {
	if !fine(u.Conditions) {
		return false
	}
	for _, l := range u.Listeners {
		if !fine(l.Conditions) {
			return false
		}
	}
	return !slices.ContainsFunc(u.Parents, func(p Parent) bool { return !fine(p.Conditions) })
}

func fine(conditions []metav1.Condition) bool {
	return !slices.ContainsFunc(conditions, func(c metav1.Condition) bool { return !Good(c) })
}

// Good says whether a condition is as it should be: most are good when True, a few when False.
func Good(c metav1.Condition) bool {
	switch c.Type {
	case string(gatewayv1.ListenerConditionConflicted), string(gatewayv1.RouteConditionPartiallyInvalid),
		string(gatewayv1.ListenerConditionOverlappingTLSConfig):
		return c.Status == metav1.ConditionFalse
	}
	return c.Status == metav1.ConditionTrue
}
