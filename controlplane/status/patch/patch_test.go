package patch

import (
	"context"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/status"
)

const (
	ours   = gatewayv1.GatewayController("gateway.nantian.dev/controller")
	theirs = gatewayv1.GatewayController("example.com/other")
)

func condition(typ string, s metav1.ConditionStatus, generation int64) metav1.Condition {
	return metav1.Condition{Type: typ, Status: s, Reason: "R", Message: "m", ObservedGeneration: generation}
}

func old(c metav1.Condition) metav1.Condition {
	c.LastTransitionTime = metav1.NewTime(time.Unix(1000, 0))
	return c
}

// harness is a cluster with a few objects, and a Writer.
type harness struct {
	*testing.T
	client client.Client
	writer *Writer
	counts map[string]int
}

func newHarness(t *testing.T, f interceptor.Funcs, objects ...client.Object) *harness {
	s := runtime.NewScheme()
	if err := gatewayv1.Install(s); err != nil {
		t.Fatal(err)
	}
	if err := metav1.AddMetaToScheme(s); err != nil {
		t.Fatal(err)
	}
	h := &harness{T: t, counts: map[string]int{}}
	h.client = fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).WithStatusSubresource(objects...).WithInterceptorFuncs(f).Build()
	h.writer = New(Options{Client: h.client, Controller: ours, Count: func(o string) { h.counts[o]++ }, Now: func() time.Time { return time.Unix(2000, 0) }})
	return h
}

func (h *harness) set() *resources.Set {
	h.Helper()
	var list []resources.Object
	for _, k := range []string{"Gateway", "HTTPRoute"} {
		var v resources.Value = &gatewayv1.HTTPRoute{}
		if k == "Gateway" {
			v = &gatewayv1.Gateway{}
		}
		if err := h.client.Get(context.Background(), client.ObjectKey{Namespace: "a", Name: "x"}, v); client.IgnoreNotFound(err) != nil {
			h.Fatal(err)
		} else if err == nil {
			list = append(list, resources.Object{Ref: ref(k), Value: v})
		}
	}
	return resources.NewSet(list, nil)
}

func ref(kind string) resources.Ref {
	return resources.Ref{Group: gatewayv1.GroupName, Kind: kind, Namespace: "a", Name: "x"}
}

func (h *harness) sync(updates ...status.Update) {
	h.Helper()
	if err := h.writer.Sync(context.Background(), h.set(), updates); err != nil {
		h.Fatal(err)
	}
}

func (h *harness) route() []gatewayv1.RouteParentStatus {
	h.Helper()
	var r gatewayv1.HTTPRoute
	if err := h.client.Get(context.Background(), client.ObjectKey{Namespace: "a", Name: "x"}, &r); err != nil {
		h.Fatal(err)
	}
	return r.Status.Parents
}

func httpRoute(parents ...gatewayv1.RouteParentStatus) *gatewayv1.HTTPRoute {
	r := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x", Generation: 2}}
	r.Status.Parents = parents
	return r
}

func parent(c gatewayv1.GatewayController, gateway string, conditions ...metav1.Condition) gatewayv1.RouteParentStatus {
	return gatewayv1.RouteParentStatus{ParentRef: gatewayv1.ParentReference{Name: gatewayv1.ObjectName(gateway)}, ControllerName: c, Conditions: conditions}
}

func wanted(gateway string, conditions ...metav1.Condition) status.Update {
	return status.Update{Ref: ref("HTTPRoute"), Parents: []status.Parent{{Ref: gatewayv1.ParentReference{Name: gatewayv1.ObjectName(gateway)}, Conditions: conditions}}}
}

// Parents of other controllers stay where they are, ours are replaced, and what is right is not written again.
func TestParents(t *testing.T) {
	h := newHarness(t, interceptor.Funcs{}, httpRoute(parent(ours, "gone"), parent(theirs, "gw", old(condition("Accepted", "True", 1)))))
	u := wanted("gw", condition("Accepted", "True", 2))
	h.sync(u)
	got := h.route()
	if len(got) != 2 || got[0].ControllerName != theirs || got[1].ControllerName != ours || got[1].ParentRef.Name != "gw" {
		t.Errorf("%+v", got)
	}
	h.sync(u)
	h.writer = New(h.writer.o) // another leader
	h.sync(u)
	if h.counts["written"] != 1 {
		t.Errorf("writes: %v, expected one", h.counts)
	}
	h.sync() // the route has no parent of ours any more
	if got := h.route(); len(got) != 1 || got[0].ControllerName != theirs {
		t.Errorf("%+v", got)
	}
}

// The time of a transition changes with the status alone.
func TestTransition(t *testing.T) {
	h := newHarness(t, interceptor.Funcs{}, httpRoute(parent(ours, "gw", old(condition("Accepted", "True", 1)), old(condition("ResolvedRefs", "True", 1)), old(condition("example.com/Seen", "True", 1)))))
	h.sync(wanted("gw", condition("Accepted", "True", 2), condition("ResolvedRefs", "False", 2)))
	c := h.route()[0].Conditions
	if len(c) != 3 || c[0].LastTransitionTime.Unix() != 1000 || c[0].ObservedGeneration != 2 || c[1].LastTransitionTime.Unix() != 2000 {
		t.Errorf("%+v", c)
	}
	if c[2].Type != "example.com/Seen" {
		t.Error("somebody else's condition is gone")
	}
}

// Of a Gateway, listeners and addresses are ours, conditions of others are not.
func TestGateway(t *testing.T) {
	g := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}}
	g.Status.Conditions = []metav1.Condition{old(condition("Accepted", "Unknown", 0)), old(condition("InsecureFrontendValidationMode", "True", 1)), old(condition("Foreign", "True", 1))}
	g.Status.Listeners = []gatewayv1.ListenerStatus{{Name: "gone"}, {Name: "http", AttachedRoutes: 1, SupportedKinds: []gatewayv1.RouteGroupKind{}, Conditions: []metav1.Condition{old(condition("Accepted", "True", 1))}}}
	h := newHarness(t, interceptor.Funcs{}, g)
	h.sync(status.Update{
		Ref: ref("Gateway"), Conditions: []metav1.Condition{condition("Accepted", "True", 1)},
		Listeners: []gatewayv1.ListenerStatus{{Name: "http", AttachedRoutes: 2, SupportedKinds: []gatewayv1.RouteGroupKind{}, Conditions: []metav1.Condition{condition("Accepted", "True", 1)}}},
		Addresses: []gatewayv1.GatewayStatusAddress{{Value: "192.0.2.1"}}, AttachedListenerSets: new(int32),
	})
	var now gatewayv1.Gateway
	if err := h.client.Get(t.Context(), client.ObjectKey{Namespace: "a", Name: "x"}, &now); err != nil {
		t.Fatal(err)
	}
	s := now.Status
	types := slices.Collect(func(yield func(string) bool) {
		for _, c := range s.Conditions {
			yield(c.Type)
		}
	})
	if !slices.Equal(types, []string{"Accepted", "Foreign"}) || s.Conditions[0].LastTransitionTime.Unix() != 2000 {
		t.Errorf("conditions: %+v", s.Conditions)
	}
	if len(s.Listeners) != 1 || s.Listeners[0].AttachedRoutes != 2 || s.Listeners[0].Conditions[0].LastTransitionTime.Unix() != 1000 || len(s.Addresses) != 1 ||
		s.AttachedListenerSets == nil {
		t.Errorf("%+v", s)
	}
}

// A conflict is compared anew and tried again, a few times and no more.
func TestConflict(t *testing.T) {
	conflicts := 2
	f := interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
		if conflicts > 0 {
			conflicts--
			var r gatewayv1.HTTPRoute
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), &r); err != nil {
				return err
			}
			r.Status.Parents = append(r.Status.Parents, parent(theirs, "other"))
			if err := c.Status().Update(ctx, &r); err != nil {
				return err
			}
		}
		return c.SubResource(sub).Patch(ctx, o, p, opts...)
	}}
	h := newHarness(t, f, httpRoute())
	h.sync(wanted("gw", condition("Accepted", "True", 2)))
	if got := h.route(); len(got) != 3 || h.counts["conflict"] != 2 || h.counts["written"] != 1 {
		t.Errorf("%+v, %v", got, h.counts)
	}
	conflicts = 1000
	if err := h.writer.Sync(t.Context(), h.set(), []status.Update{wanted("gw", condition("Accepted", "False", 2))}); err == nil {
		t.Error("a fight without end")
	}
	if h.counts["conflict"] > 2+maxTries {
		t.Errorf("%d conflicts", h.counts["conflict"])
	}
}
