package kube

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

var (
	routes         = schema.GroupKind{Group: gatewayv1.GroupName, Kind: "HTTPRoute"}
	endpointSlices = schema.GroupKind{Group: discoveryv1.GroupName, Kind: "EndpointSlice"}
)

func route(generation int64, status int) *gatewayv1.HTTPRoute {
	r := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "r", UID: "1", Generation: generation}}
	r.Status.Parents = make([]gatewayv1.RouteParentStatus, status)
	return r
}

func slice(name string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}}
}

// What has changed decides how much is done about it.
func TestStore(t *testing.T) {
	s := newStore()
	s.put(routes, route(1, 0))
	s.put(endpointSlices, slice("one"))
	first := s.all()
	if len(first.HTTPRoutes.All()) != 1 || len(first.Slices("a", "web")) != 1 {
		t.Fatal("the set lacks objects")
	}
	only := func(what string, set, before *resources.Set, want bool, services int) {
		t.Helper()
		changed, ok := set.ChangedSlices(before)
		if ok != want || len(changed) != services {
			t.Errorf("%s: %v %v", what, changed, ok)
		}
	}
	s.put(endpointSlices, slice("two"))
	second := s.next(first)
	only("a slice", second, first, true, 1)
	if len(second.Slices("a", "web")) != 2 {
		t.Error("the slice is not there")
	}
	s.put(routes, route(1, 1))
	third := s.next(second)
	only("a status", third, second, true, 0)
	if r, _ := third.HTTPRoutes.Get("a", "r"); len(r.Status.Parents) != 1 {
		t.Error("the set has the status of before")
	}
	s.put(routes, route(2, 1))
	fourth := s.next(third)
	only("a specification", fourth, third, false, 0)
	s.remove(endpointSlices, slice("one"))
	s.remove(endpointSlices, slice("two"))
	fifth := s.next(fourth)
	only("slices that are gone", fifth, fourth, true, 1)
	if len(fifth.Slices("a", "web")) != 0 {
		t.Error("slices that are gone are there")
	}
	s.drop(routes)
	only("a kind that is gone", s.next(fifth), fifth, false, 0)
}

// Whatever changes, a set that is made of the one before is the set that is made of everything.
func TestSetsByEdits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	grants, services := schema.GroupKind{Group: gatewayv1.GroupName, Kind: "ReferenceGrant"}, schema.GroupKind{Kind: "Service"}
	s := newStore()
	last := s.all()
	for step := range 2000 {
		for range 1 + random.IntN(4) {
			meta := metav1.ObjectMeta{Namespace: fmt.Sprint("n", random.IntN(3)), Name: fmt.Sprint("o", random.IntN(12)), Generation: int64(step)}
			gk, v := routes, resources.Value(&gatewayv1.HTTPRoute{ObjectMeta: meta})
			switch random.IntN(5) {
			case 0:
				gk, v = services, &corev1.Service{ObjectMeta: meta}
			case 1:
				gk, v = grants, &gatewayv1.ReferenceGrant{ObjectMeta: meta}
			case 2:
				gk, v = endpointSlices, slice(meta.Name)
			}
			switch random.IntN(4) {
			case 0:
				s.remove(gk, v)
			default:
				s.put(gk, v)
			}
		}
		if random.IntN(100) == 0 {
			s.drop(routes)
		}
		next := s.next(last)
		whole := s.all()
		for _, k := range resources.Kinds() {
			if !slices.Equal(next.Values(k), whole.Values(k)) {
				t.Fatalf("step %d: %s differ", step, k.Kind)
			}
			for _, v := range next.Values(k) {
				if k.Kind == "HTTPRoute" {
					if got, ok := next.HTTPRoutes.Get(v.GetNamespace(), v.GetName()); !ok || resources.Value(got) != v {
						t.Fatalf("step %d: %s/%s is not found", step, v.GetNamespace(), v.GetName())
					}
				}
			}
		}
		for n := range 3 {
			namespace := fmt.Sprint("n", n)
			if !slices.Equal(next.Grants(namespace), whole.Grants(namespace)) {
				t.Fatalf("step %d: grants differ", step)
			}
		}
		if !next.SameSlices(whole) || len(next.HTTPRoutes.All()) != len(whole.HTTPRoutes.All()) {
			t.Fatalf("step %d: slices differ", step)
		}
		last = next
	}
	if _, there := last.HTTPRoutes.Get("n0", "nobody"); there {
		t.Error("somebody who never was is there")
	}
}

// Changes wait for quiet, but not for ever, and those of endpoints do not wait for more.
func TestPace(t *testing.T) {
	p := pace{quiet: time.Hour, most: 2 * time.Hour}
	start := time.Now()
	due, ok := p.due(true, false)
	if !ok || due.Before(start.Add(time.Hour)) {
		t.Errorf("due %s", due.Sub(start))
	}
	p.first = start.Add(-90 * time.Minute)
	if due, _ := p.due(true, true); due.Sub(start) > 31*time.Minute {
		t.Errorf("due in %s, expected at most two hours after the first change", due.Sub(start))
	}
	p = pace{quiet: time.Hour, most: 2 * time.Hour, slices: start.Add(-30 * time.Minute)}
	if due, _ := p.due(false, true); due.Sub(start) > 31*time.Minute {
		t.Errorf("endpoints are due in %s", due.Sub(start))
	}
}

// What is kept of an object lacks what is never read; above all the copy of a Secret that kubectl apply makes.
func TestTrim(t *testing.T) {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "keep": "x"}, ManagedFields: []metav1.ManagedFieldsEntry{{}}}}
	if _, err := trim(s); err != nil || s.ManagedFields != nil || len(s.Annotations) != 1 {
		t.Errorf("%+v, %v", s.ObjectMeta, err)
	}
	e := slice("x")
	e.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, TargetRef: &corev1.ObjectReference{Name: "pod"}}}
	if _, err := trim(e); err != nil || e.Endpoints[0].TargetRef != nil || e.Endpoints[0].Addresses[0] != "192.0.2.1" || resources.ServiceOf(e).Name != "web" {
		t.Errorf("%+v, %v", e, err)
	}
}

// Of objects that count no generations the content is compared.
func TestDiffer(t *testing.T) {
	f := func(a, b resources.Value, want bool) {
		t.Helper()
		if differ(a, b) != want {
			t.Errorf("%T differ: %v, expected %v", a, !want, want)
		}
	}
	f(&corev1.Secret{Data: map[string][]byte{"a": []byte("1")}}, &corev1.Secret{Data: map[string][]byte{"a": []byte("1")}}, false)
	f(&corev1.Secret{Data: map[string][]byte{"a": []byte("1")}}, &corev1.Secret{Data: map[string][]byte{"a": []byte("2")}}, true)
	f(&corev1.ConfigMap{Data: map[string]string{"a": "1"}}, &corev1.ConfigMap{Data: map[string]string{}}, true)
	f(&corev1.Service{}, &corev1.Service{Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}}}}, false)
	f(&corev1.Service{}, &corev1.Service{Spec: corev1.ServiceSpec{ExternalName: "x"}}, true)
	f(&corev1.Namespace{}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}}, true)
	f(route(1, 0), route(1, 3), false)
	f(route(1, 0), route(2, 0), true)
}

// Each kind is found by the name of its CRD.
func TestPlurals(t *testing.T) {
	want := map[string]string{"GatewayClass": "gatewayclasses", "AuthPolicy": "authpolicies", "BackendTLSPolicy": "backendtlspolicies", "HTTPRoute": "httproutes", "GatewayConfig": "gatewayconfigs"}
	for kind, plural := range want {
		if got := pluralOf(kind); got != plural {
			t.Errorf("%s: %s", kind, got)
		}
	}
}
