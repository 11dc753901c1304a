package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// AIProvider says where models live and how to reach them: the protocol that is spoken there, the address, the credentials
// and what the models are. A route names it in backendRefs, directly or through an AIBackend.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=aip,categories={gateway-api,nantian}
// +kubebuilder:printcolumn:name="Schema",type=string,JSONPath=`.spec.schema`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Resolved",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AIProvider struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec AIProviderSpec `json:"spec"`
	// Status is what the gateway makes of it.
	// +optional
	Status AIProviderStatus `json:"status,omitempty"`
}

// AIProviderList is a list of AIProviders.
//
// +kubebuilder:object:root=true
type AIProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AIProvider `json:"items"`
}

// Schema is the protocol that a provider speaks.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9]*$`
type Schema string

// The schemas that this version speaks. Another name is an AIProvider that is not accepted, with reason UnsupportedSchema.
const (
	// SchemaOpenAI is OpenAI's chat completions API, which most self-hosted servers speak as well.
	SchemaOpenAI Schema = "OpenAI"
	// SchemaAzureOpenAI is OpenAI's API as Azure serves it.
	SchemaAzureOpenAI Schema = "AzureOpenAI"
	// SchemaAnthropic is Anthropic's messages API.
	SchemaAnthropic Schema = "Anthropic"
	// SchemaGemini is Google's Gemini API.
	SchemaGemini Schema = "Gemini"
	// SchemaOllama is Ollama's own API.
	SchemaOllama Schema = "Ollama"
)

// AIProviderSpec is the specification of an AIProvider.
//
// +kubebuilder:validation:XValidation:message="azure is for the schema AzureOpenAI",rule="!has(self.azure) || self.schema == 'AzureOpenAI'"
// +kubebuilder:validation:XValidation:message="endpoint is required: this schema has no public endpoint",rule="has(self.endpoint) || !(self.schema in ['AzureOpenAI', 'Ollama'])"
type AIProviderSpec struct {
	// Schema is the protocol that the provider speaks: OpenAI, AzureOpenAI, Anthropic, Gemini or Ollama.
	// +required
	Schema Schema `json:"schema"`

	// Endpoint is where the provider is. Left out, it is the vendor's public one. AzureOpenAI and Ollama have none.
	// +optional
	Endpoint *AIEndpoint `json:"endpoint,omitempty"`

	// Auth is how the gateway identifies itself to the provider. Left out, no credentials are sent. The client's own
	// credentials never reach the provider, unless passthrough is set.
	// +optional
	Auth *AIAuth `json:"auth,omitempty"`

	// Timeouts bound one attempt at the provider.
	// +optional
	Timeouts *AITimeouts `json:"timeouts,omitempty"`

	// KeepAlive keeps a stream's client connected while the model thinks.
	// +optional
	KeepAlive *AIKeepAlive `json:"keepAlive,omitempty"`

	// Models are the models of the provider: what a list of models shows, and what they cost.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Models []AIProviderModel `json:"models,omitempty"`

	// DefaultModel is the model that is asked for when the client names none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	DefaultModel string `json:"defaultModel,omitempty"`

	// OnUnsupported says what becomes of a parameter of a request that this provider cannot honour: Reject answers 400 and
	// names the parameter, Drop leaves it out and lists it in a response header.
	// +optional
	// +kubebuilder:default=Reject
	OnUnsupported OnUnsupported `json:"onUnsupported,omitempty"`

	// Azure has what only the schema AzureOpenAI needs.
	// +optional
	Azure *AzureOpenAI `json:"azure,omitempty"`

	// Headers are sent with every call, for example OpenAI-Organization. A value here is not secret: use auth for keys.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []gatewayv1.HTTPHeader `json:"headers,omitempty"`
}

// AIEndpoint is where a provider is.
//
// +kubebuilder:validation:XValidation:message="exactly one of url and backendRef is required",rule="has(self.url) != has(self.backendRef)"
type AIEndpoint struct {
	// URL is the base to which the paths of the schema are appended. It is what the vendor's own libraries call the base URL:
	// https://api.openai.com/v1, https://api.anthropic.com, https://generativelanguage.googleapis.com,
	// https://NAME.openai.azure.com, http://ollama:11434. It is resolved when it is dialled.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s/?#@]+(/[^\s?#]*)?$`
	URL string `json:"url,omitempty"`

	// BackendRef is a Service that serves the models.
	// +optional
	BackendRef *AIBackendRef `json:"backendRef,omitempty"`
}

// AIBackendRef names one port of a Service.
type AIBackendRef struct {
	// Group is the API group of the kind; empty for a Service.
	// +optional
	// +kubebuilder:default=""
	Group gatewayv1.Group `json:"group,omitempty"`

	// Kind is Service.
	// +optional
	// +kubebuilder:default=Service
	Kind gatewayv1.Kind `json:"kind,omitempty"`

	// Name is the Service's name.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Namespace is the Service's, where it is not the AIProvider's own; a ReferenceGrant there has to allow it.
	// +optional
	Namespace *gatewayv1.Namespace `json:"namespace,omitempty"`

	// Port is the Service's port.
	// +required
	Port gatewayv1.PortNumber `json:"port"`

	// Path is put before the paths of the schema.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/[^\s?#]*$`
	Path string `json:"path,omitempty"`
}

// AIAuth is how the gateway identifies itself to a provider.
//
// +kubebuilder:validation:XValidation:message="exactly one of apiKey and passthrough is required",rule="has(self.apiKey) != has(self.passthrough)"
type AIAuth struct {
	// APIKey sends a key from a Secret, in the header that the schema has for it.
	// +optional
	APIKey *AIAPIKey `json:"apiKey,omitempty"`

	// Passthrough forwards the client's own credentials as they came.
	// +optional
	Passthrough *AIPassthrough `json:"passthrough,omitempty"`
}

// AIAPIKey is a key from a Secret.
//
// +kubebuilder:validation:XValidation:message="prefix needs header",rule="!has(self.prefix) || has(self.header)"
type AIAPIKey struct {
	// SecretRef is the Secret that holds the key.
	// +required
	SecretRef AISecretRef `json:"secretRef"`

	// Header is the header that carries the key. Left out, it is the schema's: Authorization with "Bearer " for OpenAI,
	// api-key for AzureOpenAI, x-api-key for Anthropic, x-goog-api-key for Gemini.
	// +optional
	Header gatewayv1.HTTPHeaderName `json:"header,omitempty"`

	// Prefix is put before the key in the header, for example "Bearer ".
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Prefix string `json:"prefix,omitempty"`
}

// AISecretRef names one key of a Secret's data.
type AISecretRef struct {
	// Name is the Secret's name.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Namespace is the Secret's, where it is not the AIProvider's own; a ReferenceGrant there has to allow it.
	// +optional
	Namespace *gatewayv1.Namespace `json:"namespace,omitempty"`

	// Key is the key in the Secret's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`

	// Optional says that the key may be missing or empty. The AIProvider then takes no traffic: targets that name it are
	// left out, and its models are not listed. Left out, a missing key is an unresolved reference.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// AIPassthrough has no settings yet.
type AIPassthrough struct{}

// AITimeouts bound one attempt at a provider. Zero, like one that is left out, means the default.
type AITimeouts struct {
	// Connect bounds the connection, TLS included. Left out, it is 5s.
	// +optional
	Connect *gatewayv1.Duration `json:"connect,omitempty"`

	// FirstByte is the time from the end of the request to the first event with content: how long a model may think.
	// Left out, it is 10m.
	// +optional
	FirstByte *gatewayv1.Duration `json:"firstByte,omitempty"`

	// Idle is the longest silence between two reads of a response. Left out, it is 5m.
	// +optional
	Idle *gatewayv1.Duration `json:"idle,omitempty"`
}

// AIKeepAlive keeps a stream's client connected.
type AIKeepAlive struct {
	// After is the silence after which a stream's client is sent a keep-alive. Left out, it is 15s.
	// +optional
	After *gatewayv1.Duration `json:"after,omitempty"`
}

// OnUnsupported says what becomes of a parameter that a provider cannot honour.
//
// +kubebuilder:validation:Enum=Reject;Drop
type OnUnsupported string

// The values of OnUnsupported.
const (
	UnsupportedReject OnUnsupported = "Reject"
	UnsupportedDrop   OnUnsupported = "Drop"
)

// AIProviderModel is one model of a provider.
type AIProviderModel struct {
	// Name is the provider's name of the model.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// ContextWindow is the most tokens of input and output together.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ContextWindow int32 `json:"contextWindow,omitempty"`

	// MaxOutputTokens is the most tokens of an answer.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxOutputTokens int32 `json:"maxOutputTokens,omitempty"`

	// Price is what the model costs.
	// +optional
	Price *AIPrice `json:"price,omitempty"`
}

// AIPrice is what a million tokens cost, in US dollars.
type AIPrice struct {
	// Input is the price of a million tokens of input.
	// +optional
	Input Decimal `json:"input,omitempty"`

	// CachedInput is the price of a million tokens of input that the provider had in its cache. Left out, it is input's.
	// +optional
	CachedInput Decimal `json:"cachedInput,omitempty"`

	// CacheWrite is the price of a million tokens that are written to the provider's cache. Left out, it is input's.
	// +optional
	CacheWrite Decimal `json:"cacheWrite,omitempty"`

	// Output is the price of a million tokens of output, reasoning included.
	// +optional
	Output Decimal `json:"output,omitempty"`
}

// Decimal is a decimal number in text, for example "0.30": up to nine digits before and after the point.
//
// +kubebuilder:validation:MaxLength=19
// +kubebuilder:validation:Pattern=`^[0-9]{1,9}(\.[0-9]{1,9})?$`
type Decimal string

// AzureOpenAI has what only the schema AzureOpenAI needs.
type AzureOpenAI struct {
	// APIVersion is the api-version query parameter. Left out, Azure's v1 API is called, which has none.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[-A-Za-z0-9.]+$`
	APIVersion string `json:"apiVersion,omitempty"`
}

// AIProviderStatus is what the gateway makes of an AIProvider.
type AIProviderStatus struct {
	// Conditions are Accepted (the specification can be used) and ResolvedRefs (the Secret and Service that it names exist
	// and may be used).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
