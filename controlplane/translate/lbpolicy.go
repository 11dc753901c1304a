package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// servicePort is what a policy for Services targets; an empty port is all of them.
type servicePort struct{ namespace, service, port string }

// lbPolicy is what a BackendLBPolicy says.
type lbPolicy struct {
	wire  *xdsv1.LoadBalancing
	proxy xdsv1.Backend_ProxyProtocol
	// kept: the policy is refused, and what its targets have stays in force.
	kept bool
}

// buildLBPolicies reads the BackendLBPolicies, the oldest first: of two with one target it holds there. One that is refused leaves
// its targets as they are, unless another policy is for them.
func (t *translator) buildLBPolicies() {
	list := slices.Clone(t.in.BackendLBPolicies.All())
	slices.SortStableFunc(list, func(a, b *v1alpha1.BackendLBPolicy) int {
		return cmp.Or(a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	owners := map[servicePort]string{}
	for _, object := range list {
		p, invalid := newLBPolicy(object)
		u := status.Update{Ref: resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindBackendLBPolicy, Namespace: object.Namespace, Name: object.Name}}
		for i, ref := range object.Spec.TargetRefs {
			at := servicePort{object.Namespace, string(ref.Name), string(ptr.Deref(ref.SectionName, ""))}
			f := cmp.Or(copyFault(invalid), t.lbTarget(at))
			if owner, taken := owners[at]; f == nil && taken {
				f = &fault{string(gatewayv1.PolicyReasonConflicted), fmt.Sprintf("the older BackendLBPolicy %s holds there", owner)}
			}
			if f == nil {
				owners[at], t.balancing[at] = object.Namespace+"/"+object.Name, p
			} else if invalid != nil {
				t.keepBalancing(at)
			}
			u.Parents = append(u.Parents, status.Parent{Ref: serviceAncestor(object.Namespace, ref), Conditions: lbConditions(object, i, f)})
		}
		t.update(u)
	}
	for _, u := range t.in.Unread() {
		if u.Ref.Kind == v1alpha1.KindBackendLBPolicy {
			for _, ref := range u.Targets {
				t.keepBalancing(servicePort{u.Ref.Namespace, string(ref.Name), string(ptr.Deref(ref.SectionName, ""))})
			}
		}
	}
}

func (t *translator) keepBalancing(at servicePort) {
	if t.balancing[at] == nil {
		t.balancing[at] = &lbPolicy{kept: true}
	}
}

func lbConditions(object *v1alpha1.BackendLBPolicy, i int, f *fault) []metav1.Condition {
	var accepted faults
	if f != nil {
		accepted.add(&fault{f.reason, fmt.Sprintf("spec.targetRefs[%d]: %s", i, f.message)})
	}
	return []metav1.Condition{
		accepted.condition(string(gatewayv1.PolicyConditionAccepted), string(gatewayv1.PolicyReasonAccepted), "the policy is accepted", object.Generation),
	}
}

func serviceAncestor(namespace string, ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) gatewayv1.ParentReference {
	return gatewayv1.ParentReference{
		Group: ptr.To(ref.Group), Kind: ptr.To(ref.Kind), Namespace: ptr.To(gatewayv1.Namespace(namespace)), Name: ref.Name, SectionName: ref.SectionName,
	}
}

// lbTarget says why a target is none.
func (t *translator) lbTarget(at servicePort) *fault {
	to := resources.Ref{Kind: "Service", Namespace: at.namespace, Name: at.service}
	service, ok := t.in.Services.Get(at.namespace, at.service)
	if !ok {
		return &fault{string(gatewayv1.PolicyReasonTargetNotFound), fmt.Sprintf("there is no %s", to)}
	}
	named := func(p corev1.ServicePort) bool { return p.Name == at.port }
	if at.port != "" && !slices.ContainsFunc(service.Spec.Ports, named) {
		return &fault{string(gatewayv1.PolicyReasonTargetNotFound), fmt.Sprintf("%s has no port %s", to, at.port)}
	}
	return nil
}

// balance gives a backend what the policy for its port says, else that for its Service.
func (t *translator) balance(out *xdsv1.Backend, service *corev1.Service, port corev1.ServicePort) {
	at := servicePort{service.Namespace, service.Name, port.Name}
	p := t.balancing[at]
	if p == nil {
		at.port = ""
		p = t.balancing[at]
	}
	if p == nil {
		return
	}
	if p.kept {
		before := t.inForce(out.Key).GetBackend()
		out.LoadBalancing, out.ProxyProtocol = before.GetLoadBalancing(), before.GetProxyProtocol()
		return
	}
	out.LoadBalancing = p.wire
	if out.Protocol != xdsv1.BackendProtocol_DATAGRAM {
		out.ProxyProtocol = p.proxy
	}
}

// newLBPolicy reads a policy; the fault is of what the schema cannot say.
func newLBPolicy(object *v1alpha1.BackendLBPolicy) (*lbPolicy, *fault) {
	s := &object.Spec
	p := &lbPolicy{wire: &xdsv1.LoadBalancing{
		Policy: algorithms[s.Algorithm], Hash: hashKey(s.ConsistentHash), ConnectTimeout: duration(s.ConnectTimeout),
		RetryBudget: retryBudget(s.RetryConstraint), Outlier: outlier(s.OutlierEjection), HealthCheck: healthCheck(s.HealthCheck),
		MinHealthyPercent: number(s.MinHealthyPercent, 0), SessionPersistence: session(s.SessionPersistence),
	}}
	if b := s.CircuitBreaker; b != nil {
		p.wire.MaxRequests, p.wire.MaxInFlight = number(b.MaxRequests, 0), number(b.MaxRequestsPerEndpoint, 0)
	}
	if s.SlowStart != nil {
		p.wire.SlowStart = duration(&s.SlowStart.Window)
	}
	switch s.ProxyProtocol {
	case "V1":
		p.proxy = xdsv1.Backend_V1
	case "V2":
		p.proxy = xdsv1.Backend_V2
	}
	probe := &xdsv1.Backend{Key: xdsv1.BackendKey("a", "a", 1), Protocol: xdsv1.BackendProtocol_HTTP1, LoadBalancing: proto.CloneOf(p.wire), Kind: &xdsv1.Backend_Endpoints{}}
	if err := xdsv1.Validate(&xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: probe}}); err != nil {
		return p, &fault{v1alpha1.ReasonInvalid, oneLine(probe.Key, err)}
	}
	return p, nil
}

var algorithms = map[v1alpha1.LBAlgorithm]xdsv1.LoadBalancing_Policy{
	"": xdsv1.LoadBalancing_ROUND_ROBIN, v1alpha1.LBRoundRobin: xdsv1.LoadBalancing_ROUND_ROBIN, v1alpha1.LBLeastRequest: xdsv1.LoadBalancing_LEAST_REQUEST,
	v1alpha1.LBRandom: xdsv1.LoadBalancing_RANDOM, v1alpha1.LBConsistentHash: xdsv1.LoadBalancing_CONSISTENT_HASH,
}

// number is an optional integer of the wire.
func number(n *int32, otherwise int32) uint32 { return uint32(max(ptr.Deref(n, otherwise), 0)) }

// durationOr is duration for a field with a default.
func durationOr(d *gatewayv1.Duration, otherwise time.Duration) *durationpb.Duration {
	if out := duration(d); out != nil {
		return out
	}
	return durationpb.New(otherwise)
}

var hashSources = map[v1alpha1.LBHashType]xdsv1.HashKey_Source{
	v1alpha1.LBHashSourceIP: xdsv1.HashKey_SOURCE_IP, v1alpha1.LBHashHeader: xdsv1.HashKey_HEADER,
	v1alpha1.LBHashCookie: xdsv1.HashKey_COOKIE, v1alpha1.LBHashHostname: xdsv1.HashKey_HOSTNAME,
}

func hashKey(h *v1alpha1.LBHash) *xdsv1.HashKey {
	if h == nil {
		return nil
	}
	out := &xdsv1.HashKey{Source: hashSources[h.Type], Name: h.Name}
	if h.Type == v1alpha1.LBHashHeader {
		out.Name = strings.ToLower(h.Name)
	}
	return out
}

func retryBudget(c *v1alpha1.LBRetryConstraint) *xdsv1.RetryBudget {
	if c == nil {
		return nil
	}
	budget, rate := ptr.Deref(c.Budget, v1alpha1.LBBudget{}), ptr.Deref(c.MinRetryRate, v1alpha1.LBRate{})
	return &xdsv1.RetryBudget{
		Percent: number(budget.Percent, 20), Interval: durationOr(budget.Interval, 10*time.Second),
		MinRetries: number(rate.Count, 10), MinInterval: durationOr(rate.Interval, time.Second),
	}
}

func outlier(o *v1alpha1.LBOutlierEjection) *xdsv1.Outlier {
	if o == nil {
		return nil
	}
	out := &xdsv1.Outlier{
		Consecutive_5Xx: number(o.Consecutive5xxErrors, 5), ConsecutiveGatewayErrors: number(o.ConsecutiveGatewayErrors, 5),
		BaseEjectionTime: durationOr(o.BaseEjectionTime, 30*time.Second), MaxEjectionTime: durationOr(o.MaxEjectionTime, 300*time.Second),
		MaxEjectionPercent: number(o.MaxEjectionPercent, 50),
	}
	if out.MaxEjectionTime.AsDuration() < out.BaseEjectionTime.AsDuration() {
		out.MaxEjectionTime = out.BaseEjectionTime
	}
	return out
}

func healthCheck(h *v1alpha1.LBHealthCheck) *xdsv1.HealthCheck {
	if h == nil {
		return nil
	}
	out := &xdsv1.HealthCheck{
		Interval: durationOr(h.Interval, 10*time.Second), Timeout: durationOr(h.Timeout, time.Second),
		UnhealthyThreshold: number(h.UnhealthyThreshold, 3), HealthyThreshold: number(h.HealthyThreshold, 2), Port: number(h.Port, 0),
	}
	switch h.Type {
	case v1alpha1.LBHealthCheckTCP:
		out.Kind = &xdsv1.HealthCheck_Tcp{Tcp: &xdsv1.TCPCheck{}}
	case v1alpha1.LBHealthCheckGRPC:
		out.Kind = &xdsv1.HealthCheck_Grpc{Grpc: &xdsv1.GRPCCheck{Service: ptr.Deref(h.GRPC, v1alpha1.LBGRPCCheck{}).Service}}
	default:
		get := ptr.Deref(h.HTTP, v1alpha1.LBHTTPCheck{})
		check := &xdsv1.HTTPCheck{Path: cmp.Or(get.Path, "/"), Host: get.Host}
		for _, s := range get.ExpectedStatuses {
			check.Statuses = append(check.Statuses, uint32(s))
		}
		out.Kind = &xdsv1.HealthCheck_Http{Http: check}
	}
	return out
}
