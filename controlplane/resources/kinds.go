package resources

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/schema"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// newValue returns an empty object of the kind, or nil when the control plane does not read it. All versions of a kind of
// the Gateway API are read into its v1: their CRDs have no conversion, so the fields are the same.
func newValue(gk k8sschema.GroupKind) Value {
	switch gk.Group {
	case schema.GatewayGroup:
		return newGatewayValue(gk.Kind)
	case v1alpha1.GroupName:
		return newOwnValue(gk.Kind)
	case corev1.GroupName:
		return newCoreValue(gk.Kind)
	case discoveryv1.GroupName:
		if gk.Kind == "EndpointSlice" {
			return &discoveryv1.EndpointSlice{}
		}
	}
	return nil
}

func newGatewayValue(kind string) Value {
	switch kind {
	case "GatewayClass":
		return &gatewayv1.GatewayClass{}
	case "Gateway":
		return &gatewayv1.Gateway{}
	case "HTTPRoute":
		return &gatewayv1.HTTPRoute{}
	case "GRPCRoute":
		return &gatewayv1.GRPCRoute{}
	case "TLSRoute":
		return &gatewayv1.TLSRoute{}
	case "TCPRoute":
		return &gatewayv1.TCPRoute{}
	case "UDPRoute":
		return &gatewayv1.UDPRoute{}
	case "ReferenceGrant":
		return &gatewayv1.ReferenceGrant{}
	case "BackendTLSPolicy":
		return &gatewayv1.BackendTLSPolicy{}
	}
	return nil
}

func newOwnValue(kind string) Value {
	switch kind {
	case v1alpha1.KindAIProvider:
		return &v1alpha1.AIProvider{}
	case v1alpha1.KindAIBackend:
		return &v1alpha1.AIBackend{}
	}
	return nil
}

func newCoreValue(kind string) Value {
	switch kind {
	case "Service":
		return &corev1.Service{}
	case "Secret":
		return &corev1.Secret{}
	case "ConfigMap":
		return &corev1.ConfigMap{}
	case "Namespace":
		return &corev1.Namespace{}
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
