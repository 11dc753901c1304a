package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// GatewayConfig says how a Gateway runs: its data planes, the Service in front of them, and what is set for all of its
// traffic. A GatewayClass names one in spec.parametersRef, for all its Gateways, and a Gateway one of its own namespace in
// spec.infrastructure.parametersRef. Of the two, a field that the Gateway's sets is used whole, lists included; the others
// are the class's.
//
// Fields about pods and Services are for clusters. In nantian run they have no effect; all Gateways share one process, and
// the config of the oldest Gateway is the one that counts.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=gwcfg,categories={gateway-api,nantian}
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.spec.replicas`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Resolved",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type GatewayConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what is wanted.
	// +required
	Spec GatewayConfigSpec `json:"spec"`
	// Status is what the gateway makes of it.
	// +optional
	Status GatewayConfigStatus `json:"status,omitempty"`
}

// GatewayConfigList is a list of GatewayConfigs.
//
// +kubebuilder:object:root=true
type GatewayConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GatewayConfig `json:"items"`
}

// GatewayConfigSpec is the specification of a GatewayConfig.
//
// +kubebuilder:validation:XValidation:message="shared data planes are not provisioned: replicas, image, autoscaling and the like are for others",rule="!has(self.shared) || !(has(self.replicas) || has(self.image) || has(self.autoscaling) || has(self.podDisruptionBudget) || has(self.service) || has(self.resources))"
type GatewayConfigSpec struct {
	// Replicas is how many data planes run; with autoscaling how many at first. Default: 2.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Replicas *int32 `json:"replicas,omitempty"`

	// Image of data planes. Default: the controller's own.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// ImagePullSecrets are Secrets of the Gateway's namespace with credentials for the image.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// Resources of each data plane. Default: requests of 100m CPU and 128Mi of memory, no limits.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`

	// NodeSelector of the pods.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// Tolerations of the pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// TopologySpreadConstraints of the pods; one without labelSelector counts the Gateway's data planes. Default: they are
	// spread over nodes where that is possible.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// PriorityClassName of the pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// Service in front of the data planes.
	// +optional
	Service *GatewayService `json:"service,omitempty"`

	// PodDisruptionBudget of the data planes. Default: one may be away at a time, where there are several.
	// +optional
	PodDisruptionBudget *DisruptionBudget `json:"podDisruptionBudget,omitempty"`

	// Autoscaling lets the number of data planes follow their load. Default: none.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// DrainTimeout is how long requests and streams in flight may take to end when a data plane is shut down. Default: 60s.
	// +optional
	DrainTimeout *gatewayv1.Duration `json:"drainTimeout,omitempty"`

	// Shared lets Gateways be served by data planes that somebody else runs, instead of some for each Gateway.
	// +optional
	Shared *SharedDataPlanes `json:"shared,omitempty"`

	// RateLimitStore is where TokenPolicies are counted. Default: in the memory of each data plane.
	// +optional
	RateLimitStore *RateLimitStore `json:"rateLimitStore,omitempty"`

	// Prices of models that their AIProvider does not price; they go before the built-in ones.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	Prices []CataloguePrice `json:"prices,omitempty"`

	// AccessLog says whether requests are logged.
	// +optional
	AccessLog *AccessLog `json:"accessLog,omitempty"`

	// TrustedProxies are CIDRs of proxies in front whose X-Forwarded-For is believed.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=49
	// +kubebuilder:validation:XValidation:message="trustedProxies are CIDRs",rule="self.all(c, isCIDR(c))"
	TrustedProxies []string `json:"trustedProxies,omitempty"`

	// ProxyProtocol is about load balancers in front that tell of their clients by the PROXY protocol. Default: none does.
	// +optional
	ProxyProtocol *ProxyProtocol `json:"proxyProtocol,omitempty"`

	// Limits of requests and connections.
	// +optional
	Limits *RequestLimits `json:"limits,omitempty"`
}

// GatewayService is the Service in front of data planes.
type GatewayService struct {
	// Type of the Service.
	// +optional
	// +kubebuilder:default=LoadBalancer
	// +kubebuilder:validation:Enum=LoadBalancer;NodePort;ClusterIP
	Type corev1.ServiceType `json:"type,omitempty"`
	// Annotations of the Service, as load balancers of clouds want them.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// LoadBalancerClass of the Service.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LoadBalancerClass string `json:"loadBalancerClass,omitempty"`
	// ExternalTrafficPolicy of the Service; Local keeps the addresses of clients.
	// +optional
	// +kubebuilder:validation:Enum=Cluster;Local
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
	// LoadBalancerSourceRanges are the CIDRs that clients may come from.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
}

// DisruptionBudget bounds how many data planes are away at a time on purpose.
//
// +kubebuilder:validation:XValidation:message="one of minAvailable and maxUnavailable",rule="has(self.minAvailable) != has(self.maxUnavailable)"
type DisruptionBudget struct {
	// MinAvailable is a number of pods or a percentage.
	// +optional
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`
	// MaxUnavailable is a number of pods or a percentage.
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}

// Autoscaling makes a HorizontalPodAutoscaler.
//
// +kubebuilder:validation:XValidation:message="minReplicas is at most maxReplicas",rule="self.minReplicas <= self.maxReplicas"
type Autoscaling struct {
	// MinReplicas is how many data planes there are at least.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MinReplicas int32 `json:"minReplicas,omitempty"`
	// MaxReplicas is how many there are at most.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxReplicas int32 `json:"maxReplicas"`
	// CPUUtilization is the share of the CPU requests, in percent, that is aimed at.
	// +optional
	// +kubebuilder:default=70
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	CPUUtilization int32 `json:"cpuUtilization,omitempty"`
}

// SharedDataPlanes are run by somebody else, with the certificate that the controller writes into the Secret
// "shared-nantian-<name of the GatewayConfig>" of the GatewayConfig's namespace. Of Gateways that want the same port the oldest
// has it, unless they have addresses of their own.
type SharedDataPlanes struct {
	// Service of the GatewayConfig's namespace that leads to the data planes; its addresses are the Gateways'.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Service string `json:"service,omitempty"`
	// Addresses of the Gateways, where there is no Service: IP addresses or hostnames.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	Addresses []string `json:"addresses,omitempty"`
}

// RateLimitStore is where limits are counted for all data planes together.
type RateLimitStore struct {
	// Redis is a Redis or Valkey server, Cluster, or one watched by Sentinels.
	// +required
	Redis RedisStore `json:"redis"`
}

// RedisStore says how a Redis is reached.
//
// +kubebuilder:validation:XValidation:message="a Cluster has no Sentinels",rule="!(has(self.cluster) && self.cluster && has(self.sentinel))"
// +kubebuilder:validation:XValidation:message="a Cluster has but database 0",rule="!(has(self.cluster) && self.cluster && has(self.database) && self.database > 0)"
type RedisStore struct {
	// Addresses are HOST:PORT of the one server, of some nodes of a Cluster, or of the Sentinels.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=259
	// +kubebuilder:validation:items:Pattern=`^.+:[0-9]{1,5}$`
	Addresses []string `json:"addresses"`
	// Cluster says that the addresses are of a Redis Cluster.
	// +optional
	Cluster bool `json:"cluster,omitempty"`
	// Sentinel says that the addresses are of Sentinels.
	// +optional
	Sentinel *RedisSentinel `json:"sentinel,omitempty"`
	// Database is the number of the database.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Database int32 `json:"database,omitempty"`
	// CredentialsRef is a Secret of the GatewayConfig's namespace whose data has "password", and "username" where the user is
	// not the default one.
	// +optional
	CredentialsRef *corev1.LocalObjectReference `json:"credentialsRef,omitempty"`
	// TLS to the servers. Default: none.
	// +optional
	TLS *RedisTLS `json:"tls,omitempty"`
	// KeyPrefix of all keys, for servers that others use too. Default: "nantian:ratelimit:".
	// +optional
	// +kubebuilder:validation:MaxLength=128
	KeyPrefix string `json:"keyPrefix,omitempty"`
}

// RedisSentinel says how Sentinels are asked for the primary.
type RedisSentinel struct {
	// Primary is the name that they know it by.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Primary string `json:"primary"`
	// CredentialsRef is a Secret like that of the servers, for the Sentinels.
	// +optional
	CredentialsRef *corev1.LocalObjectReference `json:"credentialsRef,omitempty"`
}

// RedisTLS says how the servers are verified.
type RedisTLS struct {
	// ServerName in the servers' certificates. Default: the host of each address.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServerName string `json:"serverName,omitempty"`
	// CACertificateRefs are ConfigMaps of the GatewayConfig's namespace with CA certificates under "ca.crt". Default: those of
	// the machine.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	CACertificateRefs []corev1.LocalObjectReference `json:"caCertificateRefs,omitempty"`
	// ClientCertificateRef is a Secret of type kubernetes.io/tls of the GatewayConfig's namespace.
	// +optional
	ClientCertificateRef *corev1.LocalObjectReference `json:"clientCertificateRef,omitempty"`
}

// ProxyProtocol says which connections begin with a header of the PROXY protocol, version 1 or 2.
type ProxyProtocol struct {
	// Ports of listeners, of any protocol but UDP, on which every connection has to begin with a header; one without it is
	// closed. What it says of the client is believed: let nobody but the load balancer reach these ports.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	Ports []int32 `json:"ports"`
}

// CataloguePrice is what models of a name cost, whoever provides them.
type CataloguePrice struct {
	// Name is the provider's name of the model, exact or with one "*".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^*]*\*?[^*]*$`
	Name string `json:"name"`
	// Price is what a million tokens cost.
	// +required
	Price AIPrice `json:"price"`
}

// AccessLog is a line a request.
type AccessLog struct {
	// Disabled: requests are not logged.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
}

// RequestLimits bound requests and connections.
type RequestLimits struct {
	// MaxRequestBody is the largest body of a request that has to be read (model calls); ordinary traffic has no limit.
	// Default: 32Mi.
	// +optional
	MaxRequestBody *resource.Quantity `json:"maxRequestBody,omitempty"`
	// MaxRequestHead is the largest head of a request. Default: 32Ki.
	// +optional
	MaxRequestHead *resource.Quantity `json:"maxRequestHead,omitempty"`
	// MaxResponseHead is the largest head of a response. Default: 64Ki.
	// +optional
	MaxResponseHead *resource.Quantity `json:"maxResponseHead,omitempty"`
	// HeadTimeout is the time in which a client's head must have arrived. Default: 10s.
	// +optional
	HeadTimeout *gatewayv1.Duration `json:"headTimeout,omitempty"`
	// IdleTimeout is after what time an idle client connection is closed. Default: 75s.
	// +optional
	IdleTimeout *gatewayv1.Duration `json:"idleTimeout,omitempty"`
}

// GatewayConfigStatus is the status of a GatewayConfig.
type GatewayConfigStatus struct {
	// Conditions are Accepted and ResolvedRefs.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
