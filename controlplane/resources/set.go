package resources

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// Set is an immutable view of all objects that the control plane reads. Its indexes are in order of namespace and name, so
// that whatever is made from a Set comes out in the same order. Safe for concurrent use.
type Set struct {
	GatewayClasses     Index[*gatewayv1.GatewayClass]
	Gateways           Index[*gatewayv1.Gateway]
	HTTPRoutes         Index[*gatewayv1.HTTPRoute]
	GRPCRoutes         Index[*gatewayv1.GRPCRoute]
	TLSRoutes          Index[*gatewayv1.TLSRoute]
	TCPRoutes          Index[*gatewayv1.TCPRoute]
	UDPRoutes          Index[*gatewayv1.UDPRoute]
	ReferenceGrants    Index[*gatewayv1.ReferenceGrant]
	BackendTLSPolicies Index[*gatewayv1.BackendTLSPolicy]
	Services           Index[*corev1.Service]
	Secrets            Index[*corev1.Secret]
	ConfigMaps         Index[*corev1.ConfigMap]
	Namespaces         Index[*corev1.Namespace]
	EndpointSlices     Index[*discoveryv1.EndpointSlice]
	AIProviders        Index[*v1alpha1.AIProvider]
	AIBackends         Index[*v1alpha1.AIBackend]

	problems []Problem
	origins  map[Ref]Origin
	slices   map[types.NamespacedName][]*discoveryv1.EndpointSlice
	grants   map[string][]*gatewayv1.ReferenceGrant
}

// Index has the objects of one kind.
type Index[T metav1.Object] struct {
	list []T
	at   map[types.NamespacedName]T
}

// All lists the objects in order of namespace and name. The caller must not change the list.
func (x *Index[T]) All() []T { return x.list }

// Get finds one object; namespace is empty for kinds that have none.
func (x *Index[T]) Get(namespace, name string) (T, bool) {
	v, ok := x.at[types.NamespacedName{Namespace: namespace, Name: name}]
	return v, ok
}

func (x *Index[T]) add(v T) { x.list = append(x.list, v) }

// seal sorts the index and makes it ready for Get.
func (x *Index[T]) seal() {
	slices.SortFunc(x.list, func(a, b T) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	x.at = make(map[types.NamespacedName]T, len(x.list))
	for _, v := range x.list {
		x.at[types.NamespacedName{Namespace: v.GetNamespace(), Name: v.GetName()}] = v
	}
}

// NewSet indexes objects. An object that is there twice is used once, the first time that it occurs; each further one is a
// Problem. problems are those of the reading.
func NewSet(objects []Object, problems []Problem) *Set {
	s := &Set{origins: make(map[Ref]Origin, len(objects)), problems: slices.Clone(problems)}
	for _, o := range objects {
		if first, twice := s.origins[o.Ref]; twice {
			s.problems = append(s.problems, Problem{
				Origin: o.Origin, Ref: o.Ref, Message: fmt.Sprintf("is defined already at %s, which is used", first),
			})
			continue
		}
		s.origins[o.Ref] = o.Origin
		s.add(o.Value)
	}
	s.seal()
	return s
}

// Problems lists what was wrong with the input.
func (s *Set) Problems() []Problem { return s.problems }

// Origin is where the object was read.
func (s *Set) Origin(r Ref) Origin { return s.origins[r] }

// Slices lists the EndpointSlices of a Service in order of their names.
func (s *Set) Slices(namespace, service string) []*discoveryv1.EndpointSlice {
	return s.slices[types.NamespacedName{Namespace: namespace, Name: service}]
}

// Grants lists the ReferenceGrants of a namespace.
func (s *Set) Grants(namespace string) []*gatewayv1.ReferenceGrant { return s.grants[namespace] }

// NamespaceLabels are the labels of a namespace. Every namespace has its name as a label, as in a cluster, also one that
// no object describes.
func (s *Set) NamespaceLabels(name string) map[string]string {
	labels := map[string]string{corev1.LabelMetadataName: name}
	if ns, ok := s.Namespaces.Get("", name); ok {
		for k, v := range ns.Labels {
			labels[k] = v
		}
	}
	return labels
}

func (s *Set) add(v Value) {
	switch v := v.(type) {
	case *gatewayv1.GatewayClass:
		s.GatewayClasses.add(v)
	case *gatewayv1.Gateway:
		s.Gateways.add(v)
	case *gatewayv1.HTTPRoute:
		s.HTTPRoutes.add(v)
	case *gatewayv1.GRPCRoute:
		s.GRPCRoutes.add(v)
	case *gatewayv1.TLSRoute:
		s.TLSRoutes.add(v)
	case *gatewayv1.TCPRoute:
		s.TCPRoutes.add(v)
	case *gatewayv1.UDPRoute:
		s.UDPRoutes.add(v)
	case *gatewayv1.ReferenceGrant:
		s.ReferenceGrants.add(v)
	case *gatewayv1.BackendTLSPolicy:
		s.BackendTLSPolicies.add(v)
	default:
		s.addOther(v)
	}
}

// addOther is add for the kinds outside the Gateway API.
func (s *Set) addOther(v Value) {
	switch v := v.(type) {
	case *corev1.Service:
		s.Services.add(v)
	case *corev1.Secret:
		s.Secrets.add(v)
	case *corev1.ConfigMap:
		s.ConfigMaps.add(v)
	case *corev1.Namespace:
		s.Namespaces.add(v)
	case *discoveryv1.EndpointSlice:
		s.EndpointSlices.add(v)
	case *v1alpha1.AIProvider:
		s.AIProviders.add(v)
	case *v1alpha1.AIBackend:
		s.AIBackends.add(v)
	}
}

func (s *Set) seal() {
	for _, x := range []interface{ seal() }{
		&s.GatewayClasses, &s.Gateways, &s.HTTPRoutes, &s.GRPCRoutes, &s.TLSRoutes, &s.TCPRoutes, &s.UDPRoutes,
		&s.ReferenceGrants, &s.BackendTLSPolicies, &s.Services, &s.Secrets, &s.ConfigMaps, &s.Namespaces,
		&s.EndpointSlices, &s.AIProviders, &s.AIBackends,
	} {
		x.seal()
	}
	s.slices = map[types.NamespacedName][]*discoveryv1.EndpointSlice{}
	for _, e := range s.EndpointSlices.All() {
		service := types.NamespacedName{Namespace: e.Namespace, Name: e.Labels[discoveryv1.LabelServiceName]}
		s.slices[service] = append(s.slices[service], e)
	}
	s.grants = map[string][]*gatewayv1.ReferenceGrant{}
	for _, g := range s.ReferenceGrants.All() {
		s.grants[g.Namespace] = append(s.grants[g.Namespace], g)
	}
}
