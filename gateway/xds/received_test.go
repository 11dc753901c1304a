package xds

import (
	"slices"
	"testing"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func wire(t testing.TB, name, version string, m proto.Message) *discovery.Resource {
	t.Helper()
	n, err := pack(name, version, m)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func secret(key string) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{Key: key}}}
}

// What cannot be read stands for itself: it is refused until it is replaced or removed, and the others of the response are
// taken.
func TestUnreadable(t *testing.T) {
	f := func(n *discovery.Resource) {
		t.Helper()
		r := newReceived()
		u, err := r.mergeResources(&discovery.DeltaDiscoveryResponse{Resources: []*discovery.Resource{wire(t, "secret/a/ok", "1", secret("secret/a/ok")), n}})
		if err == nil || len(u.Set) != 2 || xdsv1.KeyOf(u.Set["secret/a/ok"]) == "" || xdsv1.Validate(u.Set[n.GetName()]) == nil {
			t.Errorf("%v: %v, %v", n, u, err)
		}
		if v := r.versions(resources); len(v) != 2 {
			t.Errorf("%v: announces %v", n, v)
		}
		u, err = r.mergeResources(&discovery.DeltaDiscoveryResponse{RemovedResources: []string{n.GetName()}})
		if err != nil || !slices.Equal(u.Removed, []string{n.GetName()}) || len(r.resources) != 1 {
			t.Errorf("%v: after removal %v, %v", n, r.resources, err)
		}
	}
	f(wire(t, "secret/a/x", "1", secret("secret/a/other")))
	f(wire(t, "secret/a/x", "1", &xdsv1.Endpoints{Key: "secret/a/x"}))
	f(wire(t, "secret/a/x", "1", &xdsv1.Resource{}))
	f(&discovery.Resource{Name: "secret/a/x"})
	f(&discovery.Resource{Name: "secret/a/x", Resource: &anypb.Any{TypeUrl: resources.typeURL, Value: []byte{0xff}}})
}

func TestBackoffBounds(t *testing.T) {
	b := backoff{min: 100 * time.Millisecond, max: 3 * time.Second}
	want := b.min
	for i := range 100 {
		d := b.next(0)
		if d < want/4 || d > want {
			t.Errorf("attempt %d: %v, expected %v to %v", i, d, want/4, want)
		}
		want = min(2*want, b.max)
	}
	if d := b.next(4 * time.Second); d > b.min {
		t.Errorf("after a good stream: %v", d)
	}
	different := map[time.Duration]bool{}
	for range 100 {
		b.failures = 3
		different[b.next(0)] = true
	}
	if len(different) < 90 {
		t.Errorf("%d different waits of 100", len(different))
	}
}

// No response breaks a data plane.
func FuzzMerge(f *testing.F) {
	b, err := proto.Marshal(&discovery.DeltaDiscoveryResponse{
		Resources: []*discovery.Resource{wire(f, "secret/a/x", "1", secret("secret/a/x")), {}, nil}, RemovedResources: []string{"", "secret/a/x"},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	b, err = proto.Marshal(&discovery.DeltaDiscoveryResponse{Resources: []*discovery.Resource{
		wire(f, "backend/a/x/80", "1", &xdsv1.Endpoints{Key: "backend/a/x/80", Endpoints: []*xdsv1.Endpoint{{Address: "::1", Port: 80}}}),
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		resp := &discovery.DeltaDiscoveryResponse{}
		if proto.Unmarshal(b, resp) != nil {
			return
		}
		r := newReceived()
		u, _ := r.mergeResources(resp)
		r.lacking(u)
		if u, _ = r.mergeEndpoints(resp); len(u.Endpoints) > 0 {
			for key, e := range u.Endpoints {
				if err := xdsv1.ValidateEndpoints(e); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}
		}
		r.full()
		if _, err := list(r.endpoints); err != nil {
			t.Error(err)
		}
	})
}
