package resources

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// Set is an immutable view of all objects that the control plane reads. Its indexes are in order of namespace and name, so
// that whatever is made from a Set comes out in the same order. Safe for concurrent use.
type Set struct {
	GatewayClasses      Index[*gatewayv1.GatewayClass]
	Gateways            Index[*gatewayv1.Gateway]
	ListenerSets        Index[*gatewayv1.ListenerSet]
	HTTPRoutes          Index[*gatewayv1.HTTPRoute]
	GRPCRoutes          Index[*gatewayv1.GRPCRoute]
	TLSRoutes           Index[*gatewayv1.TLSRoute]
	TCPRoutes           Index[*gatewayv1.TCPRoute]
	UDPRoutes           Index[*gatewayv1.UDPRoute]
	ReferenceGrants     Index[*gatewayv1.ReferenceGrant]
	BackendTLSPolicies  Index[*gatewayv1.BackendTLSPolicy]
	Services            Index[*corev1.Service]
	Secrets             Index[*corev1.Secret]
	ConfigMaps          Index[*corev1.ConfigMap]
	Namespaces          Index[*corev1.Namespace]
	AIProviders         Index[*v1alpha1.AIProvider]
	AIBackends          Index[*v1alpha1.AIBackend]
	AuthPolicies        Index[*v1alpha1.AuthPolicy]
	TokenPolicies       Index[*v1alpha1.TokenPolicy]
	PromptGuardPolicies Index[*v1alpha1.PromptGuardPolicy]
	GatewayConfigs      Index[*v1alpha1.GatewayConfig]
	RoutePolicies       Index[*v1alpha1.RoutePolicy]
	BackendLBPolicies   Index[*v1alpha1.BackendLBPolicy]

	problems []Problem
	origins  map[Ref]Origin
	// endpointSlices are all EndpointSlices until they are in slices, by Service.
	endpointSlices Index[*discoveryv1.EndpointSlice]
	slices         map[types.NamespacedName][]*discoveryv1.EndpointSlice
	grants         map[string][]*gatewayv1.ReferenceGrant
	// identity tells sets apart; from is that of the set which this one was made from by changing the slices of some Services.
	identity, from *identity
	changed        []types.NamespacedName
}

// identity has a size, so that each has an address of its own.
type identity struct{ _ byte }

// Index has the objects of one kind.
type Index[T Value] struct {
	list []T
	at   map[types.NamespacedName]T
}

// All lists the objects in order of namespace and name. The caller must not change the list.
func (x *Index[T]) All() []T { return x.list }

// Get finds one object; namespace is empty for kinds that have none.
func (x *Index[T]) Get(namespace, name string) (T, bool) {
	v, ok := x.at[types.NamespacedName{Namespace: namespace, Name: name}]
	return v, ok
}

// same says whether another index of the type has the very same objects.
func (x *Index[T]) same(other indexer) bool {
	o, ok := other.(*Index[T])
	return ok && slices.EqualFunc(x.list, o.list, func(a, b T) bool { return any(a) == any(b) })
}

// edit puts objects in place of their namesakes or beside the others, and takes some away. Sets that share the index keep theirs.
func (x *Index[T]) edit(objects map[types.NamespacedName]Value) {
	x.list, x.at = slices.Clone(x.list), maps.Clone(x.at)
	for name, v := range objects {
		i, there := slices.BinarySearchFunc(x.list, name, func(v T, n types.NamespacedName) int {
			return cmp.Or(cmp.Compare(v.GetNamespace(), n.Namespace), cmp.Compare(v.GetName(), n.Name))
		})
		switch v, ok := v.(T); {
		case ok && there:
			x.list[i], x.at[name] = v, v
		case ok:
			x.list, x.at[name] = slices.Insert(x.list, i, v), v
		case there:
			x.list = slices.Delete(x.list, i, i+1)
			delete(x.at, name)
		}
	}
}

// indexer is an Index of any type.
type indexer interface {
	edit(map[types.NamespacedName]Value)
	same(indexer) bool
	add(Value)
	seal()
	values() []Value
}

func (x *Index[T]) add(v Value) {
	if v, ok := v.(T); ok {
		x.list = append(x.list, v)
	}
}

func (x *Index[T]) values() []Value {
	out := make([]Value, 0, len(x.list))
	for _, v := range x.list {
		out = append(out, v)
	}
	return out
}

// seal sorts the index and makes it ready for Get.
func (x *Index[T]) seal() {
	slices.SortFunc(x.list, func(a, b T) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	x.at = make(map[types.NamespacedName]T, len(x.list))
	for _, v := range x.list {
		x.at[types.NamespacedName{Namespace: v.GetNamespace(), Name: v.GetName()}] = v
	}
}

// NewSet indexes objects. Of those with an Origin, one that is there twice is used once, the first time that it occurs; each further one is a
// Problem. problems are those of the reading.
func NewSet(objects []Object, problems []Problem) *Set {
	s := &Set{identity: new(identity), origins: map[Ref]Origin{}, problems: slices.Clone(problems)}
	for _, o := range objects {
		if o.Origin == (Origin{}) { // of a cluster, where each is there once
			s.add(o)
			continue
		}
		if first, twice := s.origins[o.Ref]; twice {
			s.problems = append(s.problems, Problem{
				Origin: o.Origin, Ref: o.Ref, Message: fmt.Sprintf("is defined already at %s, which is used", first),
			})
			continue
		}
		s.origins[o.Ref] = o.Origin
		s.add(o)
	}
	s.seal()
	return s
}

func (s *Set) add(o Object) {
	if k, ok := kindOf(k8sschema.GroupKind{Group: o.Ref.Group, Kind: o.Ref.Kind}); ok {
		k.index(s).add(o.Value)
	}
}

// SameBut says whether a set has the very same objects as another one, but for those of some kinds and EndpointSlices.
func (s *Set) SameBut(o *Set, but ...string) bool {
	for i := range kinds {
		k := &kinds[i]
		if !slices.Contains(but, k.Kind) && !k.index(s).same(k.index(o)) {
			return false
		}
	}
	return true
}

// SameSlices says whether a set has the very same EndpointSlices as another one.
func (s *Set) SameSlices(o *Set) bool {
	return maps.EqualFunc(s.slices, o.slices, func(a, b []*discoveryv1.EndpointSlice) bool { return slices.Equal(a, b) })
}

// Problems lists what was wrong with the input.
func (s *Set) Problems() []Problem { return s.problems }

// Origin is where the object was read.
func (s *Set) Origin(r Ref) Origin { return s.origins[r] }

// Slices lists the EndpointSlices of a Service in order of their names.
func (s *Set) Slices(namespace, service string) []*discoveryv1.EndpointSlice {
	return s.slices[types.NamespacedName{Namespace: namespace, Name: service}]
}

// ServiceOf names the Service of an EndpointSlice.
func ServiceOf(e *discoveryv1.EndpointSlice) types.NamespacedName {
	return types.NamespacedName{Namespace: e.Namespace, Name: e.Labels[discoveryv1.LabelServiceName]}
}

// WithSlices is the set with other EndpointSlices of some Services, those of each in order of their names. All else is
// shared, so it costs little.
func (s *Set) WithSlices(of map[types.NamespacedName][]*discoveryv1.EndpointSlice) *Set {
	next := *s
	next.slices, next.identity = maps.Clone(s.slices), new(identity)
	next.from, next.changed = s.identity, slices.Collect(maps.Keys(of))
	for service, list := range of {
		if len(list) == 0 {
			delete(next.slices, service)
		} else {
			next.slices[service] = list
		}
	}
	return &next
}

// With is the set with other objects of a cluster, EndpointSlices apart: a nil Value is one that is gone. All else is shared, so it
// costs little for few.
func (s *Set) With(objects map[Ref]Value) *Set {
	next := *s
	next.identity, next.from, next.changed = new(identity), nil, nil
	kinds := map[k8sschema.GroupKind]map[types.NamespacedName]Value{}
	for ref, v := range objects {
		gk := k8sschema.GroupKind{Group: ref.Group, Kind: ref.Kind}
		if kinds[gk] == nil {
			kinds[gk] = map[types.NamespacedName]Value{}
		}
		kinds[gk][types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}] = v
	}
	for gk, of := range kinds {
		if k, ok := kindOf(gk); ok {
			k.index(&next).edit(of)
		}
	}
	next.sealGrants()
	return &next
}

// OnlySlicesChanged says of a set that is new that nothing which translation reads differs from old but the EndpointSlices
// of some Services, possibly none: objects may have another status.
func (s *Set) OnlySlicesChanged(old *Set, of []types.NamespacedName) {
	s.from, s.changed = old.identity, of
}

// ChangedSlices lists the Services whose EndpointSlices are all that translation reads in which the set differs from old; ok is false when other
// things differ too, or the set was not made from old.
func (s *Set) ChangedSlices(old *Set) (services []types.NamespacedName, ok bool) {
	if old == nil || s.from == nil || s.from != old.identity {
		return nil, false
	}
	return s.changed, true
}

// Values lists all objects of a kind in order of namespace and name, EndpointSlices apart.
func (s *Set) Values(k Kind) []Value { return k.index(s).values() }

// Grants lists the ReferenceGrants of a namespace.
func (s *Set) Grants(namespace string) []*gatewayv1.ReferenceGrant { return s.grants[namespace] }

// NamespaceLabels are the labels of a namespace. Every namespace has its name as a label, as in a cluster, also one that
// no object describes.
func (s *Set) NamespaceLabels(name string) map[string]string {
	labels := map[string]string{corev1.LabelMetadataName: name}
	if ns, ok := s.Namespaces.Get("", name); ok {
		for k, v := range ns.Labels {
			labels[k] = v
		}
	}
	return labels
}

// seal makes the indexes ready for Get, and those of slices and grants.
func (s *Set) seal() {
	for _, k := range kinds {
		k.index(s).seal()
	}
	s.slices = map[types.NamespacedName][]*discoveryv1.EndpointSlice{}
	for _, e := range s.endpointSlices.All() {
		s.slices[ServiceOf(e)] = append(s.slices[ServiceOf(e)], e)
	}
	s.endpointSlices = Index[*discoveryv1.EndpointSlice]{}
	s.sealGrants()
}

func (s *Set) sealGrants() {
	s.grants = map[string][]*gatewayv1.ReferenceGrant{}
	for _, g := range s.ReferenceGrants.All() {
		s.grants[g.Namespace] = append(s.grants[g.Namespace], g)
	}
}
