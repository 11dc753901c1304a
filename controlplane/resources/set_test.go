package resources

import (
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func endpointSlice(name, service string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
}

func objectOf(kind string, v Value) Object {
	return Object{Ref: Ref{Group: discoveryv1.GroupName, Kind: kind, Namespace: v.GetNamespace(), Name: v.GetName()}, Value: v}
}

// A set that was made by changing slices says so, and leaves the one that it was made from as it was.
func TestWithSlices(t *testing.T) {
	web, api := types.NamespacedName{Namespace: "a", Name: "web"}, types.NamespacedName{Namespace: "a", Name: "api"}
	old := NewSet([]Object{objectOf("EndpointSlice", endpointSlice("web-1", "web")), objectOf("EndpointSlice", endpointSlice("api-1", "api"))}, nil)
	now := old.WithSlices(map[types.NamespacedName][]*discoveryv1.EndpointSlice{web: nil})
	if len(old.Slices("a", "web")) != 1 || len(now.Slices("a", "web")) != 0 || len(now.Slices("a", "api")) != 1 {
		t.Errorf("old %v, now %v", old.Slices("a", "web"), now.Slices("a", "web"))
	}
	if changed, ok := now.ChangedSlices(old); !ok || len(changed) != 1 || changed[0] != web {
		t.Errorf("changed: %v, %v", changed, ok)
	}
	later := now.WithSlices(map[types.NamespacedName][]*discoveryv1.EndpointSlice{api: nil})
	if _, ok := later.ChangedSlices(old); ok {
		t.Error("a change of a change is not known to be of slices alone")
	}
	if _, ok := NewSet(nil, nil).ChangedSlices(old); ok {
		t.Error("another set differs in everything")
	}
}

// Each kind is in the list once and finds its objects again.
func TestKinds(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.GroupKind.String()] {
			t.Errorf("%s is there twice", k.GroupKind)
		}
		seen[k.GroupKind.String()] = true
		v := k.New()
		v.SetName("x")
		s := NewSet([]Object{{Ref: Ref{Group: k.Group, Kind: k.Kind, Name: "x"}, Value: v}}, nil)
		if got := s.Values(k); k.Kind != "EndpointSlice" && (len(got) != 1 || got[0] != v) {
			t.Errorf("%s: %v", k.GroupKind, got)
		}
	}
}
