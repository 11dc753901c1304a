// Package translate turns the objects of a Set into what data planes receive and what users read in status. It is one pure
// function: no clock, no I/O, no client, no logger. It translates everything; what has changed is found afterwards. Rules of routes
// that cannot have changed are taken from the translation before, which gives the same result sooner.
//
// It owns the meaning of the Gateway API: which routes attach to which listeners, which references are allowed, what each
// condition says. It imports no source of objects and no transport.
package translate

import (
	"cmp"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/status"
)

const (
	// ControllerName is what a GatewayClass of ours has as its controllerName.
	ControllerName = "gateway.nantian.dev/controller"
	// ClassName is the GatewayClass that standalone mode has without an object for it.
	ClassName = "nantian"
	// Standalone is the one group of standalone mode.
	Standalone GroupName = "standalone"
)

// GroupName names a set of data planes that serve the same Gateways: one per Gateway, "<namespace>/<name>", or Standalone.
type GroupName string

// Options say in which surroundings objects are translated.
type Options struct {
	// Standalone: all Gateways are one group, a GatewayClass may be missing, and a Service without EndpointSlices is found
	// by DNS.
	Standalone bool
	// ClusterDomain is the domain of the names of Services; empty: cluster.local.
	ClusterDomain string
	// InForce is the version of a resource that is published already; nil: none. It stays in force when the new one is
	// refused, so that what refers to it goes on working. Without the function nothing is published yet.
	InForce func(key string) *xdsv1.Resource
	// Last is what was made of the set before; nil: nothing. What cannot have changed since is taken from it: the result is the
	// same as without.
	Last *Result
}

// Result is what Translate makes.
type Result struct {
	// Snapshots by group.
	Snapshots map[GroupName]*snapshot.Snapshot
	// Gateways of ours, in order of namespace and name.
	Gateways []Gateway
	// Statuses of all objects of ours, in order of kind, namespace and name.
	Statuses []status.Update
	// Refused are the resources, by key, that a data plane could not run. They are in no snapshot; their last valid version
	// is to stay in force.
	Refused map[string]error
	// of made it; the next Translate may take over from there.
	of *translator
}

// translator is the state of one Translate.
type translator struct {
	in *resources.Set
	o  Options

	gateways map[types.NamespacedName]*gateway
	sets     map[types.NamespacedName]*listenerSet
	routes   []*route
	configs  map[types.NamespacedName]*config
	// pool has every resource that was built, referenced or not, by key.
	pool map[string]*xdsv1.Resource
	// backends, providers and models remember what was made of a reference, by key.
	backends  map[string]*backend
	providers map[string]*provider
	models    map[string]*modelMap
	policies  map[types.NamespacedName][]*tlsPolicy
	balancing map[servicePort]*lbPolicy

	// keptPolicies are those that are refused and whose last valid version stays in force, with the targets that they have now.
	keptPolicies map[string]*xdsv1.Policy

	// built are the routes by their objects, attached or not; last is where those are that cannot have changed; nil: nowhere.
	built map[resources.Ref]*route
	last  *translator

	// claimed says which RoutePolicy has a target.
	claimed map[policyAt]string

	statuses []status.Update
	refused  map[string]error
}

// Translate translates everything. The same input gives the same result, in the same order.
func Translate(in *resources.Set, o Options) (*Result, error) {
	if o.ClusterDomain == "" {
		o.ClusterDomain = "cluster.local"
	}
	t := &translator{
		in: in, o: o,
		gateways: map[types.NamespacedName]*gateway{}, configs: map[types.NamespacedName]*config{}, sets: map[types.NamespacedName]*listenerSet{}, pool: map[string]*xdsv1.Resource{},
		backends: map[string]*backend{}, providers: map[string]*provider{}, models: map[string]*modelMap{},
		policies: map[types.NamespacedName][]*tlsPolicy{}, balancing: map[servicePort]*lbPolicy{}, refused: map[string]error{},
		keptPolicies: map[string]*xdsv1.Policy{}, claimed: map[policyAt]string{}, built: map[resources.Ref]*route{},
	}
	t.remember()
	t.buildConfigs()
	t.classes()
	t.buildGateways()
	t.buildTLSPolicies()
	t.buildLBPolicies()
	t.buildProviders()
	t.buildModels()
	t.buildHTTPRoutes()
	t.buildGRPCRoutes()
	t.buildL4Routes()
	t.buildAuthPolicies()
	t.buildTokenPolicies()
	t.buildRoutePolicies()
	t.finishGateways()
	t.finishConfigs()
	t.finishListenerSets()
	t.finishTLSPolicies()
	t.buildPromptGuards()
	t.closeUnread()
	return t.result()
}

func (t *translator) result() (*Result, error) {
	r := &Result{Snapshots: map[GroupName]*snapshot.Snapshot{}, Refused: t.refused, of: t}
	routes, policies := t.byGroup(), t.policiesInPool()
	for _, group := range t.groups() {
		var last *snapshot.Snapshot
		if t.o.Last != nil {
			last = t.o.Last.Snapshots[group]
		}
		s, err := snapshot.After(last, t.reachable(group, routes[group], policies))
		if err != nil {
			return nil, err
		}
		r.Snapshots[group] = s
	}
	slices.SortStableFunc(t.statuses, func(a, b status.Update) int { return a.Ref.Compare(b.Ref) })
	r.Statuses, r.Gateways = t.statuses, t.served()
	t.o.Last, t.last = nil, nil // nobody needs what was before that
	return r, nil
}

// groups lists the groups in order. Standalone has its one even when there is no Gateway: it then serves nothing.
func (t *translator) groups() []GroupName {
	names := map[GroupName]bool{}
	if t.o.Standalone {
		names[Standalone] = true
	}
	for _, g := range t.gateways {
		names[g.group] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// put validates a resource and puts it into the pool. What a data plane could not run is refused.
func (t *translator) put(r *xdsv1.Resource) error {
	key := xdsv1.KeyOf(r)
	if err := cmp.Or(xdsv1.Validate(r), unsupported(r)); err != nil {
		t.refused[key] = err
		return err
	}
	t.pool[key] = r
	return nil
}

// kept says whether a resource was refused and its last valid version stays in force.
func (t *translator) kept(key string) bool {
	return t.refused[key] != nil && t.inForce(key) != nil
}

func (t *translator) inForce(key string) *xdsv1.Resource {
	if t.o.InForce == nil {
		return nil
	}
	return t.o.InForce(key)
}

// update notes the status of an object.
func (t *translator) update(u status.Update) {
	u.Origin = t.in.Origin(u.Ref)
	t.statuses = append(t.statuses, u)
}
