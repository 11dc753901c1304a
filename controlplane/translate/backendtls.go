package translate

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/controlplane/status"
)

// tlsPolicy is one BackendTLSPolicy.
type tlsPolicy struct {
	object *gatewayv1.BackendTLSPolicy
	// wire is nil when there is nobody to trust.
	wire                *xdsv1.BackendTLS
	invalid, unresolved faults
	// gateways use a Service that the policy targets.
	gateways map[*gateway]bool
}

// buildTLSPolicies reads the policies and finds, for each Service, those that target it, the oldest first.
func (t *translator) buildTLSPolicies() {
	list := slices.Clone(t.in.BackendTLSPolicies.All())
	slices.SortStableFunc(list, func(a, b *gatewayv1.BackendTLSPolicy) int {
		return cmp.Or(a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	taken := map[string]bool{}
	for _, object := range list {
		p := &tlsPolicy{object: object, gateways: map[*gateway]bool{}}
		t.readTLSPolicy(p)
		for _, target := range object.Spec.TargetRefs {
			if target.Group != "" || target.Kind != "Service" {
				continue
			}
			section := fmt.Sprintf("%s/%s/%s", object.Namespace, target.Name, ptr.Deref(target.SectionName, ""))
			if taken[section] {
				p.invalid.add(&fault{string(gatewayv1.PolicyReasonConflicted), fmt.Sprintf("an older BackendTLSPolicy targets Service %s already", target.Name)})
			}
			taken[section] = true
			service := types.NamespacedName{Namespace: object.Namespace, Name: string(target.Name)}
			if !slices.Contains(t.policies[service], p) {
				t.policies[service] = append(t.policies[service], p)
			}
		}
	}
}

func (t *translator) readTLSPolicy(p *tlsPolicy) {
	v := p.object.Spec.Validation
	out := &xdsv1.BackendTLS{Hostname: string(v.Hostname), SystemRoots: ptr.Deref(v.WellKnownCACertificates, "") == gatewayv1.WellKnownCACertificatesSystem}
	for i, ref := range v.CACertificateRefs {
		bundle, f := t.backendCA(p.object.Namespace, ref)
		if f != nil {
			p.unresolved.add(&fault{f.reason, fmt.Sprintf("validation.caCertificateRefs[%d]: %s", i, f.message)})
			continue
		}
		out.CaCertificates = append(out.CaCertificates, bundle)
	}
	for _, san := range v.SubjectAltNames {
		if san.Type == gatewayv1.URISubjectAltNameType {
			out.Sans = append(out.Sans, &xdsv1.SAN{Kind: &xdsv1.SAN_Uri{Uri: string(san.URI)}})
		} else {
			out.Sans = append(out.Sans, &xdsv1.SAN{Kind: &xdsv1.SAN_Hostname{Hostname: string(san.Hostname)}})
		}
	}
	if len(out.CaCertificates) == 0 && !out.SystemRoots {
		p.invalid.add(&fault{string(gatewayv1.BackendTLSPolicyReasonNoValidCACertificate), "no CA certificate is valid"})
		return
	}
	p.wire = out
}

func (t *translator) backendCA(namespace string, ref gatewayv1.LocalObjectReference) ([]byte, *fault) {
	if ref.Group != "" || ref.Kind != "ConfigMap" {
		return nil, &fault{string(gatewayv1.BackendTLSPolicyReasonInvalidKind), fmt.Sprintf("%s is not supported, only ConfigMap", ref.Kind)}
	}
	bundle, problem := t.caBundle(resources.Ref{Kind: "ConfigMap", Namespace: namespace, Name: string(ref.Name)})
	if problem != "" {
		return nil, &fault{string(gatewayv1.BackendTLSPolicyReasonInvalidCACertificateRef), problem}
	}
	return bundle, nil
}

// backendTLS finds the policy for one port of a Service: one for the port wins over one for the Service, of equals the
// oldest. A policy that is not valid makes the backend unusable: plain text in its place would be worse.
func (t *translator) backendTLS(service *corev1.Service, port string) (*xdsv1.BackendTLS, *fault) {
	var found *tlsPolicy
	specific := false
	for _, p := range t.policies[types.NamespacedName{Namespace: service.Namespace, Name: service.Name}] {
		for _, target := range p.object.Spec.TargetRefs {
			if string(target.Name) != service.Name || target.Kind != "Service" || target.Group != "" {
				continue
			}
			own := target.SectionName != nil && string(*target.SectionName) == port
			if own && !specific || target.SectionName == nil && found == nil {
				found, specific = p, own
			}
		}
	}
	switch {
	case found == nil:
		return nil, nil
	case found.wire == nil:
		return nil, &fault{"InvalidBackendTLSPolicy", fmt.Sprintf("BackendTLSPolicy %s/%s is not valid", found.object.Namespace, found.object.Name)}
	}
	return found.wire, nil
}

// finishTLSPolicies tells the status of the policies, by the Gateways that use them.
func (t *translator) finishTLSPolicies() {
	for _, r := range t.routes {
		t.visit(r.targets, func(service types.NamespacedName) {
			for _, p := range t.policies[service] {
				for _, l := range r.attached {
					p.gateways[l.gateway] = true
				}
			}
		})
	}
	for _, object := range t.in.BackendTLSPolicies.All() {
		t.update(status.Update{
			Ref:     resources.Ref{Group: schema.GatewayGroup, Kind: "BackendTLSPolicy", Namespace: object.Namespace, Name: object.Name},
			Parents: t.policyParents(object),
		})
	}
}

func (t *translator) policyParents(object *gatewayv1.BackendTLSPolicy) []status.Parent {
	p := t.policyOf(object)
	if p == nil {
		return nil
	}
	conditions := []metav1.Condition{
		p.invalid.condition(string(gatewayv1.PolicyConditionAccepted), string(gatewayv1.PolicyReasonAccepted), "the policy is accepted", object.Generation),
		p.unresolved.condition(string(gatewayv1.BackendTLSPolicyConditionResolvedRefs), string(gatewayv1.BackendTLSPolicyReasonResolvedRefs), "all references are resolved", object.Generation),
	}
	var parents []status.Parent
	for _, g := range t.byAge() {
		if p.gateways[g] {
			parents = append(parents, status.Parent{Conditions: conditions, Ref: gatewayv1.ParentReference{
				Group: ptr.To(gatewayv1.Group(schema.GatewayGroup)), Kind: ptr.To(gatewayv1.Kind("Gateway")),
				Namespace: ptr.To(gatewayv1.Namespace(g.object.Namespace)), Name: gatewayv1.ObjectName(g.object.Name),
			}})
		}
	}
	return parents
}

func (t *translator) policyOf(object *gatewayv1.BackendTLSPolicy) *tlsPolicy {
	for _, target := range object.Spec.TargetRefs {
		for _, p := range t.policies[types.NamespacedName{Namespace: object.Namespace, Name: string(target.Name)}] {
			if p.object == object {
				return p
			}
		}
	}
	return nil
}
