package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/controlplane/status"
)

const kindListenerSet = "ListenerSet"

// listenerSet is one ListenerSet on a Gateway of ours.
type listenerSet struct {
	object    *gatewayv1.ListenerSet
	ref       resources.Ref
	gateway   *gateway
	listeners []*listener
	// refused is why the Gateway does not take the set; it has no listeners then.
	refused *fault
}

// buildListenerSets adds the listeners of ListenerSets to their Gateways, those of older sets first: that is the order in
// which they are preferred (ListenerSetSpec.listeners).
func (t *translator) buildListenerSets() {
	list := slices.Clone(t.in.ListenerSets.All())
	slices.SortStableFunc(list, func(a, b *gatewayv1.ListenerSet) int {
		return cmp.Or(a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, object := range list {
		t.buildListenerSet(object)
	}
}

func (t *translator) buildListenerSet(object *gatewayv1.ListenerSet) {
	name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	s := &listenerSet{object: object, ref: resources.Ref{Group: schema.GatewayGroup, Kind: kindListenerSet, Namespace: object.Namespace, Name: object.Name}}
	parent := object.Spec.ParentRef
	if ptr.Deref(parent.Group, schema.GatewayGroup) == schema.GatewayGroup && ptr.Deref(parent.Kind, "Gateway") == "Gateway" {
		namespace := string(ptr.Deref(parent.Namespace, gatewayv1.Namespace(object.Namespace)))
		s.gateway = t.gateways[types.NamespacedName{Namespace: namespace, Name: string(parent.Name)}]
	}
	if s.gateway == nil {
		t.strayListenerSet(s)
		return
	}
	t.sets[name] = s
	s.gateway.sets = append(s.gateway.sets, s)
	if s.refused = t.admit(s.gateway, s); s.refused != nil {
		return
	}
	for _, entry := range object.Spec.Listeners {
		spec := gatewayv1.Listener(entry)
		s.listeners = append(s.listeners, t.buildListener(s.gateway, s, &spec))
	}
	s.gateway.listeners = append(s.gateway.listeners, s.listeners...)
}

// strayListenerSet tells of a set whose Gateway nobody serves: in standalone mode there is no other controller.
func (t *translator) strayListenerSet(s *listenerSet) {
	if !t.o.Standalone {
		return
	}
	parent := s.object.Spec.ParentRef
	c := condition(string(gatewayv1.ListenerSetConditionAccepted), false, string(gatewayv1.ListenerSetReasonPending),
		fmt.Sprintf("spec.parentRef: there is no %s %s that is served here", ptr.Deref(parent.Kind, "Gateway"), parent.Name), s.object.Generation)
	c.Status = metav1.ConditionUnknown
	t.update(status.Update{Ref: s.ref, Conditions: []metav1.Condition{c}})
}

// admit says why a Gateway does not take a set; by default it takes none.
func (t *translator) admit(g *gateway, s *listenerSet) *fault {
	refuse := func(message string) *fault {
		return &fault{string(gatewayv1.ListenerSetReasonNotAllowed), fmt.Sprintf("spec.allowedListeners of %s %s", g.ref, message)}
	}
	allowed := g.object.Spec.AllowedListeners
	if allowed == nil || allowed.Namespaces == nil {
		return refuse("is not set")
	}
	switch from := ptr.Deref(allowed.Namespaces.From, gatewayv1.NamespacesFromNone); from {
	case gatewayv1.NamespacesFromAll:
		return nil
	case gatewayv1.NamespacesFromSame:
		if s.object.Namespace == g.object.Namespace {
			return nil
		}
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
		if err != nil {
			return refuse("has a selector that is not valid: " + err.Error())
		}
		if selector.Matches(labels.Set(t.in.NamespaceLabels(s.object.Namespace))) {
			return nil
		}
	default:
		return refuse(fmt.Sprintf("has namespaces.from: %s", from))
	}
	return refuse("does not select namespace " + s.object.Namespace)
}

// accepted says whether the set has a listener that can be served.
func (s *listenerSet) accepted() bool {
	return s.refused == nil && len(s.gateway.faults.list) == 0 && slices.ContainsFunc(s.listeners, func(l *listener) bool { return l.accepted() && !l.broken })
}

// attachedSets counts the sets that a Gateway has accepted.
func (g *gateway) attachedSets() *int32 {
	n := int32(0)
	for _, s := range g.sets {
		if s.accepted() {
			n++
		}
	}
	return &n
}

// finishListenerSets tells the status of the sets, now that routes are attached.
func (t *translator) finishListenerSets() {
	for _, object := range t.in.ListenerSets.All() {
		s := t.sets[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}]
		if s == nil {
			continue
		}
		u := status.Update{Ref: s.ref, Conditions: s.conditions()}
		for _, l := range s.listeners {
			u.Listeners = append(u.Listeners, l.status())
		}
		t.update(u)
	}
}

// conditions are those of the set as a whole.
func (s *listenerSet) conditions() []metav1.Condition {
	generation := s.object.Generation
	var why faults
	var bad []string
	for _, l := range s.listeners {
		if !l.accepted() || l.broken {
			bad = append(bad, string(l.spec.Name))
		}
	}
	switch {
	case s.refused != nil:
		why.add(s.refused)
	case len(s.gateway.faults.list) > 0:
		why.add(&fault{string(gatewayv1.ListenerSetReasonParentNotAccepted), fmt.Sprintf("%s is not accepted", s.gateway.ref)})
	case !s.accepted():
		why.add(&fault{string(gatewayv1.ListenerSetReasonListenersNotValid), "no listener can be served: " + strings.Join(bad, ", ")})
	}
	accepted := why.condition(string(gatewayv1.ListenerSetConditionAccepted), string(gatewayv1.ListenerSetReasonAccepted), "the set is accepted", generation)
	if len(why.list) == 0 && len(bad) > 0 {
		accepted.Reason = string(gatewayv1.ListenerSetReasonListenersNotValid)
		accepted.Message = "the set is accepted without " + strings.Join(bad, ", ")
	}
	programmed := why.condition(string(gatewayv1.ListenerSetConditionProgrammed), string(gatewayv1.ListenerSetReasonProgrammed), "the set is programmed", generation)
	if len(why.list) == 0 && !slices.ContainsFunc(s.listeners, (*listener).served) {
		programmed = condition(programmed.Type, false, string(gatewayv1.ListenerSetReasonInvalid), "no listener is served", generation)
	}
	return []metav1.Condition{accepted, programmed}
}
