package translate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// policy is one object of a kind that attaches by targetRefs.
type policy struct {
	object  metav1.Object
	ref     resources.Ref
	targets []gatewayv1.LocalPolicyTargetReferenceWithSectionName
	// kinds are those that may be targeted.
	kinds []string
	wire  *xdsv1.Policy
	// invalid is why the object cannot be run, unresolved what it names in vain.
	invalid, unresolved faults
	// notes say of targets, by their index, where the policy does not hold although it is accepted.
	notes map[int]string
	// alone says that a target has one policy of the kind: of two the first holds, and the other is in conflict.
	alone bool
}

// finishPolicy resolves the targets of a policy, puts it into the pool and tells its status. One that cannot be run keeps its
// last valid version in force; where there is none, what it targets fails closed.
func (t *translator) finishPolicy(p *policy) {
	u := status.Update{Ref: p.ref}
	lost := make([]*fault, len(p.targets))
	p.notes = map[int]string{}
	for i, ref := range p.targets {
		var found []*xdsv1.Target
		found, p.notes[i], lost[i] = t.policyTarget(p, ref)
		if lost[i] == nil && p.alone {
			lost[i] = t.claim(p, ref)
		}
		if lost[i] != nil {
			continue
		}
		p.wire.Targets = append(p.wire.Targets, found...)
	}
	t.putPolicy(p)
	for i, ref := range p.targets {
		u.Parents = append(u.Parents, status.Parent{Ref: ancestor(p, ref), Conditions: p.conditions(lost[i], i)})
	}
	t.update(u)
}

func (t *translator) putPolicy(p *policy) {
	key := p.wire.GetKey()
	if len(p.invalid.list) == 0 {
		err := t.put(&xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p.wire}})
		if err == nil {
			return
		}
		p.invalid.add(&fault{v1alpha1.ReasonInvalid, oneLine(key, err)})
	}
	t.refused[key] = errors.New(p.invalid.list[0].message)
	if t.kept(key) {
		t.keptPolicies[key] = p.wire
		return
	}
	delete(t.refused, key)
	p.wire.Kind = &xdsv1.Policy_Invalid{Invalid: bounded(p.invalid.list[0].message)}
	t.pool[key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p.wire}}
}

// closeUnread makes the targets of policies that cannot be read answer 503, as those of policies that cannot be run. What they
// say of their targets is read all the same.
func (t *translator) closeUnread() {
	kinds := map[string]string{
		v1alpha1.KindAuthPolicy: xdsv1.PolicyAuth, v1alpha1.KindTokenPolicy: xdsv1.PolicyToken, v1alpha1.KindPromptGuardPolicy: xdsv1.PolicyGuard,
		v1alpha1.KindRoutePolicy: xdsv1.PolicyRoute,
	}
	for _, u := range t.in.Unread() {
		kind, known := kinds[u.Ref.Kind]
		if !known || u.Ref.Name == "" {
			continue
		}
		p := &policy{
			object: &metav1.ObjectMeta{Namespace: u.Ref.Namespace, Name: u.Ref.Name}, ref: u.Ref, targets: u.Targets,
			kinds: []string{"Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute", v1alpha1.KindAIBackend, v1alpha1.KindAIProvider},
			wire:  &xdsv1.Policy{Key: xdsv1.PolicyKey(kind, u.Ref.Namespace, u.Ref.Name), Namespace: u.Ref.Namespace, Name: u.Ref.Name},
		}
		for _, ref := range u.Targets {
			found, _, _ := t.policyTarget(p, ref)
			p.wire.Targets = append(p.wire.Targets, found...)
		}
		p.invalid.add(&fault{v1alpha1.ReasonInvalid, strings.TrimPrefix(u.Problem.Field+": "+u.Problem.Message, ": ")})
		t.putPolicy(p)
	}
}

// conditions are those of one ancestor. A target that is not there makes the policy not accepted there, and only there.
func (p *policy) conditions(lost *fault, i int) []metav1.Condition {
	accepted := p.invalid
	if lost != nil {
		accepted = faults{}
		accepted.add(&fault{lost.reason, fmt.Sprintf("spec.targetRefs[%d]: %s", i, lost.message)})
	}
	generation := p.object.GetGeneration()
	return []metav1.Condition{
		accepted.condition(string(gatewayv1.PolicyConditionAccepted), string(gatewayv1.PolicyReasonAccepted), "the policy is accepted"+p.notes[i], generation),
		p.unresolved.condition(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "all references are resolved", generation),
	}
}

// ancestor is the target itself: a policy says of each of its targets what became of it there.
func ancestor(p *policy, ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{
		Group: ptr.To(ref.Group), Kind: ptr.To(ref.Kind), Namespace: ptr.To(gatewayv1.Namespace(p.object.GetNamespace())),
		Name: ref.Name, SectionName: ref.SectionName,
	}
}

// policyTarget finds what a targetRef names: of a Gateway its listeners, else the one resource. note says where the policy does
// not hold although it is accepted.
func (t *translator) policyTarget(p *policy, ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) (found []*xdsv1.Target, note string, lost *fault) {
	group := schema.GatewayGroup
	if ref.Kind == v1alpha1.KindAIBackend || ref.Kind == v1alpha1.KindAIProvider {
		group = v1alpha1.GroupName
	}
	to := resources.Ref{Group: group, Kind: string(ref.Kind), Namespace: p.object.GetNamespace(), Name: string(ref.Name)}
	if string(ref.Group) != group || !slices.Contains(p.kinds, to.Kind) {
		return nil, "", &fault{string(gatewayv1.PolicyReasonInvalid), fmt.Sprintf("%s of group %q cannot be targeted", ref.Kind, ref.Group)}
	}
	section := string(ptr.Deref(ref.SectionName, ""))
	switch to.Kind {
	case "Gateway":
		return t.gatewayTarget(to, section)
	case "HTTPRoute", "GRPCRoute":
		found, lost = t.routeTarget(to, section)
		return found, "", lost
	case "TCPRoute", "TLSRoute", "UDPRoute":
		found, lost = t.routeTarget(to, section)
		return found, streamsNote(p.wire.GetTraffic()), lost
	}
	key, known := xdsv1.ModelsKey(to.Namespace, to.Name), false
	if to.Kind == v1alpha1.KindAIBackend {
		known = t.models[key] != nil
	} else {
		key = xdsv1.ProviderKey(to.Namespace, to.Name)
		known = t.providers[key] != nil
	}
	switch {
	case !known:
		return nil, "", notThere(to, "")
	case section != "":
		return nil, "", notThere(to, "section "+section)
	}
	return []*xdsv1.Target{{Key: key}}, "", nil
}

// gatewayTarget finds the listeners of a Gateway: one by its name, or all, those of ListenerSets on it included. Whoever lets
// others add listeners keeps the say over what passes. Where there are no requests but connections and datagrams, no policy
// can hold, and that is said.
func (t *translator) gatewayTarget(to resources.Ref, section string) (found []*xdsv1.Target, note string, lost *fault) {
	g := t.gateways[types.NamespacedName{Namespace: to.Namespace, Name: to.Name}]
	if g == nil {
		return nil, "", notThere(to, "")
	}
	var without []string
	for _, l := range g.listeners {
		switch {
		case section != "" && (l.set != nil || section != string(l.spec.Name)):
		case l.spec.Protocol != gatewayv1.HTTPProtocolType && l.spec.Protocol != gatewayv1.HTTPSProtocolType:
			without = append(without, fmt.Sprintf("%s (%s)", l.spec.Name, l.spec.Protocol))
		default:
			found = append(found, &xdsv1.Target{Key: l.key, Gateway: section == ""})
		}
	}
	switch {
	case len(found) > 0 && len(without) > 0:
		note = "; it does not hold for listeners that have no HTTP requests: " + strings.Join(without, ", ")
	case len(without) > 0:
		lost = &fault{string(gatewayv1.PolicyReasonInvalid), fmt.Sprintf("%s has no HTTP requests at %s", to, strings.Join(without, ", "))}
	case len(found) == 0:
		lost = notThere(to, "listener "+section)
	}
	return found, note, lost
}

// routeKinds are the kinds of routes, as keys have them.
var routeKinds = map[string]string{
	"HTTPRoute": xdsv1.RouteHTTP, "GRPCRoute": xdsv1.RouteGRPC, "TCPRoute": xdsv1.RouteTCP, "TLSRoute": xdsv1.RouteTLS, "UDPRoute": xdsv1.RouteUDP,
}

func (t *translator) routeTarget(to resources.Ref, section string) ([]*xdsv1.Target, *fault) {
	r := t.built[to]
	if r == nil || !r.runs() {
		return nil, notThere(to, "")
	}
	if section != "" && !r.hasRule(section) {
		return nil, notThere(to, "rule "+section)
	}
	return []*xdsv1.Target{{Key: xdsv1.RouteKey(routeKinds[to.Kind], to.Namespace, to.Name), Rule: section}}, nil
}

func (r *route) hasRule(name string) bool {
	return slices.ContainsFunc(r.wire.GetHttp().GetRules(), func(rule *xdsv1.HTTPRule) bool { return rule.GetName() == name }) ||
		slices.ContainsFunc(r.wire.GetGrpc().GetRules(), func(rule *xdsv1.GRPCRule) bool { return rule.GetName() == name })
}

func notThere(to resources.Ref, part string) *fault {
	message := fmt.Sprintf("there is no %s that is served here", to)
	if part != "" {
		message = fmt.Sprintf("%s has no %s", to, part)
	}
	return &fault{string(gatewayv1.PolicyReasonTargetNotFound), message}
}

// emitPolicies adds the policies of what a group has, and the callers of these: all else is for others.
func (t *translator) emitPolicies(out map[string]*xdsv1.Resource, policies []*xdsv1.Resource) {
	var callers []*xdsv1.Caller
	for _, r := range policies {
		switch {
		case r.GetCaller() != nil:
			callers = append(callers, r.GetCaller())
		case r.GetPolicy() != nil:
			if own := policyIn(r.GetPolicy(), out); own != nil {
				t.emitPolicy(out, own)
			}
		}
	}
	foreign := func(p string) bool { return out[p] == nil && policyIn(t.keptPolicies[p], out) == nil }
	for _, c := range callers {
		own := slices.DeleteFunc(slices.Clone(c.GetPolicies()), foreign)
		if len(own) == 0 {
			continue
		}
		c = proto.CloneOf(c)
		c.Policies = own
		out[c.GetKey()] = &xdsv1.Resource{Kind: &xdsv1.Resource_Caller{Caller: c}}
	}
}

// policyIn is a policy with those targets alone that a group has; nil: it has none.
func policyIn(p *xdsv1.Policy, out map[string]*xdsv1.Resource) *xdsv1.Policy {
	foreign := func(target *xdsv1.Target) bool { return out[target.GetKey()] == nil }
	if !slices.ContainsFunc(p.GetTargets(), foreign) {
		if len(p.GetTargets()) == 0 {
			return nil
		}
		return p
	}
	p = proto.CloneOf(p)
	p.Targets = slices.DeleteFunc(p.Targets, foreign)
	if len(p.Targets) == 0 {
		return nil
	}
	return p
}

func (t *translator) emitPolicy(out map[string]*xdsv1.Resource, p *xdsv1.Policy) {
	r := &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}}
	out[p.GetKey()] = r
	for _, rule := range p.GetPromptGuard().GetRules() {
		t.emitSecretValue(out, rule.GetHashSecret(), rule.GetHashDataKey())
		t.emitSecretValue(out, rule.GetWebhook().GetSecret(), rule.GetWebhook().GetDataKey())
	}
	for _, key := range snapshot.References(r) {
		t.emit(out, key)
	}
}
