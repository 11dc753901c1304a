package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// BackendLBPolicy says how the pods behind a Service share its requests, and which of them get none: algorithm, sessions, limits
// on what is in flight, health. It has the fields of the Gateway API's experimental XBackendTrafficPolicy, and more.
//
// A policy for a port wins as a whole over one for the Service; of two for the same the older one holds. What is counted, each
// data plane counts for itself.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels={"gateway.networking.k8s.io/policy=Direct"}
// +kubebuilder:resource:shortName=lbp,categories={gateway-api,nantian}
// +kubebuilder:printcolumn:name="Targets",type=string,JSONPath=`.spec.targetRefs[*].name`
// +kubebuilder:printcolumn:name="Algorithm",type=string,JSONPath=`.spec.algorithm`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type BackendLBPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec BackendLBPolicySpec `json:"spec"`
	// Status is what became of the policy at each of its targets.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitempty"`
}

// BackendLBPolicyList is a list of BackendLBPolicies.
//
// +kubebuilder:object:root=true
type BackendLBPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BackendLBPolicy `json:"items"`
}

// LBAlgorithm is how an endpoint is chosen.
//
// +kubebuilder:validation:Enum=RoundRobin;LeastRequest;Random;ConsistentHash
type LBAlgorithm string

// The algorithms.
const (
	LBRoundRobin     LBAlgorithm = "RoundRobin"
	LBLeastRequest   LBAlgorithm = "LeastRequest"
	LBRandom         LBAlgorithm = "Random"
	LBConsistentHash LBAlgorithm = "ConsistentHash"
)

// BackendLBPolicySpec is the specification of a BackendLBPolicy.
//
// +kubebuilder:validation:XValidation:message="consistentHash is required for the algorithm ConsistentHash, and only there",rule="(has(self.algorithm) && self.algorithm == 'ConsistentHash') == has(self.consistentHash)"
// +kubebuilder:validation:XValidation:message="slowStart is not for the algorithm ConsistentHash",rule="!has(self.slowStart) || !has(self.consistentHash)"
type BackendLBPolicySpec struct {
	// TargetRefs are the Services of the policy's namespace that it is for, or with sectionName one port of them by its name.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:message="only a Service can be targeted",rule="self.all(r, r.group == '' && r.kind == 'Service')"
	// +kubebuilder:validation:XValidation:message="a target is there twice",rule="self.all(a, self.exists_one(b, a.name == b.name && (has(a.sectionName) ? a.sectionName : '') == (has(b.sectionName) ? b.sectionName : '')))"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Algorithm chooses an endpoint for each request, or for each connection of TCP and session of UDP. LeastRequest takes the
	// one of two drawn at random that has fewer requests in flight. ConsistentHash is Maglev: requests with the same key go to
	// the same endpoint, and when an endpoint comes or goes nearly only its own share moves.
	// +optional
	// +kubebuilder:default=RoundRobin
	Algorithm LBAlgorithm `json:"algorithm,omitempty"`

	// ConsistentHash says what ConsistentHash looks at.
	// +optional
	ConsistentHash *LBHash `json:"consistentHash,omitempty"`

	// SessionPersistence keeps a client of an HTTPRoute or GRPCRoute at the endpoint that it met first. That of a rule goes before
	// it. Not for AIProviders, and not for connections of other routes.
	// +optional
	SessionPersistence *gatewayv1.SessionPersistence `json:"sessionPersistence,omitempty"`

	// RetryConstraint bounds retries: those that routes ask for, connections at another endpoint where one cannot be made, and
	// the fallbacks of AIBackends that lead here. A request that would need one more is answered with 503, and a model call with
	// the failure before.
	// +optional
	RetryConstraint *LBRetryConstraint `json:"retryConstraint,omitempty"`

	// CircuitBreaker bounds what is in flight. A request that would be beyond is answered with 503 at once.
	// +optional
	CircuitBreaker *LBCircuitBreaker `json:"circuitBreaker,omitempty"`

	// OutlierEjection keeps requests from endpoints that fail, by what is seen of their answers.
	// +optional
	OutlierEjection *LBOutlierEjection `json:"outlierEjection,omitempty"`

	// HealthCheck asks each endpoint at an interval whether it is well. Not for Services of type ExternalName, and in
	// standalone mode not for those without EndpointSlices: what is behind a name is one endpoint.
	// +optional
	HealthCheck *LBHealthCheck `json:"healthCheck,omitempty"`

	// MinHealthyPercent is the share of endpoints that must be fit for health to be heeded. With fewer, all endpoints get
	// requests, so that the few that are left are not overrun. Left out, that is so when none is fit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MinHealthyPercent *int32 `json:"minHealthyPercent,omitempty"`

	// SlowStart gives an endpoint that is new, or fit again, less than its share for a while.
	// +optional
	SlowStart *LBSlowStart `json:"slowStart,omitempty"`

	// ConnectTimeout is how long a connection to an endpoint may take, TLS included: 5s if left out.
	// +optional
	// +kubebuilder:validation:XValidation:message="connectTimeout is from 1ms to 1h",rule="duration(self) >= duration('1ms') && duration(self) <= duration('1h')"
	ConnectTimeout *gatewayv1.Duration `json:"connectTimeout,omitempty"`

	// ProxyProtocol is the version of the PROXY protocol's header that connections begin with: of TCP and TLS routes it tells the
	// client, the connections that HTTP requests share say LOCAL (V1: UNKNOWN). Not for UDP.
	// +optional
	// +kubebuilder:validation:Enum=V1;V2
	ProxyProtocol string `json:"proxyProtocol,omitempty"`
}

// LBHashType is what a consistent hash looks at.
//
// +kubebuilder:validation:Enum=SourceIP;Header;Cookie;Hostname
type LBHashType string

// The types of hash keys.
const (
	LBHashSourceIP LBHashType = "SourceIP"
	LBHashHeader   LBHashType = "Header"
	LBHashCookie   LBHashType = "Cookie"
	LBHashHostname LBHashType = "Hostname"
)

// LBHash is the key of a consistent hash. Requests without it go to endpoints drawn at random.
//
// +kubebuilder:validation:XValidation:message="name is required for Header and Cookie, and only there",rule="(self.type in ['Header', 'Cookie']) == has(self.name)"
type LBHash struct {
	// Type is what is looked at: the client's address, a header, a cookie, or the host that is asked for. Connections of TCP and
	// TLS routes and sessions of UDP have SourceIP alone.
	// +required
	Type LBHashType `json:"type"`
	// Name is that of the header or cookie.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$`
	Name string `json:"name,omitempty"`
}

// LBRetryConstraint bounds retries (as retryConstraint of XBackendTrafficPolicy).
type LBRetryConstraint struct {
	// Budget is the share of requests that may be retries.
	// +optional
	// +kubebuilder:default={percent: 20, interval: "10s"}
	Budget *LBBudget `json:"budget,omitempty"`
	// MinRetryRate are the retries that are allowed whatever the budget says.
	// +optional
	// +kubebuilder:default={count: 10, interval: "1s"}
	MinRetryRate *LBRate `json:"minRetryRate,omitempty"`
}

// LBBudget is a share of the requests of an interval.
type LBBudget struct {
	// Percent of the requests of the interval that may be retries.
	// +optional
	// +kubebuilder:default=20
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *int32 `json:"percent,omitempty"`
	// Interval is how far back requests count.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:message="interval is from 1s to 1h",rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')"
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
}

// LBRate is a number per interval.
type LBRate struct {
	// Count is how many.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Count *int32 `json:"count,omitempty"`
	// Interval is in how long.
	// +optional
	// +kubebuilder:default="1s"
	// +kubebuilder:validation:XValidation:message="interval is from 1s to 1h",rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')"
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
}

// LBCircuitBreaker bounds what is in flight.
//
// +kubebuilder:validation:XValidation:message="maxRequests or maxRequestsPerEndpoint is required",rule="has(self.maxRequests) || has(self.maxRequestsPerEndpoint)"
type LBCircuitBreaker struct {
	// MaxRequests is the most requests (and connections of TCP routes) in flight at all endpoints of a port together.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRequests *int32 `json:"maxRequests,omitempty"`
	// MaxRequestsPerEndpoint is the most in flight at one endpoint. A request goes to another one that has room.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRequestsPerEndpoint *int32 `json:"maxRequestsPerEndpoint,omitempty"`
}

// LBOutlierEjection says when an endpoint is taken out for a time.
//
// +kubebuilder:validation:XValidation:message="consecutive5xxErrors or consecutiveGatewayErrors must be above 0",rule="(has(self.consecutive5xxErrors) && self.consecutive5xxErrors > 0) || (has(self.consecutiveGatewayErrors) && self.consecutiveGatewayErrors > 0)"
type LBOutlierEjection struct {
	// Consecutive5xxErrors is the number of statuses of 500 and above in a row after which an endpoint is taken out; 0 looks at
	// none. For gRPC these are UNKNOWN, INTERNAL, UNAVAILABLE and DATA_LOSS.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Consecutive5xxErrors *int32 `json:"consecutive5xxErrors,omitempty"`
	// ConsecutiveGatewayErrors is that of 502, 503 and 504 (gRPC: UNAVAILABLE), of connections that could not be made or broke,
	// and of answers that did not come in time; 0 looks at none.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	ConsecutiveGatewayErrors *int32 `json:"consecutiveGatewayErrors,omitempty"`
	// BaseEjectionTime is how long the first ejection lasts; each further one lasts that much longer, and as long as an endpoint
	// is well it is forgiven one after each such time.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:message="baseEjectionTime is from 100ms to 1h",rule="duration(self) >= duration('100ms') && duration(self) <= duration('1h')"
	BaseEjectionTime *gatewayv1.Duration `json:"baseEjectionTime,omitempty"`
	// MaxEjectionTime is the longest that an ejection lasts; it is not shorter than the first.
	// +optional
	// +kubebuilder:default="300s"
	// +kubebuilder:validation:XValidation:message="maxEjectionTime is from 100ms to 24h",rule="duration(self) >= duration('100ms') && duration(self) <= duration('24h')"
	MaxEjectionTime *gatewayv1.Duration `json:"maxEjectionTime,omitempty"`
	// MaxEjectionPercent is the share of all endpoints that may be out at once. One of two or more may always be.
	// +optional
	// +kubebuilder:default=50
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MaxEjectionPercent *int32 `json:"maxEjectionPercent,omitempty"`
}

// LBHealthCheckType is how endpoints are asked.
//
// +kubebuilder:validation:Enum=HTTP;TCP;GRPC
type LBHealthCheckType string

// The types of health checks.
const (
	LBHealthCheckHTTP LBHealthCheckType = "HTTP"
	LBHealthCheckTCP  LBHealthCheckType = "TCP"
	LBHealthCheckGRPC LBHealthCheckType = "GRPC"
)

// LBHealthCheck says how endpoints are asked.
//
// +kubebuilder:validation:XValidation:message="http is for the type HTTP",rule="!has(self.http) || self.type == 'HTTP'"
// +kubebuilder:validation:XValidation:message="grpc is for the type GRPC",rule="!has(self.grpc) || self.type == 'GRPC'"
type LBHealthCheck struct {
	// Type is HTTP, a GET; TCP, a connection and TLS where the Service has a BackendTLSPolicy; or GRPC, a call of
	// grpc.health.v1.Health/Check. HTTP and GRPC are spoken as requests are, with the same TLS.
	// +required
	Type LBHealthCheckType `json:"type"`
	// Interval is the time from one check of an endpoint to the next.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:XValidation:message="interval is from 100ms to 1h",rule="duration(self) >= duration('100ms') && duration(self) <= duration('1h')"
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
	// Timeout is how long an answer may take.
	// +optional
	// +kubebuilder:default="1s"
	// +kubebuilder:validation:XValidation:message="timeout is from 10ms to 10m",rule="duration(self) >= duration('10ms') && duration(self) <= duration('10m')"
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`
	// UnhealthyThreshold is the number of failures in a row after which an endpoint gets no requests.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	UnhealthyThreshold *int32 `json:"unhealthyThreshold,omitempty"`
	// HealthyThreshold is the number of successes in a row after which it gets requests again.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	HealthyThreshold *int32 `json:"healthyThreshold,omitempty"`
	// Port is the one that is asked, if it is another than that of the endpoint.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
	// HTTP is what is asked by the type HTTP.
	// +optional
	HTTP *LBHTTPCheck `json:"http,omitempty"`
	// GRPC is what is asked by the type GRPC.
	// +optional
	GRPC *LBGRPCCheck `json:"grpc,omitempty"`
}

// LBHTTPCheck is a GET.
type LBHTTPCheck struct {
	// Path is what is asked for.
	// +optional
	// +kubebuilder:default=/
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^/[-A-Za-z0-9/._~!$&'()*+,;=:@%]*$`
	Path string `json:"path,omitempty"`
	// Host is the Host field; left out, it is the endpoint's address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-A-Za-z0-9._]+(:[0-9]+)?$`
	Host string `json:"host,omitempty"`
	// ExpectedStatuses are those of an endpoint that is well; left out, 200 to 299.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Minimum=200
	// +kubebuilder:validation:items:Maximum=599
	ExpectedStatuses []int32 `json:"expectedStatuses,omitempty"`
}

// LBGRPCCheck is a call of grpc.health.v1.Health/Check.
type LBGRPCCheck struct {
	// Service is the one that is asked for; left out, the server as a whole.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Service string `json:"service,omitempty"`
}

// LBSlowStart says how long an endpoint takes to get its whole share.
type LBSlowStart struct {
	// Window is the time in which its share grows from a tenth to the whole.
	// +required
	// +kubebuilder:validation:XValidation:message="window is from 1s to 1h",rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')"
	Window gatewayv1.Duration `json:"window"`
}
