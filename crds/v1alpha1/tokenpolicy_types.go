package v1alpha1

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// TokenPolicy says how much of models may be used, by whom: requests, tokens or money within a window. Before a call the
// estimate of what it will use is reserved in every bucket that applies, all or none; after it the truth is settled. The
// buckets are shared by all replicas where the gateway has a Redis.
//
// Policies compose by conjunction: all that are on the way of a request (Gateway, listener, HTTPRoute, rule, AIBackend,
// AIProvider) hold, and none loosens another. Those on an AIProvider are charged for each attempt there; one that is used up
// makes the provider's models unfit, as if it had answered 429.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:shortName=tokp,categories={gateway-api,nantian}
// +kubebuilder:printcolumn:name="Limits",type=string,JSONPath=`.spec.limits[*].name`
// +kubebuilder:printcolumn:name="OnLimit",type=string,JSONPath=`.spec.onLimit`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type TokenPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec TokenPolicySpec `json:"spec"`
	// Status is what the gateway makes of it.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// TokenPolicyList is a list of TokenPolicies.
//
// +kubebuilder:object:root=true
type TokenPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TokenPolicy `json:"items"`
}

// TokenPolicySpec is the specification of a TokenPolicy.
//
// +kubebuilder:validation:XValidation:message="queue is for onLimit Queue",rule="!has(self.queue) || self.onLimit == 'Queue'"
type TokenPolicySpec struct {
	// TargetRefs are what the policy is for: a Gateway (with sectionName one listener), an HTTPRoute (with sectionName one
	// rule), an AIBackend or an AIProvider of the same namespace.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="targetRefs are of kind Gateway or HTTPRoute (group gateway.networking.k8s.io), AIBackend or AIProvider (group gateway.nantian.dev)",rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'HTTPRoute']) || (t.group == 'gateway.nantian.dev' && t.kind in ['AIBackend', 'AIProvider']))"
	// +kubebuilder:validation:XValidation:message="sectionName is for Gateways and HTTPRoutes",rule="self.all(t, !has(t.sectionName) || t.kind in ['Gateway', 'HTTPRoute'])"
	// +kubebuilder:validation:XValidation:message="targetRefs must be unique",rule="self.all(t1, self.exists_one(t2, t1.kind == t2.kind && t1.name == t2.name && ((has(t1.sectionName) ? t1.sectionName : '') == (has(t2.sectionName) ? t2.sectionName : ''))))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Limits are the limits; all that match a request hold.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Limits []TokenLimit `json:"limits"`

	// OnLimit says what becomes of a request that lacks room: Reject answers 429 in the client's schema, with Retry-After;
	// Queue lets it wait for room, as queue says, and then answers 429; Warn lets it through and says so in a header, the log
	// and a metric.
	// +optional
	// +kubebuilder:default=Reject
	OnLimit OnLimit `json:"onLimit,omitempty"`

	// Queue bounds the requests that wait, for onLimit Queue.
	// +optional
	Queue *TokenQueue `json:"queue,omitempty"`

	// OnStream says what becomes of a running stream that reaches the limit: Finish lets it end, Cut ends it there with
	// finish_reason "length" (or the schema's own word), and the call of the provider with it.
	// +optional
	// +kubebuilder:default=Finish
	OnStream OnStream `json:"onStream,omitempty"`

	// FailureMode says what holds while the store of limits is away: Open lets each replica enforce its share of the limits
	// by itself, Closed answers 503.
	// +optional
	// +kubebuilder:default=Open
	FailureMode FailureMode `json:"failureMode,omitempty"`
}

// TokenLimit is one limit. It has a bucket of its own for each value of its key.
//
// +kubebuilder:validation:XValidation:message="exactly one of window and calendar is required",rule="has(self.window) != has(self.calendar)"
// +kubebuilder:validation:XValidation:message="window is from 1s to 744h",rule="!has(self.window) || (duration(self.window) >= duration('1s') && duration(self.window) <= duration('744h'))"
// +kubebuilder:validation:XValidation:message="limit is a whole number from 0 to 4503599627370496; of unit Cost US dollars such as \"25.00\", with up to nine decimals, to 4503599",rule="self.unit == 'Cost' ? (type(self.limit) == int ? self.limit >= 0 && self.limit <= 4503599 : self.limit.matches('^[0-9]{1,7}([.][0-9]{1,9})?$') && double(self.limit) <= 4503599.0) : (type(self.limit) == int ? self.limit >= 0 && self.limit <= 4503599627370496 : self.limit.matches('^[0-9]{1,16}$') && int(self.limit) <= 4503599627370496)"
type TokenLimit struct {
	// Name tells the limit from the policy's others, in answers, metrics and logs.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Unit is what is counted: Requests; Tokens, of input and output; InputTokens, the cached ones included; OutputTokens,
	// reasoning included; Cost, in US dollars by the prices of the AIProvider or else of the built-in catalogue. Counting
	// tokens and listing models is free.
	// +required
	Unit LimitUnit `json:"unit"`

	// Limit is how much may be used within the window: a whole number, of Cost a decimal number in text, such as "25.00".
	// +required
	Limit Amount `json:"limit"`

	// Window is the length of a sliding window, from 1s to 744h (31 days).
	// +optional
	Window *gatewayv1.Duration `json:"window,omitempty"`

	// Calendar is a window that begins with each day, week or month.
	// +optional
	Calendar *LimitCalendar `json:"calendar,omitempty"`

	// Key says what has a bucket of its own: all entries together, for example each API key and of it each model. Left out,
	// there is one bucket for everybody.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Key []LimitKey `json:"key,omitempty"`

	// Models are those that the limit is for, by the names that clients ask for, exact or with one "*". Left out, all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[^*]*\*?[^*]*$`
	Models []string `json:"models,omitempty"`
}

// LimitCalendar is a window that begins with each day, week (on Monday) or month.
type LimitCalendar struct {
	// Period is Day, Week or Month.
	// +required
	Period CalendarPeriod `json:"period"`

	// TimeZone is where the period begins at midnight, an IANA name such as Europe/Berlin. Left out, UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+/-]+$`
	TimeZone string `json:"timeZone,omitempty"`
}

// CalendarPeriod is how often a calendar's window begins.
//
// +kubebuilder:validation:Enum=Day;Week;Month
type CalendarPeriod string

// The periods of a calendar.
const (
	PeriodDay   CalendarPeriod = "Day"
	PeriodWeek  CalendarPeriod = "Week"
	PeriodMonth CalendarPeriod = "Month"
)

// LimitUnit is what a limit counts.
//
// +kubebuilder:validation:Enum=Requests;Tokens;InputTokens;OutputTokens;Cost
type LimitUnit string

// The units of limits.
const (
	UnitRequests     LimitUnit = "Requests"
	UnitTokens       LimitUnit = "Tokens"
	UnitInputTokens  LimitUnit = "InputTokens"
	UnitOutputTokens LimitUnit = "OutputTokens"
	UnitCost         LimitUnit = "Cost"
)

// LimitKey is one thing by which requests are told apart.
//
// +kubebuilder:validation:XValidation:message="exactly one of clientIP, apiKey, jwtClaim, header, model, provider, route and user is required",rule="[has(self.clientIP), has(self.apiKey), has(self.jwtClaim), has(self.header), has(self.model), has(self.provider), has(self.route), has(self.user)].filter(x, x).size() == 1"
type LimitKey struct {
	// ClientIP is the client's address; behind proxies that the gateway trusts, the one that they forward.
	// +optional
	ClientIP *LimitKeyPart `json:"clientIP,omitempty"`

	// APIKey is the API key that an AuthPolicy verified. A request without one is refused.
	// +optional
	APIKey *LimitKeyPart `json:"apiKey,omitempty"`

	// JWTClaim is a claim of the JWT that an AuthPolicy verified, for example sub; "." leads into objects. A request without it
	// is refused.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	JWTClaim string `json:"jwtClaim,omitempty"`

	// Header is a header of the request. Nothing verifies it: a client may send what it likes. Requests without it share a
	// bucket.
	// +optional
	Header gatewayv1.HTTPHeaderName `json:"header,omitempty"`

	// Model is the model that the client asks for.
	// +optional
	Model *LimitKeyPart `json:"model,omitempty"`

	// Provider is the AIProvider that is asked. A limit with this key is charged for each attempt.
	// +optional
	Provider *LimitKeyPart `json:"provider,omitempty"`

	// Route is the HTTPRoute.
	// +optional
	Route *LimitKeyPart `json:"route,omitempty"`

	// User is the request's own user (of Anthropic's API metadata.user_id). Nothing verifies it. Requests without it share a
	// bucket.
	// +optional
	User *LimitKeyPart `json:"user,omitempty"`
}

// LimitKeyPart has no settings yet.
type LimitKeyPart struct{}

// OnLimit says what becomes of a request that lacks room.
//
// +kubebuilder:validation:Enum=Reject;Queue;Warn
type OnLimit string

// The values of OnLimit.
const (
	OnLimitReject OnLimit = "Reject"
	OnLimitQueue  OnLimit = "Queue"
	OnLimitWarn   OnLimit = "Warn"
)

// OnStream says what becomes of a running stream that reaches a limit.
//
// +kubebuilder:validation:Enum=Finish;Cut
type OnStream string

// The values of OnStream.
const (
	OnStreamFinish OnStream = "Finish"
	OnStreamCut    OnStream = "Cut"
)

// FailureMode says what holds while something that a policy needs is away.
//
// +kubebuilder:validation:Enum=Open;Closed
type FailureMode string

// The values of FailureMode.
const (
	FailureOpen   FailureMode = "Open"
	FailureClosed FailureMode = "Closed"
)

// TokenQueue bounds the requests that wait for room.
//
// +kubebuilder:validation:XValidation:message="timeout is from 1ms to 10m",rule="!has(self.timeout) || (duration(self.timeout) >= duration('1ms') && duration(self.timeout) <= duration('10m'))"
type TokenQueue struct {
	// Size is the most requests that wait at each replica, for each bucket. Left out, it is 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Size int32 `json:"size,omitempty"`

	// Timeout is the longest wait. Left out, it is 10s.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`
}

// Amount is a number in decimal digits: written as a whole number, or as text.
//
// +kubebuilder:validation:Type=""
// +kubebuilder:validation:XIntOrString
// +kubebuilder:validation:MaxLength=19
type Amount string

// UnmarshalJSON takes a whole number or text as it is, so that no digit is lost.
func (a *Amount) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(a))
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return fmt.Errorf("%s: expected a whole number, or a decimal number in quotes", b)
		}
	}
	*a = Amount(b)
	return nil
}
