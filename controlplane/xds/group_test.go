package xds

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

type anyone struct{}

func (anyone) Authenticate(context.Context) (Identity, error) { return Identity{Group: "a/b"}, nil }

func newServer(t testing.TB) *Server {
	t.Helper()
	s, err := New(Options{Authenticator: anyone{}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secret(name, value string) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{
		Key: xdsv1.SecretKey("a", name), Kind: &xdsv1.Secret_Opaque{Opaque: &xdsv1.Opaque{Data: map[string][]byte{"k": []byte(value)}}},
	}}}
}

func snap(t testing.TB, rs ...*xdsv1.Resource) *snapshot.Snapshot {
	t.Helper()
	all := map[string]*xdsv1.Resource{}
	for _, r := range rs {
		all[xdsv1.KeyOf(r)] = r
	}
	s, err := snapshot.New(all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reader follows one type as a data plane does.
type reader struct {
	cursor cursor
	has    map[string]string
}

// read takes the next response, if there is one.
func (r *reader) read(t *testing.T, rev *revisions) (changed int) {
	t.Helper()
	out := make(chan cache.DeltaResponse, 1)
	cancel, err := rev.watch(&watch{request: &discovery.DeltaDiscoveryRequest{}, out: out, cursor: &r.cursor})
	if err != nil {
		r.cursor = cursor{resume: maps.Clone(r.has)}
		return r.read(t, rev)
	}
	if cancel != nil {
		cancel()
		return 0
	}
	resp, _ := (<-out).GetDeltaDiscoveryResponse()
	for _, n := range resp.Resources {
		r.has[n.Name] = n.Version
	}
	for _, key := range resp.RemovedResources {
		delete(r.has, key)
	}
	return len(resp.Resources) + len(resp.RemovedResources)
}

// Whatever changes, and whenever a data plane reads, it ends up with what there is; the version is that of the content.
func TestReadersConverge(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	rev := newRevisions(TypeResource)
	readers := make([]*reader, 8)
	for i := range readers {
		readers[i] = &reader{has: map[string]string{}}
	}
	for step := range 20000 {
		var set []*discovery.Resource
		var removed []string
		for range rnd.IntN(4) {
			key := "k" + strconv.Itoa(rnd.IntN(50))
			if rnd.IntN(3) == 0 {
				removed = append(removed, key)
			} else if !slices.Contains(removed, key) {
				set = append(set, &discovery.Resource{Name: key, Version: strconv.Itoa(rnd.IntN(5))})
			}
		}
		set = slices.DeleteFunc(set, func(n *discovery.Resource) bool { return slices.Contains(removed, n.Name) })
		rev.publish(set, removed, "")
		for i, r := range readers {
			if rnd.IntN(1+i*i*i*20) == 0 { // some read every time, some once in thousands of changes
				r.read(t, rev)
			}
		}
		if step%1000 == 0 && len(rev.log) > 3*(minLog+100) {
			t.Fatalf("the log has %d entries", len(rev.log))
		}
	}
	want := map[string]string{}
	for key, n := range rev.items {
		want[key] = n.Version
	}
	for i, r := range readers {
		r.read(t, rev)
		if !maps.Equal(r.has, want) {
			t.Errorf("reader %d has %v, expected %v", i, r.has, want)
		}
	}
	if rev.version != Version(want) {
		t.Error("the version does not follow from the content")
	}
	size := 0
	for _, n := range rev.items {
		size += weight(n)
	}
	if size != rev.size {
		t.Errorf("size %d, expected %d", rev.size, size)
	}
}

// A watch costs what has changed: a response holds that and no more, and is made once for all that wait for it.
func TestWatchCostsChanges(t *testing.T) {
	rev := newRevisions(TypeResource)
	var all []*discovery.Resource
	for i := range 10000 {
		all = append(all, &discovery.Resource{Name: fmt.Sprint(i), Version: "1"})
	}
	rev.publish(all, nil, "")
	var readers []*reader
	for range 1000 {
		r := &reader{has: map[string]string{}, cursor: cursor{started: true, at: rev.now}}
		readers = append(readers, r)
	}
	rev.publish([]*discovery.Resource{{Name: "7", Version: "2"}}, []string{"8"}, "")
	for _, r := range readers {
		if n := r.read(t, rev); n != 2 {
			t.Fatalf("%d changes, expected 2", n)
		}
	}
	if len(rev.differences) != 1 {
		t.Errorf("%d differences were made for one", len(rev.differences))
	}
	allocs := testing.AllocsPerRun(100, func() {
		r := &reader{cursor: cursor{started: true, at: rev.now - 1}, has: map[string]string{}}
		r.read(t, rev)
	})
	if allocs > 20 {
		t.Errorf("%v allocations for a watch", allocs)
	}
}

// Versions are of the content: the order and the way to it do not matter.
func TestVersion(t *testing.T) {
	a, b := newServer(t), newServer(t)
	final := snap(t, secret("x", "1"), secret("y", "2"))
	steps := []*snapshot.Snapshot{snap(t, secret("z", "1")), snap(t), snap(t, secret("x", "9"), secret("z", "1")), final}
	for _, s := range steps {
		if err := a.SetGroup("a/b", s, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.SetGroup("a/b", final, nil); err != nil {
		t.Fatal(err)
	}
	va, vb := a.groups["a/b"].version.String(), b.groups["a/b"].version.String()
	if va != vb || va != Version(final.Versions) || va == Version(nil) {
		t.Errorf("%s, %s, expected %s", va, vb, Version(final.Versions))
	}
}

// What could not arrive in one response is refused where it is set, and what was set before stays.
func TestTooBig(t *testing.T) {
	s := newServer(t)
	if err := s.SetGroup("a/b", snap(t, secret("x", "1")), nil); err != nil {
		t.Fatal(err)
	}
	rev := s.groups["a/b"].views[xdsv1.Level].resources
	rev.size = maxContent
	err := s.SetGroup("a/b", snap(t, secret("x", "1"), secret("y", "1")), nil)
	if err == nil || !strings.Contains(err.Error(), "group a/b") || len(rev.items) != 1 {
		t.Errorf("%d resources, %v", len(rev.items), err)
	}
}

// Groups that were only asked for are forgotten.
func TestGroupsAreForgotten(t *testing.T) {
	s := newServer(t)
	for i := range 100 {
		st, err := s.open(Identity{Group: fmt.Sprint("a/", i)})
		if err != nil {
			t.Fatal(err)
		}
		s.RemoveGroup("b/" + fmt.Sprint(i))
		s.SetEndpoints("c/"+fmt.Sprint(i), nil, []string{"x"})
		s.close(st)
	}
	if len(s.groups) != 0 {
		t.Errorf("%d groups are kept", len(s.groups))
	}
	if err := s.SetGroup("a/b", snap(t), nil); err != nil {
		t.Fatal(err)
	}
	s.RemoveGroup("a/b")
	if len(s.groups) != 0 {
		t.Errorf("%d groups are kept after removal", len(s.groups))
	}
}

func TestNewNeedsAuthenticator(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a server that asks nobody who they are")
	}
}

// No request breaks the server, whatever is in it.
func FuzzRequest(f *testing.F) {
	for _, r := range []*discovery.DeltaDiscoveryRequest{
		{TypeUrl: TypeResource}, {TypeUrl: TypeEndpoints, ResponseNonce: "1"}, {TypeUrl: TypeResource, ResourceNamesUnsubscribe: []string{"*"}},
		{TypeUrl: TypeResource, InitialResourceVersions: map[string]string{"secret/a/x": "1", "gone": "2"}},
	} {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		s := newServer(t)
		if err := s.SetGroup("a/b", snap(t, secret("x", "1")), nil); err != nil {
			t.Fatal(err)
		}
		st, err := s.open(Identity{Group: "a/b"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.close(st)
		out := make(chan cache.DeltaResponse, 4)
		for _, b := range [][]byte{first, second} {
			req := &discovery.DeltaDiscoveryRequest{}
			if proto.Unmarshal(b, req) != nil || st.OnStreamDeltaRequest(1, req) != nil {
				return
			}
			cancel, err := st.CreateDeltaWatch(req, nil, out)
			if err != nil {
				return
			}
			if cancel != nil {
				cancel()
			}
		}
	})
}
