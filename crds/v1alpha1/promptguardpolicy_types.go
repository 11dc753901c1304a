package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// PromptGuardPolicy says what may be said to models and by them. Of the policies on the way of a request (Gateway, listener,
// HTTPRoute, rule, AIBackend, AIProvider) all rules hold: one further down adds to those above and takes nothing away. The
// rules of a policy on an AIProvider look at the text of each attempt at that provider.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=pgp,categories={gateway-api,nantian}
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Rules",type=string,JSONPath=`.spec.rules[*].name`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type PromptGuardPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec PromptGuardPolicySpec `json:"spec"`
	// Status says of each target what became of the policy there. Its conditions are Accepted (the policy is in force there)
	// and ResolvedRefs (the Secrets that it names exist).
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// PromptGuardPolicyList is a list of PromptGuardPolicies.
//
// +kubebuilder:object:root=true
type PromptGuardPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PromptGuardPolicy `json:"items"`
}

// PromptGuardPolicySpec is the specification of a PromptGuardPolicy.
type PromptGuardPolicySpec struct {
	// TargetRefs are what the policy applies to: a Gateway, or one of its listeners by sectionName; an HTTPRoute, or one of
	// its rules; an AIBackend; an AIProvider. They are in the policy's own namespace.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="targets are of the kind Gateway or HTTPRoute of group gateway.networking.k8s.io, or AIBackend or AIProvider of group gateway.nantian.dev",rule="self.all(t, t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'HTTPRoute'] || t.group == 'gateway.nantian.dev' && t.kind in ['AIBackend', 'AIProvider'])"
	// +kubebuilder:validation:XValidation:message="an AIBackend and an AIProvider have no sections",rule="self.all(t, !has(t.sectionName) || t.kind in ['Gateway', 'HTTPRoute'])"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Mode is Enforce, or Monitor: findings are counted in metrics and the access log, and nothing is changed or refused.
	// +optional
	// +kubebuilder:default=Enforce
	Mode GuardMode `json:"mode,omitempty"`

	// Rules are what to look for and what to do about it.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Rules []GuardRule `json:"rules"`
}

// GuardMode says whether findings have consequences.
//
// +kubebuilder:validation:Enum=Enforce;Monitor
type GuardMode string

// The values of GuardMode.
const (
	GuardEnforce GuardMode = "Enforce"
	GuardMonitor GuardMode = "Monitor"
)

// GuardRule finds by any of its ways and does one thing with what it finds.
//
// +kubebuilder:validation:XValidation:message="a rule looks for something: set builtin, patterns, keywords, topics or webhook",rule="has(self.builtin) || has(self.patterns) || has(self.keywords) || has(self.topics) || has(self.webhook)"
// +kubebuilder:validation:XValidation:message="a webhook has a rule of its own",rule="!has(self.webhook) || !(has(self.builtin) || has(self.patterns) || has(self.keywords) || has(self.topics))"
// +kubebuilder:validation:XValidation:message="restore is for the action Mask in requests",rule="!has(self.restore) || !self.restore || (self.action == 'Mask' && 'Request' in self.scan && !has(self.webhook))"
// +kubebuilder:validation:XValidation:message="threshold is for the built-in PromptInjection and Jailbreak",rule="!has(self.threshold) || (has(self.builtin) && self.builtin.exists(b, b in ['PromptInjection', 'Jailbreak']))"
// +kubebuilder:validation:XValidation:message="maxLength is for patterns",rule="!has(self.maxLength) || has(self.patterns)"
// +kubebuilder:validation:XValidation:message="regions is for the built-in PhoneNumber",rule="!has(self.regions) || (has(self.builtin) && 'PhoneNumber' in self.builtin)"
// +kubebuilder:validation:XValidation:message="hashKey is for the action Hash",rule="!has(self.hashKey) || self.action == 'Hash'"
// +kubebuilder:validation:XValidation:message="the actions of an OpenAIModeration webhook are Block and Audit: it names no places",rule="!has(self.webhook) || self.webhook.kind != 'OpenAIModeration' || self.action in ['Block', 'Audit']"
type GuardRule struct {
	// Name is what logs, metrics and the answer to a blocked request call the rule.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Scan says where the rule looks: in requests (system prompts, messages, definitions of tools, their arguments and
	// results, texts to embed), in responses (text, reasoning, arguments of tools), or both.
	// +optional
	// +listType=set
	// +kubebuilder:default={Request,Response}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Scan []GuardScan `json:"scan,omitempty"`

	// Builtin are detectors that come with the gateway.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Builtin []GuardDetector `json:"builtin,omitempty"`

	// Patterns are regular expressions in RE2's syntax. None may match an empty text, or need more than 8 KiB.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Patterns []string `json:"patterns,omitempty"`

	// MaxLength is the longest match in bytes of patterns that have no greatest length of their own, as "a+": a longer one
	// is cut to it. Left out, it is 256.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=8192
	MaxLength int32 `json:"maxLength,omitempty"`

	// Keywords are words, or several with spaces between, that are found whole and in any case of their letters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Keywords []string `json:"keywords,omitempty"`

	// Topics are what must not be talked about, told by phrases.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Topics []GuardTopic `json:"topics,omitempty"`

	// Webhook asks a service. What the other rules mask it does not see.
	// +optional
	Webhook *GuardWebhook `json:"webhook,omitempty"`

	// Action is what is done about what is found. Block refuses: 400 with the rule's name, or in a stream an error that ends it.
	// Mask puts a placeholder in its place, as [EMAIL_1]; Hash a keyed hash, by which equal values can be told; Audit
	// changes nothing. Findings of all actions are counted. A webhook of the kind Check says itself what is to be done.
	// +optional
	// +kubebuilder:default=Block
	Action GuardAction `json:"action,omitempty"`

	// Restore puts what was masked in the request back where its placeholder stands in the answer.
	// +optional
	Restore bool `json:"restore,omitempty"`

	// Threshold is the score from which PromptInjection and Jailbreak find something. Left out, it is 10: lower finds more,
	// and more that is harmless.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Threshold int32 `json:"threshold,omitempty"`

	// Regions are the countries (ISO 3166, as DE) whose national way to write phone numbers is known, beside the
	// international one. Left out, it is US.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Pattern=`^[A-Z]{2}$`
	Regions []string `json:"regions,omitempty"`

	// HashKey is the key of the action Hash. Left out, it is one that each data plane draws when it starts: hashes are then
	// equal within one process and its life alone.
	// +optional
	HashKey *GuardSecret `json:"hashKey,omitempty"`
}

// GuardScan is where a rule looks.
//
// +kubebuilder:validation:Enum=Request;Response
type GuardScan string

// The values of GuardScan.
const (
	ScanRequest  GuardScan = "Request"
	ScanResponse GuardScan = "Response"
)

// GuardDetector is the name of a built-in detector.
//
// +kubebuilder:validation:Enum=Email;PhoneNumber;CreditCard;IBAN;SSN;IPAddress;MACAddress;URLPassword;NationalID;CryptoWallet;Secrets;PromptInjection;Jailbreak
type GuardDetector string

// GuardAction is what is done about a finding.
//
// +kubebuilder:validation:Enum=Block;Mask;Hash;Audit
type GuardAction string

// The values of GuardAction.
const (
	GuardBlock GuardAction = "Block"
	GuardMask  GuardAction = "Mask"
	GuardHash  GuardAction = "Hash"
	GuardAudit GuardAction = "Audit"
)

// GuardTopic is what must not be talked about.
type GuardTopic struct {
	// Name is what findings call the topic.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Phrases are words, or several with spaces between, any of which speaks for the topic.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	Phrases []string `json:"phrases"`
}

// GuardWebhook is a service that judges texts.
type GuardWebhook struct {
	// Kind is the form of the questions: Check is the contract of this project, OpenAIModeration that of OpenAI's
	// POST /v1/moderations.
	// +optional
	// +kubebuilder:default=Check
	Kind GuardWebhookKind `json:"kind,omitempty"`

	// URL is where the questions go, as http://guard.ai.svc/v1/check. It is resolved when it is dialled.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s/?#@]+(/[^\s?#]*)?$`
	URL string `json:"url"`

	// Model is the model that an OpenAIModeration is asked for. Left out, it is omni-moderation-latest.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Model string `json:"model,omitempty"`

	// Timeout bounds one question, with the wait for its turn. Left out, it is 1s.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`

	// FailureMode says what becomes of a text that the service did not judge: Closed refuses it with 503, Open lets it pass.
	// +optional
	// +kubebuilder:default=Closed
	FailureMode GuardFailureMode `json:"failureMode,omitempty"`

	// MaxConcurrent is how many questions are asked at once. Left out, it is 64.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1024
	MaxConcurrent int32 `json:"maxConcurrent,omitempty"`

	// APIKey is sent as "Authorization: Bearer".
	// +optional
	APIKey *GuardSecret `json:"apiKey,omitempty"`
}

// GuardWebhookKind is the form of the questions to a webhook.
//
// +kubebuilder:validation:Enum=Check;OpenAIModeration
type GuardWebhookKind string

// The values of GuardWebhookKind.
const (
	WebhookCheck            GuardWebhookKind = "Check"
	WebhookOpenAIModeration GuardWebhookKind = "OpenAIModeration"
)

// GuardFailureMode says what becomes of a text that could not be judged.
//
// +kubebuilder:validation:Enum=Closed;Open
type GuardFailureMode string

// The values of GuardFailureMode.
const (
	GuardClosed GuardFailureMode = "Closed"
	GuardOpen   GuardFailureMode = "Open"
)

// GuardSecret is a value from a Secret.
type GuardSecret struct {
	// SecretRef is the Secret that holds the value, in the policy's own namespace.
	// +required
	SecretRef GuardSecretRef `json:"secretRef"`
}

// GuardSecretRef names one key of a Secret's data.
type GuardSecretRef struct {
	// Name is the Secret's name.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Key is the key in the Secret's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key"`
}
