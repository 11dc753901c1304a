package kube

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	discoveryv1 "k8s.io/api/discovery/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// store has the objects as the watches see them, and notes what has changed since the last set.
type store struct {
	// news has a token when something has changed.
	news chan struct{}

	mu      sync.Mutex
	objects map[k8sschema.GroupKind]map[types.NamespacedName]resources.Value
	slices  map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice // by Service and name

	// What has changed: what translation reads, what it does not (status), the slices of which Services.
	full, rest bool
	changed    map[types.NamespacedName]bool
	// edited are the objects that have changed in either way, nil for those that are gone.
	edited map[resources.Ref]resources.Value
}

func newStore() *store {
	return &store{
		news: make(chan struct{}, 1), objects: map[k8sschema.GroupKind]map[types.NamespacedName]resources.Value{},
		slices: map[types.NamespacedName]map[string]*discoveryv1.EndpointSlice{}, changed: map[types.NamespacedName]bool{},
		edited: map[resources.Ref]resources.Value{},
	}
}

func refOf(gk k8sschema.GroupKind, name types.NamespacedName) resources.Ref {
	return resources.Ref{Group: gk.Group, Kind: gk.Kind, Namespace: name.Namespace, Name: name.Name}
}

func nameOf(v resources.Value) types.NamespacedName {
	return types.NamespacedName{Namespace: v.GetNamespace(), Name: v.GetName()}
}

// put notes an object that is new or different.
func (s *store) put(gk k8sschema.GroupKind, v resources.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := v.(*discoveryv1.EndpointSlice); ok {
		s.putSlice(e)
		return
	}
	of := s.objects[gk]
	if of == nil {
		of = map[types.NamespacedName]resources.Value{}
		s.objects[gk] = of
	}
	old := of[nameOf(v)]
	of[nameOf(v)] = v
	s.edited[refOf(gk, nameOf(v))] = v
	if old == nil || differ(old, v) {
		s.full = true
	} else {
		s.rest = true
	}
	s.tell()
}

// putSlice notes an EndpointSlice. Its Service never changes but by a change of the label, which moves it.
func (s *store) putSlice(e *discoveryv1.EndpointSlice) {
	service := resources.ServiceOf(e)
	of := s.slices[service]
	if of == nil {
		of = map[string]*discoveryv1.EndpointSlice{}
		s.slices[service] = of
	}
	of[e.Name] = e
	s.changed[service] = true
	s.tell()
}

// remove notes that an object is gone.
func (s *store) remove(gk k8sschema.GroupKind, v resources.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := v.(*discoveryv1.EndpointSlice); ok {
		service := resources.ServiceOf(e)
		delete(s.slices[service], e.Name)
		if len(s.slices[service]) == 0 {
			delete(s.slices, service)
		}
		s.changed[service] = true
	} else {
		delete(s.objects[gk], nameOf(v))
		s.edited[refOf(gk, nameOf(v))] = nil
		s.full = true
	}
	s.tell()
}

// drop forgets all objects of a kind.
func (s *store) drop(gk k8sschema.GroupKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.objects[gk]) > 0 {
		for name := range s.objects[gk] {
			s.edited[refOf(gk, name)] = nil
		}
		delete(s.objects, gk)
		s.full = true
		s.tell()
	}
}

// touch makes a set although no object has changed: something beside them has.
func (s *store) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = true
	s.tell()
}

func (s *store) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// pending says what has changed.
func (s *store) pending() (full, slices bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full || s.rest, len(s.changed) > 0
}

// next is the set as it is now, made from the last one where that is less work.
func (s *store) next(last *resources.Set) *resources.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last == nil || len(s.edited) > manyEdits {
		return s.index(last)
	}
	set := last
	if len(s.edited) > 0 {
		set = set.With(s.edited)
	}
	if changed := s.changedSlices(); len(changed) > 0 {
		set = set.WithSlices(changed)
	}
	if !s.full && set != last {
		set.OnlySlicesChanged(last, slices.Collect(maps.Keys(s.changed)))
	}
	s.settle()
	return set
}

// manyEdits is how many objects are indexed anew all together: with each of them costs its place in a list.
const manyEdits = 1000

// settle notes that a set has all changes.
func (s *store) settle() {
	s.full, s.rest = false, false
	s.changed, s.edited = map[types.NamespacedName]bool{}, map[resources.Ref]resources.Value{}
}

// all is the set as it is now.
func (s *store) all() *resources.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index(nil)
}

// index is the set as it is now, indexed anew.
func (s *store) index(last *resources.Set) *resources.Set {
	var list []resources.Object
	for gk, of := range s.objects {
		for name, v := range of {
			list = append(list, resources.Object{Ref: refOf(gk, name), Value: v})
		}
	}
	for _, of := range s.slices {
		for _, e := range of {
			list = append(list, resources.Object{Ref: resources.Ref{Group: discoveryv1.GroupName, Kind: "EndpointSlice", Namespace: e.Namespace, Name: e.Name}, Value: e})
		}
	}
	set := resources.NewSet(list, nil)
	if !s.full && last != nil {
		set.OnlySlicesChanged(last, slices.Collect(maps.Keys(s.changed)))
	}
	s.settle()
	return set
}

// changedSlices are the slices of the Services where one has changed.
func (s *store) changedSlices() map[types.NamespacedName][]*discoveryv1.EndpointSlice {
	out := make(map[types.NamespacedName][]*discoveryv1.EndpointSlice, len(s.changed))
	for service := range s.changed {
		list := slices.Collect(maps.Values(s.slices[service]))
		slices.SortFunc(list, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
		out[service] = list
	}
	return out
}
