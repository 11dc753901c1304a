package features

import (
	"context"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// unusable is an address that no machine has (RFC 5737). In a cluster whoever provisions addresses tells of it; here that is
// tellGateway.
const unusable = "192.0.2.1"

// tell writes a status back to its object.
func (c *cluster) tell(ctx context.Context, u status.Update) error {
	switch u.Ref.Kind {
	case "GatewayClass":
		o := &gatewayv1.GatewayClass{}
		return tell(ctx, c, u, o, func() {
			o.Status.Conditions, o.Status.SupportedFeatures = stamped(o.Status.Conditions, u.Conditions), u.Features
		})
	case "Gateway":
		o := &gatewayv1.Gateway{}
		return tell(ctx, c, u, o, func() { c.tellGateway(o, u) })
	case "HTTPRoute":
		o := &gatewayv1.HTTPRoute{}
		return tell(ctx, c, u, o, func() { tellRoute(&o.Status.RouteStatus, u) })
	case "GRPCRoute":
		o := &gatewayv1.GRPCRoute{}
		return tell(ctx, c, u, o, func() { tellRoute(&o.Status.RouteStatus, u) })
	case "TLSRoute":
		o := &gatewayv1.TLSRoute{}
		return tell(ctx, c, u, o, func() { tellRoute(&o.Status.RouteStatus, u) })
	case "TCPRoute":
		o := &gatewayv1.TCPRoute{}
		return tell(ctx, c, u, o, func() { tellRoute(&o.Status.RouteStatus, u) })
	case "UDPRoute":
		o := &gatewayv1.UDPRoute{}
		return tell(ctx, c, u, o, func() { tellRoute(&o.Status.RouteStatus, u) })
	case "ListenerSet":
		o := &gatewayv1.ListenerSet{}
		return tell(ctx, c, u, o, func() { tellListenerSet(o, u) })
	case "BackendTLSPolicy":
		o := &gatewayv1.BackendTLSPolicy{}
		return tell(ctx, c, u, o, func() { tellPolicy(&o.Status, u) })
	}
	return nil
}

// tell changes the status of the object that u is of, if it is still there.
func tell[T client.Object](ctx context.Context, c *cluster, u status.Update, o T, change func()) error {
	name := types.NamespacedName{Namespace: u.Ref.Namespace, Name: u.Ref.Name}
	if err := c.api.Get(ctx, name, o); err != nil {
		return client.IgnoreNotFound(err)
	}
	before := o.DeepCopyObject().(T)
	change()
	if reflect.DeepEqual(before, o) {
		return nil
	}
	return client.IgnoreNotFound(c.api.Status().Patch(ctx, o, client.MergeFrom(before)))
}

func (c *cluster) tellGateway(g *gatewayv1.Gateway, u status.Update) {
	provisioned := g.DeepCopy()
	c.provision(provisioned)
	g.Status.Addresses = nil
	for _, a := range provisioned.Spec.Addresses {
		if a.Value == unusable {
			u.Conditions = slices.Clone(u.Conditions)
			meta.SetStatusCondition(&u.Conditions, metav1.Condition{
				Type: string(gatewayv1.GatewayConditionProgrammed), Status: metav1.ConditionFalse, Reason: string(gatewayv1.GatewayReasonAddressNotUsable),
				Message: unusable + " is not an address of this machine", ObservedGeneration: u.Conditions[0].ObservedGeneration,
			})
			continue
		}
		g.Status.Addresses = append(g.Status.Addresses, gatewayv1.GatewayStatusAddress{Type: a.Type, Value: a.Value})
	}
	g.Status.Conditions = stamped(g.Status.Conditions, u.Conditions)
	g.Status.Listeners = listeners(g.Status.Listeners, u.Listeners)
	g.Status.AttachedListenerSets = u.AttachedListenerSets
}

// tellListenerSet writes the status of a set, whose entries read as listeners.
func tellListenerSet(s *gatewayv1.ListenerSet, u status.Update) {
	var old []gatewayv1.ListenerStatus
	for _, l := range s.Status.Listeners {
		old = append(old, gatewayv1.ListenerStatus(l))
	}
	s.Status.Conditions = stamped(s.Status.Conditions, u.Conditions)
	s.Status.Listeners = nil
	for _, l := range listeners(old, u.Listeners) {
		s.Status.Listeners = append(s.Status.Listeners, gatewayv1.ListenerEntryStatus(l))
	}
}

func listeners(old, now []gatewayv1.ListenerStatus) (out []gatewayv1.ListenerStatus) {
	for _, l := range now {
		var before []metav1.Condition
		for _, o := range old {
			if o.Name == l.Name {
				before = o.Conditions
			}
		}
		l.Conditions = stamped(before, l.Conditions)
		out = append(out, l)
	}
	return out
}

func tellRoute(s *gatewayv1.RouteStatus, u status.Update) {
	old := s.Parents
	s.Parents = []gatewayv1.RouteParentStatus{}
	for _, p := range u.Parents {
		var before []metav1.Condition
		for _, o := range old {
			if reflect.DeepEqual(o.ParentRef, p.Ref) {
				before = o.Conditions
			}
		}
		s.Parents = append(s.Parents, gatewayv1.RouteParentStatus{
			ParentRef: p.Ref, ControllerName: translate.ControllerName, Conditions: stamped(before, p.Conditions),
		})
	}
}

func tellPolicy(s *gatewayv1.PolicyStatus, u status.Update) {
	old := s.Ancestors
	s.Ancestors = []gatewayv1.PolicyAncestorStatus{}
	for _, p := range u.Parents {
		var before []metav1.Condition
		for _, o := range old {
			if reflect.DeepEqual(o.AncestorRef, p.Ref) {
				before = o.Conditions
			}
		}
		s.Ancestors = append(s.Ancestors, gatewayv1.PolicyAncestorStatus{
			AncestorRef: p.Ref, ControllerName: translate.ControllerName, Conditions: stamped(before, p.Conditions),
		})
	}
}

// stamped gives conditions the time of their last change.
func stamped(old, now []metav1.Condition) []metav1.Condition {
	var out []metav1.Condition
	for _, c := range now {
		c.LastTransitionTime = metav1.NewTime(time.Now().Truncate(time.Second))
		if o := meta.FindStatusCondition(old, c.Type); o != nil && o.Status == c.Status {
			c.LastTransitionTime = o.LastTransitionTime
		}
		out = append(out, c)
	}
	return out
}
