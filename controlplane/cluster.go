package controlplane

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/endpoints"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// Publisher gives groups of data planes their configuration. What it is given must not be changed.
type Publisher interface {
	SetGroup(name string, s *snapshot.Snapshot, endpoints map[string]*xdsv1.Endpoints) error
	SetEndpoints(name string, set map[string]*xdsv1.Endpoints, removed []string)
	RemoveGroup(name string)
}

// Cluster turns the sets of a cluster into what its groups of data planes have. It is for one goroutine.
type Cluster struct {
	to     Publisher
	in     *resources.Set
	view   View
	groups map[translate.GroupName]*group
	last   *translate.Result
}

// View is what was made of a Set. It must not be changed.
type View struct {
	// Set is the input: objects as they are, status included.
	Set *resources.Set
	// Statuses of all objects, changed or not.
	Statuses []status.Update
	// Gateways that are served, in order.
	Gateways []translate.Gateway
	// Snapshots by group.
	Snapshots map[translate.GroupName]*snapshot.Snapshot
}

// group is what was published for one group.
type group struct {
	snapshot *snapshot.Snapshot
	// backends are the keys with endpoints, by Service.
	backends map[types.NamespacedName][]xdsv1.Key
}

// NewCluster makes a Cluster that publishes to a Publisher.
func NewCluster(to Publisher) *Cluster {
	return &Cluster{to: to, groups: map[translate.GroupName]*group{}}
}

// Next publishes what a Set has changed. Where only EndpointSlices have, nothing is translated. An error tells of groups that
// were not published; they have what they had, and all others are up to date.
func (c *Cluster) Next(in *resources.Set) (View, error) {
	services, only := in.ChangedSlices(c.in)
	last := c.in
	c.in = in
	if only {
		c.publishSlices(services)
		c.view.Set = in
		return c.view, nil
	}
	r, err := translate.Translate(in, translate.Options{InForce: c.inForce, Last: c.last})
	if err != nil {
		return View{}, fmt.Errorf("translate: %w", err)
	}
	err = c.publish(r, last)
	c.last = r
	c.view = View{Set: in, Statuses: r.Statuses, Gateways: r.Gateways, Snapshots: map[translate.GroupName]*snapshot.Snapshot{}}
	for name, g := range c.groups {
		c.view.Snapshots[name] = g.snapshot
	}
	return c.view, err
}

// inForce is the version of a resource that a group has, the first by name if several do.
func (c *Cluster) inForce(key string) *xdsv1.Resource {
	for _, name := range slices.Sorted(maps.Keys(c.groups)) {
		if r := c.groups[name].snapshot.Resources[key]; r != nil {
			return r
		}
	}
	return nil
}

// publish publishes the groups that differ from what they have. last is the set before, or nil.
func (c *Cluster) publish(r *translate.Result, last *resources.Set) error {
	var errs []error
	sameSlices := last != nil && c.in.SameSlices(last)
	for name, s := range r.Snapshots {
		if g := c.groups[name]; g != nil && sameSlices && len(r.Refused) == 0 && g.snapshot.Same(s) {
			continue
		}
		errs = append(errs, c.publishGroup(name, s, r.Refused))
	}
	for name := range c.groups {
		if r.Snapshots[name] == nil {
			c.to.RemoveGroup(string(name))
			delete(c.groups, name)
		}
	}
	return errors.Join(errs...)
}

func (c *Cluster) publishGroup(name translate.GroupName, now *snapshot.Snapshot, refused map[string]error) error {
	var last *snapshot.Snapshot
	if g := c.groups[name]; g != nil {
		last = g.snapshot
	}
	now, err := keep(last, now, refused)
	if err != nil {
		return fmt.Errorf("snapshot of group %s: %w", name, err)
	}
	if err := c.to.SetGroup(string(name), now, endpoints.Build(c.in, now)); err != nil {
		return err
	}
	g := &group{snapshot: now, backends: map[types.NamespacedName][]xdsv1.Key{}}
	for key, r := range now.Resources {
		if r.GetBackend().GetEndpoints() == nil {
			continue
		}
		if k, err := xdsv1.ParseKey(key); err == nil {
			service := types.NamespacedName{Namespace: k.Namespace, Name: k.Name}
			g.backends[service] = append(g.backends[service], k)
		}
	}
	c.groups[name] = g
	return nil
}

// publishSlices publishes the endpoints of some Services.
func (c *Cluster) publishSlices(services []types.NamespacedName) {
	made := map[string]*xdsv1.Endpoints{}
	for name, g := range c.groups {
		set := map[string]*xdsv1.Endpoints{}
		for _, service := range services {
			for _, k := range g.backends[service] {
				key := k.String()
				if made[key] == nil {
					made[key] = endpoints.Of(c.in, k)
				}
				set[key] = made[key]
			}
		}
		if len(set) > 0 {
			c.to.SetEndpoints(string(name), set, nil)
		}
	}
}
