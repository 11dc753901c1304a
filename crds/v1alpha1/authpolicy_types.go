package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// What a Secret with an API key says of its holder.
const (
	// AnnotationModels lists the models that the holder may use, with commas, each exact or with one "*". A Secret without it
	// allows all.
	AnnotationModels = GroupName + "/models"
	// MetadataPrefix begins the annotations and labels that describe the holder: gateway.nantian.dev/metadata.team is the
	// holder's "team". An annotation goes before a label of the same name.
	MetadataPrefix = GroupName + "/metadata."
)

// AuthPolicy says who may call what it targets: those who show an API key, or a token (JWT) of an issuer that is trusted. One
// way of proving who calls is enough for one policy.
//
// Of several AuthPolicies on the way of a request (Gateway, listener, route, rule) each must be satisfied, save that one that
// is overridable gives way to those of a narrower target. What is targeted by a policy that cannot be used answers 503.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels={"gateway.networking.k8s.io/policy=Inherited"}
// +kubebuilder:resource:shortName=authp,categories={gateway-api,nantian}
// +kubebuilder:printcolumn:name="Targets",type=string,JSONPath=`.spec.targetRefs[*].name`
// +kubebuilder:printcolumn:name="Issuers",type=string,JSONPath=`.spec.jwt[*].issuer`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AuthPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec AuthPolicySpec `json:"spec"`
	// Status is what became of the policy at each of its targets.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// AuthPolicyList is a list of AuthPolicies.
//
// +kubebuilder:object:root=true
type AuthPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AuthPolicy `json:"items"`
}

// AuthPolicySpec is the specification of an AuthPolicy.
//
// +kubebuilder:validation:XValidation:message="apiKeys or jwt is required",rule="has(self.apiKeys) || has(self.jwt)"
type AuthPolicySpec struct {
	// TargetRefs are the Gateways, HTTPRoutes and GRPCRoutes of the policy's namespace that it is for, or with sectionName one
	// listener or one rule of them.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="only a Gateway, an HTTPRoute or a GRPCRoute of gateway.networking.k8s.io can be targeted",rule="self.all(r, r.group == 'gateway.networking.k8s.io' && r.kind in ['Gateway', 'HTTPRoute', 'GRPCRoute'])"
	// +kubebuilder:validation:XValidation:message="a target is there twice",rule="self.all(a, self.exists_one(b, a.kind == b.kind && a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// APIKeys takes callers that show a key of a Secret.
	// +optional
	APIKeys *AuthAPIKeys `json:"apiKeys,omitempty"`

	// JWT takes callers that show a token of one of these issuers.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	JWT []AuthJWT `json:"jwt,omitempty"`

	// Overridable lets an AuthPolicy of a narrower target hold in place of this one. Otherwise both must be satisfied.
	// +optional
	Overridable bool `json:"overridable,omitempty"`
}

// AuthAPIKeys says where API keys are and how they are shown. A key is removed from the request before it is forwarded.
type AuthAPIKeys struct {
	// SecretSelector selects the Secrets of the policy's namespace that hold a key each, by their labels. The annotation
	// gateway.nantian.dev/models of a Secret lists the models that the holder of its key may use, with commas, each exact or
	// with one "*"; without it that is all. Annotations and labels gateway.nantian.dev/metadata.<name> say more of the holder.
	// +required
	// +kubebuilder:validation:XValidation:message="a label is required: an empty selector would select every Secret",rule="(has(self.matchLabels) && size(self.matchLabels) > 0) || (has(self.matchExpressions) && size(self.matchExpressions) > 0)"
	SecretSelector metav1.LabelSelector `json:"secretSelector"`

	// DataKey is the entry of a Secret's data that is the key: 16 to 512 characters of visible ASCII.
	// +optional
	// +kubebuilder:default=key
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	DataKey string `json:"dataKey,omitempty"`

	// Header is the one header that carries the key, after "Bearer " if that is there. Left out, it is Authorization after
	// "Bearer ", x-api-key, api-key or x-goog-api-key, as the clients of the vendors send it.
	// +optional
	Header gatewayv1.HTTPHeaderName `json:"header,omitempty"`
}

// AuthJWT says which tokens of one issuer are taken (RFC 7519). They are signed by a public-key algorithm: RS256 to PS512, ES256
// to ES512 or EdDSA. A token for a Service stays in the request.
type AuthJWT struct {
	// Issuer is the "iss" of the tokens, to the letter.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Issuer string `json:"issuer"`

	// Audiences are those of which a token must have one in "aud". Left out, tokens for anybody are taken.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audiences []string `json:"audiences,omitempty"`

	// JWKS are the issuer's public keys.
	// +required
	JWKS AuthJWKS `json:"jwks"`

	// Header is the one header that carries the token, after "Bearer " if that is there. Left out, it is Authorization after
	// "Bearer ".
	// +optional
	Header gatewayv1.HTTPHeaderName `json:"header,omitempty"`

	// ModelsClaim is the claim that lists the models that the caller may use, each exact or with one "*": a list, or one text
	// with spaces or commas between. A "." leads into an object. A token without the claim is refused with 403. Left out,
	// callers may use all models.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ModelsClaim string `json:"modelsClaim,omitempty"`
}

// AuthJWKS is a JSON Web Key Set (RFC 7517): where it is, or what it says.
//
// +kubebuilder:validation:XValidation:message="exactly one of url, inline, configMapRef and secretRef is required",rule="[has(self.url), has(self.inline), has(self.configMapRef), has(self.secretRef)].filter(x, x).size() == 1"
// +kubebuilder:validation:XValidation:message="cache, caCertificateRefs and allowHTTP are for url",rule="has(self.url) || !(has(self.cache) || has(self.caCertificateRefs) || has(self.allowHTTP))"
// +kubebuilder:validation:XValidation:message="url must begin with https:// unless allowHTTP is true",rule="!has(self.url) || self.url.startsWith('https://') || (has(self.allowHTTP) && self.allowHTTP)"
type AuthJWKS struct {
	// URL is where the data plane fetches the keys. Redirects are not followed.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^/?#@\s]+(/[^?#\s]*)?(\?[^#\s]*)?$`
	URL string `json:"url,omitempty"`

	// Cache is how long fetched keys are believed before they are fetched again, in the background: 5m if left out. Keys that
	// cannot be fetched again are used for an hour more.
	// +optional
	// +kubebuilder:validation:XValidation:message="cache is from 10s to 24h",rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')"
	Cache *gatewayv1.Duration `json:"cache,omitempty"`

	// CACertificateRefs are ConfigMaps of the policy's namespace whose ca.crt has the certificates that url's server is trusted
	// by. Left out, they are those of the machine.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// AllowHTTP allows a url with http://: whoever can change what is on the way to it can make tokens.
	// +optional
	AllowHTTP *bool `json:"allowHTTP,omitempty"`

	// Inline is the set itself, in JSON.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Inline string `json:"inline,omitempty"`

	// ConfigMapRef is an entry of a ConfigMap of the policy's namespace that has the set.
	// +optional
	ConfigMapRef *AuthJWKSRef `json:"configMapRef,omitempty"`

	// SecretRef is an entry of a Secret of the policy's namespace that has the set. A set has public keys alone.
	// +optional
	SecretRef *AuthJWKSRef `json:"secretRef,omitempty"`
}

// AuthJWKSRef names one entry of a ConfigMap or Secret.
type AuthJWKSRef struct {
	// Name is that of the ConfigMap or Secret.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Key is the entry.
	// +optional
	// +kubebuilder:default=jwks.json
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
