package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// RoutePolicy bounds ordinary traffic: timeouts, sizes of requests, the life of connections, requests in a window.
//
// Of the policies on the way of a request the most specific one holds as a whole: that of the rule, else of the route, of the
// listener, of the Gateway. Nothing of a wider one is taken over. Of two with one target the older one holds there, and the
// other is told as Conflicted. What a rule of an HTTPRoute says itself in timeouts goes before the policy.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Inherited"
// +kubebuilder:resource:shortName=rpol,path=routepolicies,categories={gateway-api,nantian}
// +kubebuilder:printcolumn:name="Targets",type=string,JSONPath=`.spec.targetRefs[*].name`
// +kubebuilder:printcolumn:name="Timeout",type=string,JSONPath=`.spec.timeouts.request`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RoutePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec RoutePolicySpec `json:"spec"`
	// Status is what became of the policy at each of its targets.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// RoutePolicyList is a list of RoutePolicies.
//
// +kubebuilder:object:root=true
type RoutePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RoutePolicy `json:"items"`
}

// RoutePolicySpec is the specification of a RoutePolicy.
//
// +kubebuilder:validation:XValidation:message="at least one of timeouts, limits, buffering, connections and rateLimits is required",rule="has(self.timeouts) || has(self.limits) || has(self.buffering) || has(self.connections) || has(self.rateLimits)"
type RoutePolicySpec struct {
	// TargetRefs are what the policy is for: a Gateway (with sectionName one listener), an HTTPRoute or a GRPCRoute (with
	// sectionName one rule), or a TCPRoute, TLSRoute or UDPRoute, of which timeouts.idle alone is for.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="targetRefs are of kind Gateway, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute or UDPRoute (group gateway.networking.k8s.io)",rule="self.all(t, t.group == 'gateway.networking.k8s.io' && t.kind in ['Gateway', 'HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute', 'UDPRoute'])"
	// +kubebuilder:validation:XValidation:message="sectionName is for Gateways, HTTPRoutes and GRPCRoutes",rule="self.all(t, !has(t.sectionName) || t.kind in ['Gateway', 'HTTPRoute', 'GRPCRoute'])"
	// +kubebuilder:validation:XValidation:message="targetRefs must be unique",rule="self.all(t1, self.exists_one(t2, t1.kind == t2.kind && t1.name == t2.name && ((has(t1.sectionName) ? t1.sectionName : '') == (has(t2.sectionName) ? t2.sectionName : ''))))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Timeouts bound how long things take.
	// +optional
	Timeouts *RouteTimeouts `json:"timeouts,omitempty"`

	// Limits bound what clients send.
	// +optional
	Limits *RouteLimits `json:"limits,omitempty"`

	// Buffering says what is read whole before it goes on. Left out, everything flows as it comes.
	// +optional
	Buffering *RouteBuffering `json:"buffering,omitempty"`

	// Connections bound the life of clients' connections: the answer that reaches a bound is the last of its connection, so that
	// clients spread over replicas anew.
	// +optional
	Connections *RouteConnections `json:"connections,omitempty"`

	// RateLimits are how many requests may come within a window; all hold. They are counted in the store of the TokenPolicies,
	// so that all replicas count together where the gateway has a Redis.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	RateLimits []RequestLimit `json:"rateLimits,omitempty"`

	// FailureMode says what holds while the store of rateLimits is away: Open lets each replica enforce its share of the limits
	// by itself, Closed answers 503.
	// +optional
	// +kubebuilder:default=Open
	FailureMode FailureMode `json:"failureMode,omitempty"`
}

// RouteTimeouts are the timeouts of a RoutePolicy. 0s is no limit.
//
// +kubebuilder:validation:XValidation:message="backendRequest cannot be longer than request",rule="!has(self.request) || !has(self.backendRequest) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)"
type RouteTimeouts struct {
	// Request bounds a request from its head to the last byte of the answer, whatever it leads to; 504 after it. Rules of
	// HTTPRoutes with timeouts.request of their own keep that.
	// +optional
	Request *gatewayv1.Duration `json:"request,omitempty"`

	// BackendRequest bounds each attempt at a Service. Rules of HTTPRoutes with timeouts.backendRequest of their own keep that;
	// AIProviders have timeouts of their own.
	// +optional
	BackendRequest *gatewayv1.Duration `json:"backendRequest,omitempty"`

	// Idle bounds the silence of a Service within an answer: one that pauses for longer is cut off. Of TCPRoutes, TLSRoutes and
	// UDPRoutes it bounds the silence of both sides; left out, it is an hour for connections and a minute for datagrams.
	// +optional
	Idle *gatewayv1.Duration `json:"idle,omitempty"`
}

// RouteLimits bound what clients send.
type RouteLimits struct {
	// RequestBody is the largest body of a request, in bytes; 413 beyond it, before anything of it is forwarded where the
	// client tells its length. Left out, bodies that flow have no limit, and model calls that of the GatewayConfig.
	// +optional
	// +kubebuilder:validation:XValidation:message="requestBody is a whole number of bytes from 0 to 1Ti",rule="quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('0')) >= 0 && quantity(string(self)).compareTo(quantity('1Ti')) <= 0"
	RequestBody *resource.Quantity `json:"requestBody,omitempty"`

	// RequestHead is the largest head of a request, in bytes: request line and header fields; 431 beyond it. It can lower the
	// limit of the GatewayConfig, which holds before a route is found.
	// +optional
	// +kubebuilder:validation:XValidation:message="requestHead is a whole number of bytes from 1Ki to 1Mi",rule="quantity(string(self)).isInteger() && quantity(string(self)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self)).compareTo(quantity('1Mi')) <= 0"
	RequestHead *resource.Quantity `json:"requestHead,omitempty"`
}

// RouteBuffering says what is read whole before it goes on.
type RouteBuffering struct {
	// Request reads the body of a request whole before a backend is asked, up to limits.requestBody, or else 32Mi: for backends
	// that can take no chunks, and so that slow clients hold no backend. Answers always flow as they come.
	// +required
	Request bool `json:"request"`
}

// RouteConnections bound the life of clients' connections.
//
// +kubebuilder:validation:XValidation:message="at least one of maxRequests and maxAge is required",rule="has(self.maxRequests) || has(self.maxAge)"
// +kubebuilder:validation:XValidation:message="maxAge is from 1s to 720h",rule="!has(self.maxAge) || (duration(self.maxAge) >= duration('1s') && duration(self.maxAge) <= duration('720h'))"
type RouteConnections struct {
	// MaxRequests is after how many requests a connection ends.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxRequests int32 `json:"maxRequests,omitempty"`

	// MaxAge is how old a connection may be when a request comes on it.
	// +optional
	MaxAge *gatewayv1.Duration `json:"maxAge,omitempty"`
}

// RequestLimit is one limit of requests. It has a bucket of its own for each value of its key.
//
// +kubebuilder:validation:XValidation:message="window is from 1s to 744h",rule="duration(self.window) >= duration('1s') && duration(self.window) <= duration('744h')"
type RequestLimit struct {
	// Name tells the limit from the policy's others, in answers, metrics and logs.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// Requests is how many may come within the window; 429 beyond it, with Retry-After.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000000000
	Requests int64 `json:"requests"`

	// Window is the length of a sliding window, from 1s to 744h (31 days).
	// +required
	Window gatewayv1.Duration `json:"window"`

	// Key says what has a bucket of its own: all entries together. Left out, there is one bucket for everybody.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:message="model, provider and user are for TokenPolicies: of a RoutePolicy the body is not read",rule="self.all(k, !has(k.model) && !has(k.provider) && !has(k.user))"
	Key []LimitKey `json:"key,omitempty"`
}
