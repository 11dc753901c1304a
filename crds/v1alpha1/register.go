package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the kinds in this package.
const GroupName = "gateway.nantian.dev"

// The kinds of this package.
const (
	KindAIProvider        = "AIProvider"
	KindAIBackend         = "AIBackend"
	KindAuthPolicy        = "AuthPolicy"
	KindTokenPolicy       = "TokenPolicy"
	KindPromptGuardPolicy = "PromptGuardPolicy"
	KindGatewayConfig     = "GatewayConfig"
	KindBackendLBPolicy   = "BackendLBPolicy"
	KindRoutePolicy       = "RoutePolicy"
)

// GroupVersion is the group and version of the kinds in this package.
var GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme makes the kinds known to a scheme, as client-go and controller-runtime want it.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &AIProvider{}, &AIProviderList{}, &AIBackend{}, &AIBackendList{}, &AuthPolicy{}, &AuthPolicyList{})
	s.AddKnownTypes(GroupVersion, &TokenPolicy{}, &TokenPolicyList{}, &PromptGuardPolicy{}, &PromptGuardPolicyList{})
	s.AddKnownTypes(GroupVersion, &GatewayConfig{}, &GatewayConfigList{}, &BackendLBPolicy{}, &BackendLBPolicyList{})
	s.AddKnownTypes(GroupVersion, &RoutePolicy{}, &RoutePolicyList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
