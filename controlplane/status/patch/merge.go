package patch

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/status"
)

// The most that the CRDs of the Gateway API allow.
const (
	maxConditions = 8
	maxParents    = 32
	maxAncestors  = 16
)

// own are the types of conditions that are ours to take away again. Others are somebody else's.
var own = map[string]bool{
	string(gatewayv1.GatewayConditionAccepted): true, string(gatewayv1.GatewayConditionProgrammed): true,
	string(gatewayv1.ListenerConditionResolvedRefs): true, string(gatewayv1.ListenerConditionConflicted): true,
	string(gatewayv1.ListenerConditionOverlappingTLSConfig): true, string(gatewayv1.RouteConditionPartiallyInvalid): true,
	string(gatewayv1.GatewayConditionInsecureFrontendValidationMode): true, string(gatewayv1.GatewayClassConditionStatusSupportedVersion): true,
}

// merger brings a live status in line with an update.
type merger struct {
	controller gatewayv1.GatewayController
	now        metav1.Time
}

// merge is the status that an object should have.
func (m merger) merge(v resources.Value, live document, u status.Update) document {
	d := live
	switch {
	case has(v, "Parents"):
		d.Parents = m.parents(live.Parents, u.Parents)
		return d
	case has(v, "Ancestors"):
		d.Ancestors = m.ancestors(live.Ancestors, u.Parents)
		return d
	}
	d.Conditions = m.conditions(live.Conditions, u.Conditions)
	if has(v, "Listeners") {
		d.Listeners = m.listeners(live.Listeners, u.Listeners)
	}
	if has(v, "Addresses") {
		d.Addresses = u.Addresses
	}
	if has(v, "AttachedListenerSets") {
		d.AttachedListenerSets = u.AttachedListenerSets
	}
	if has(v, "SupportedFeatures") {
		d.SupportedFeatures = u.Features
	}
	return d
}

// conditions are those wanted, in the live order, and those of others. The time of a transition stays where there was none.
func (m merger) conditions(live, want []metav1.Condition) []metav1.Condition {
	var out []metav1.Condition
	for _, l := range live {
		i := slices.IndexFunc(want, func(w metav1.Condition) bool { return w.Type == l.Type })
		switch {
		case i >= 0:
			out = append(out, m.condition(&l, want[i]))
		case !own[l.Type]:
			out = append(out, l)
		}
	}
	for _, w := range want {
		if !slices.ContainsFunc(live, func(l metav1.Condition) bool { return w.Type == l.Type }) {
			out = append(out, m.condition(nil, w))
		}
	}
	return out[:min(len(out), maxConditions)]
}

func (m merger) condition(live *metav1.Condition, want metav1.Condition) metav1.Condition {
	want.LastTransitionTime = m.now
	if live != nil && live.Status == want.Status {
		want.LastTransitionTime = live.LastTransitionTime
	}
	return want
}

func (m merger) listeners(live, want []gatewayv1.ListenerStatus) []gatewayv1.ListenerStatus {
	var out []gatewayv1.ListenerStatus
	for _, w := range want {
		var before []metav1.Condition
		if i := slices.IndexFunc(live, func(l gatewayv1.ListenerStatus) bool { return l.Name == w.Name }); i >= 0 {
			before = live[i].Conditions
		}
		w.Conditions = m.conditions(before, w.Conditions)
		out = append(out, w)
	}
	return out
}

func (m merger) parents(live []gatewayv1.RouteParentStatus, want []status.Parent) []gatewayv1.RouteParentStatus {
	var out []gatewayv1.RouteParentStatus
	for _, l := range live {
		if l.ControllerName != m.controller {
			out = append(out, l)
		}
	}
	for _, w := range want {
		p := gatewayv1.RouteParentStatus{ParentRef: w.Ref, ControllerName: m.controller}
		var before []metav1.Condition
		for _, l := range live {
			if l.ControllerName == m.controller && reflect.DeepEqual(l.ParentRef, w.Ref) {
				before = l.Conditions
			}
		}
		p.Conditions = m.conditions(before, w.Conditions)
		out = append(out, p)
	}
	return inOrder(live, out[:min(len(out), maxParents)], func(a, b gatewayv1.RouteParentStatus) bool {
		return a.ControllerName == b.ControllerName && reflect.DeepEqual(a.ParentRef, b.ParentRef)
	})
}

func (m merger) ancestors(live []gatewayv1.PolicyAncestorStatus, want []status.Parent) []gatewayv1.PolicyAncestorStatus {
	var out []gatewayv1.PolicyAncestorStatus
	for _, l := range live {
		if l.ControllerName != m.controller {
			out = append(out, l)
		}
	}
	for _, w := range want {
		p := gatewayv1.PolicyAncestorStatus{AncestorRef: w.Ref, ControllerName: m.controller}
		var before []metav1.Condition
		for _, l := range live {
			if l.ControllerName == m.controller && reflect.DeepEqual(l.AncestorRef, w.Ref) {
				before = l.Conditions
			}
		}
		p.Conditions = m.conditions(before, w.Conditions)
		out = append(out, p)
	}
	return inOrder(live, out[:min(len(out), maxAncestors)], func(a, b gatewayv1.PolicyAncestorStatus) bool {
		return a.ControllerName == b.ControllerName && reflect.DeepEqual(a.AncestorRef, b.AncestorRef)
	})
}

// inOrder sorts a list as the live one is, so that controllers do not take turns at sorting it.
func inOrder[T any](live, list []T, same func(a, b T) bool) []T {
	at := func(x T) int {
		if i := slices.IndexFunc(live, func(l T) bool { return same(l, x) }); i >= 0 {
			return i
		}
		return len(live)
	}
	slices.SortStableFunc(list, func(a, b T) int { return at(a) - at(b) })
	return list
}

// claimed says whether a live status has something of ours that an object without an update should not have.
func (m merger) claimed(live document) bool {
	return slices.ContainsFunc(live.Parents, func(p gatewayv1.RouteParentStatus) bool { return p.ControllerName == m.controller }) ||
		slices.ContainsFunc(live.Ancestors, func(p gatewayv1.PolicyAncestorStatus) bool { return p.ControllerName == m.controller })
}
