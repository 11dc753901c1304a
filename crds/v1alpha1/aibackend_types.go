package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// AIBackend says which models clients may ask for, and where each of them leads. A route names it in backendRefs.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=aib,categories={gateway-api,nantian}
// +kubebuilder:printcolumn:name="Models",type=string,JSONPath=`.spec.models[*].name`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Resolved",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AIBackend struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec AIBackendSpec `json:"spec"`
	// Status is what the gateway makes of it.
	// +optional
	Status AIBackendStatus `json:"status,omitempty"`
}

// AIBackendList is a list of AIBackends.
//
// +kubebuilder:object:root=true
type AIBackendList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AIBackend `json:"items"`
}

// AIBackendSpec is the specification of an AIBackend.
type AIBackendSpec struct {
	// Models are the names that clients may put in "model". The exact name wins over one with "*", and of those the one with
	// the longest text around it.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	Models []AIModel `json:"models"`
}

// AIModel is one name that clients may ask for.
//
// +kubebuilder:validation:XValidation:message="a target's model has a * only where the name has one",rule="self.name.contains('*') || self.targets.all(t, !has(t.model) || !t.model.contains('*'))"
type AIModel struct {
	// Name is what a client puts in "model": exact, or with one "*" that stands for any text.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^*]*\*?[^*]*$`
	Name string `json:"name"`

	// Targets are the models that may answer.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Targets []AITarget `json:"targets"`

	// Fallback says which failures of a target lead to another one.
	// +optional
	// +kubebuilder:default={}
	Fallback *AIFallback `json:"fallback,omitempty"`
}

// AITarget is one model of one provider.
type AITarget struct {
	// ProviderRef is the AIProvider.
	// +required
	ProviderRef AIProviderRef `json:"providerRef"`

	// Model is the provider's name of the model. A "*" stands for what the "*" of the name matched. Left out, it is the name
	// that the client gave.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^*]*\*?[^*]*$`
	Model string `json:"model,omitempty"`

	// Weight is the share among the targets of the same priority. Zero takes no traffic.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight *int32 `json:"weight,omitempty"`

	// Priority orders targets: those of 0 are tried first, those of 1 only when all of 0 failed, and so on.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=15
	Priority int32 `json:"priority,omitempty"`
}

// AIProviderRef names an AIProvider.
type AIProviderRef struct {
	// Name is the AIProvider's name.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Namespace is the AIProvider's, where it is not the AIBackend's own; a ReferenceGrant there has to allow it.
	// +optional
	Namespace *gatewayv1.Namespace `json:"namespace,omitempty"`
}

// AIFallback says which failures of a target lead to another one, and how often.
type AIFallback struct {
	// When lists the failures: RateLimited (429), ServerError (5xx), Timeout, ConnectFailure, AuthError (401 and 403: the
	// provider refuses the gateway's key), ModelNotFound (404).
	// +optional
	// +listType=set
	// +kubebuilder:default={RateLimited,ServerError,Timeout,ConnectFailure}
	// +kubebuilder:validation:MaxItems=6
	When []FallbackWhen `json:"when,omitempty"`

	// MaxAttempts is the most attempts of a request in all. Left out, every target may be tried once.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	MaxAttempts int32 `json:"maxAttempts,omitempty"`
}

// FallbackWhen is one kind of failure.
//
// +kubebuilder:validation:Enum=RateLimited;ServerError;Timeout;ConnectFailure;AuthError;ModelNotFound
type FallbackWhen string

// The failures that may lead to another target.
const (
	WhenRateLimited    FallbackWhen = "RateLimited"
	WhenServerError    FallbackWhen = "ServerError"
	WhenTimeout        FallbackWhen = "Timeout"
	WhenConnectFailure FallbackWhen = "ConnectFailure"
	WhenAuthError      FallbackWhen = "AuthError"
	WhenModelNotFound  FallbackWhen = "ModelNotFound"
)

// AIBackendStatus is what the gateway makes of an AIBackend.
type AIBackendStatus struct {
	// Conditions are Accepted (the specification can be used) and ResolvedRefs (the AIProviders that it names exist and may
	// be used).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
