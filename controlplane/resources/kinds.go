package resources

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// Kind is a kind of objects that the control plane reads.
type Kind struct {
	k8sschema.GroupKind
	// Version is the one whose types are used. All versions of a kind of the Gateway API are read into its v1: their CRDs
	// have no conversion, so the fields are the same.
	Version string
	// New returns an empty object.
	New func() Value
	// index is where a Set has the objects of the kind.
	index func(*Set) indexer
}

// GroupVersionKind is the kind with its version.
func (k Kind) GroupVersionKind() k8sschema.GroupVersionKind { return k.WithVersion(k.Version) }

// Namespaced says whether the objects live in a namespace.
func (k Kind) Namespaced() bool { return namespaced(k.GroupKind) }

// Defined says whether the kind comes with a CRD: it may be missing in a cluster, or come later.
func (k Kind) Defined() bool { return !foreign(k.Group) }

// kinds are all kinds that the control plane reads: this list and a field of Set are all that a new one needs here.
var kinds = append([]Kind{
	kind(corev1.GroupName, coreVersion, "Namespace", func(s *Set) *Index[*corev1.Namespace] { return &s.Namespaces }),
	kind(corev1.GroupName, coreVersion, "Service", func(s *Set) *Index[*corev1.Service] { return &s.Services }),
	kind(corev1.GroupName, coreVersion, "Secret", func(s *Set) *Index[*corev1.Secret] { return &s.Secrets }),
	kind(corev1.GroupName, coreVersion, "ConfigMap", func(s *Set) *Index[*corev1.ConfigMap] { return &s.ConfigMaps }),
	kind(discoveryv1.GroupName, coreVersion, "EndpointSlice", func(s *Set) *Index[*discoveryv1.EndpointSlice] { return &s.endpointSlices }),
	kind(schema.GatewayGroup, "v1", "GatewayClass", func(s *Set) *Index[*gatewayv1.GatewayClass] { return &s.GatewayClasses }),
	kind(schema.GatewayGroup, "v1", "Gateway", func(s *Set) *Index[*gatewayv1.Gateway] { return &s.Gateways }),
	kind(schema.GatewayGroup, "v1", "ListenerSet", func(s *Set) *Index[*gatewayv1.ListenerSet] { return &s.ListenerSets }),
	kind(schema.GatewayGroup, "v1", "HTTPRoute", func(s *Set) *Index[*gatewayv1.HTTPRoute] { return &s.HTTPRoutes }),
	kind(schema.GatewayGroup, "v1", "GRPCRoute", func(s *Set) *Index[*gatewayv1.GRPCRoute] { return &s.GRPCRoutes }),
	kind(schema.GatewayGroup, "v1", "TLSRoute", func(s *Set) *Index[*gatewayv1.TLSRoute] { return &s.TLSRoutes }),
	kind(schema.GatewayGroup, "v1", "TCPRoute", func(s *Set) *Index[*gatewayv1.TCPRoute] { return &s.TCPRoutes }),
	kind(schema.GatewayGroup, "v1", "UDPRoute", func(s *Set) *Index[*gatewayv1.UDPRoute] { return &s.UDPRoutes }),
	kind(schema.GatewayGroup, "v1", "ReferenceGrant", func(s *Set) *Index[*gatewayv1.ReferenceGrant] { return &s.ReferenceGrants }),
	kind(schema.GatewayGroup, "v1", "BackendTLSPolicy", func(s *Set) *Index[*gatewayv1.BackendTLSPolicy] { return &s.BackendTLSPolicies }),
}, ownKinds...)

// ownKinds are the kinds of package v1alpha1.
var ownKinds = []Kind{
	own(v1alpha1.KindAIProvider, func(s *Set) *Index[*v1alpha1.AIProvider] { return &s.AIProviders }),
	own(v1alpha1.KindAIBackend, func(s *Set) *Index[*v1alpha1.AIBackend] { return &s.AIBackends }),
	own(v1alpha1.KindAuthPolicy, func(s *Set) *Index[*v1alpha1.AuthPolicy] { return &s.AuthPolicies }),
	own(v1alpha1.KindTokenPolicy, func(s *Set) *Index[*v1alpha1.TokenPolicy] { return &s.TokenPolicies }),
	own(v1alpha1.KindPromptGuardPolicy, func(s *Set) *Index[*v1alpha1.PromptGuardPolicy] { return &s.PromptGuardPolicies }),
	own(v1alpha1.KindGatewayConfig, func(s *Set) *Index[*v1alpha1.GatewayConfig] { return &s.GatewayConfigs }),
	own(v1alpha1.KindRoutePolicy, func(s *Set) *Index[*v1alpha1.RoutePolicy] { return &s.RoutePolicies }),
	own(v1alpha1.KindBackendLBPolicy, func(s *Set) *Index[*v1alpha1.BackendLBPolicy] { return &s.BackendLBPolicies }),
}

// Kinds lists the kinds that the control plane reads. The caller must not change the list.
func Kinds() []Kind { return kinds }

// object is a pointer to T that is a Value.
type object[T any] interface {
	*T
	Value
}

func kind[T any, P object[T]](group, version, name string, at func(*Set) *Index[P]) Kind {
	return Kind{
		GroupKind: k8sschema.GroupKind{Group: group, Kind: name}, Version: version,
		New:   func() Value { return P(new(T)) },
		index: func(s *Set) indexer { return at(s) },
	}
}

func own[T any, P object[T]](name string, at func(*Set) *Index[P]) Kind {
	return kind(v1alpha1.GroupName, v1alpha1.GroupVersion.Version, name, at)
}

// kindOf finds a kind; false: the control plane does not read it.
func kindOf(gk k8sschema.GroupKind) (Kind, bool) {
	for _, k := range kinds {
		if k.GroupKind == gk {
			return k, true
		}
	}
	return Kind{}, false
}

// newValue returns an empty object of the kind, or nil when the control plane does not read it.
func newValue(gk k8sschema.GroupKind) Value {
	if k, ok := kindOf(gk); ok {
		return k.New()
	}
	return nil
}

// namespaced says whether objects of the kind live in a namespace.
func namespaced(gk k8sschema.GroupKind) bool {
	return gk.Kind != "GatewayClass" && gk.Kind != "Namespace"
}

// coreVersion is the version of the kinds that Kubernetes itself has.
const coreVersion = "v1"

// foreign says whether a group is neither ours nor the Gateway API's: an unknown kind of it is no mistake.
func foreign(group string) bool { return group != schema.GatewayGroup && group != v1alpha1.GroupName }
