package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// policyAt is what a policy targets: an object, or a section of it.
type policyAt struct{ namespace, kind, name, section string }

// claim gives a policy a target that only one of its kind can have; a fault names the one that has it.
func (t *translator) claim(p *policy, ref gatewayv1.LocalPolicyTargetReferenceWithSectionName) *fault {
	at := policyAt{p.object.GetNamespace(), string(ref.Kind), string(ref.Name), string(ptr.Deref(ref.SectionName, ""))}
	if owner, taken := t.claimed[at]; taken {
		return &fault{string(gatewayv1.PolicyReasonConflicted), fmt.Sprintf("the older %s %s holds there", p.ref.Kind, owner)}
	}
	t.claimed[at] = p.object.GetNamespace() + "/" + p.object.GetName()
	return nil
}

// buildRoutePolicies reads the RoutePolicies, the oldest first: of two with one target it holds there.
func (t *translator) buildRoutePolicies() {
	list := slices.Clone(t.in.RoutePolicies.All())
	slices.SortStableFunc(list, func(a, b *v1alpha1.RoutePolicy) int {
		return cmp.Or(a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, object := range list {
		p := &policy{
			object: object, targets: object.Spec.TargetRefs, alone: true,
			ref:   resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindRoutePolicy, Namespace: object.Namespace, Name: object.Name},
			kinds: []string{"Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"},
		}
		p.wire = &xdsv1.Policy{
			Key: xdsv1.PolicyKey(xdsv1.PolicyRoute, object.Namespace, object.Name), Namespace: object.Namespace, Name: object.Name,
			Kind: &xdsv1.Policy_Traffic{Traffic: p.traffic(&object.Spec)},
		}
		t.finishPolicy(p)
	}
}

func (p *policy) traffic(spec *v1alpha1.RoutePolicySpec) *xdsv1.Traffic {
	out := &xdsv1.Traffic{BufferRequest: spec.Buffering != nil && spec.Buffering.Request}
	if o := spec.Timeouts; o != nil {
		out.RequestTimeout, out.BackendTimeout, out.IdleTimeout = duration(o.Request), duration(o.BackendRequest), duration(o.Idle)
	}
	if l := spec.Limits; l != nil {
		if l.RequestBody != nil {
			out.MaxRequestBody = proto.Uint64(uint64(bytesOf(l.RequestBody, 1<<40)))
		}
		out.MaxRequestHead = uint32(bytesOf(l.RequestHead, 1<<20))
	}
	if c := spec.Connections; c != nil {
		out.ConnectionRequests, out.ConnectionAge = uint32(max(0, c.MaxRequests)), duration(c.MaxAge)
	}
	if len(spec.RateLimits) > 0 {
		out.Requests = requestLimits(spec)
	}
	return out
}

func requestLimits(spec *v1alpha1.RoutePolicySpec) *xdsv1.TokenLimit {
	out := &xdsv1.TokenLimit{}
	if spec.FailureMode == v1alpha1.FailureClosed {
		out.FailureMode = xdsv1.TokenLimit_CLOSED
	}
	for i := range spec.RateLimits {
		in := &spec.RateLimits[i]
		limit := &xdsv1.Limit{
			Name: in.Name, Unit: xdsv1.LimitUnit_REQUESTS, Limit: in.Requests, Window: &xdsv1.Limit_Sliding{Sliding: duration(&in.Window)},
		}
		for k := range in.Key {
			limit.Key = append(limit.Key, limitKey(&in.Key[k]))
		}
		out.Limits = append(out.Limits, limit)
	}
	return out
}

// streamsNote says what of a RoutePolicy does not hold for connections and datagrams.
func streamsNote(t *xdsv1.Traffic) string {
	var without []string
	for _, f := range [...]struct {
		name string
		set  bool
	}{
		{"timeouts.request", t.GetRequestTimeout() != nil}, {"timeouts.backendRequest", t.GetBackendTimeout() != nil},
		{"limits", t != nil && t.MaxRequestBody != nil || t.GetMaxRequestHead() > 0}, {"buffering", t.GetBufferRequest()},
		{"connections", t.GetConnectionRequests() > 0 || t.GetConnectionAge() != nil}, {"rateLimits", t.GetRequests() != nil},
	} {
		if f.set {
			without = append(without, f.name)
		}
	}
	if len(without) == 0 {
		return ""
	}
	return "; for connections and datagrams only timeouts.idle holds, not " + strings.Join(without, ", ")
}
