// Package controlplane is the control plane: it wires a source of objects to translation and hands on what has changed.
//
// It holds no logic of its own but what stays in force when an object is refused. It must not reach the data plane.
package controlplane

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/endpoints"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/controlplane/source"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// Update is what has changed. What it holds must not be changed.
type Update struct {
	// Full: the resources and endpoints are all that there are. So it is in the first Update.
	Full bool
	// Set are the resources that are new or different, by key, and Removed the keys of those that are gone.
	Set     map[string]*xdsv1.Resource
	Removed []string
	// Endpoints and RemovedEndpoints are the same for the endpoints of backends.
	Endpoints        map[string]*xdsv1.Endpoints
	RemovedEndpoints []string
	// Statuses of all objects, changed or not.
	Statuses []status.Update
	// Problems of the input, all of them.
	Problems []resources.Problem
}

// Standalone turns sets of objects into Updates for the one group of standalone mode.
type Standalone struct {
	last      *snapshot.Snapshot
	endpoints map[string]*xdsv1.Endpoints
	made      *translate.Result
}

// Run hands an Update to apply for each Set of the source, until ctx ends. Calls do not overlap.
func Run(ctx context.Context, from source.Source, apply func(Update)) error {
	var s Standalone
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := from.Run(ctx, func(in *resources.Set) {
		u, err := s.Next(in)
		if err != nil {
			failed = err
			cancel()
			return
		}
		apply(u)
	})
	if failed != nil {
		return failed
	}
	return err
}

// Next translates a Set and tells what has changed since the one before.
func (s *Standalone) Next(in *resources.Set) (Update, error) {
	inForce := func(key string) *xdsv1.Resource {
		if s.last == nil {
			return nil
		}
		return s.last.Resources[key]
	}
	r, err := translate.Translate(in, translate.Options{Standalone: true, InForce: inForce, Last: s.made})
	if err != nil {
		return Update{}, fmt.Errorf("translate: %w", err)
	}
	now, err := keep(s.last, r.Snapshots[translate.Standalone], r.Refused)
	if err != nil {
		return Update{}, fmt.Errorf("snapshot: %w", err)
	}
	u := Update{Full: s.last == nil, Statuses: r.Statuses, Problems: in.Problems()}
	u.Set, u.Removed = now.Diff(s.last)
	all := endpoints.Build(in, now)
	u.Endpoints, u.RemovedEndpoints = diffEndpoints(s.endpoints, all)
	s.last, s.endpoints, s.made = now, all, r
	return u, nil
}

// keep puts the last valid version of what was refused back in force, with all that it refers to. A route stays on those of
// its listeners that are still there.
func keep(last, now *snapshot.Snapshot, refused map[string]error) (*snapshot.Snapshot, error) {
	if last == nil || len(refused) == 0 {
		return now, nil
	}
	all := maps.Clone(now.Resources)
	wanted := map[string]bool{}
	for _, r := range now.Resources {
		for _, key := range snapshot.References(r) {
			wanted[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(refused)) {
		// Routes, listeners and policies stand for themselves; what nothing refers to any more is let go.
		if r := last.Resources[key]; wanted[key] || r.GetRoute() != nil || r.GetListener() != nil || r.GetPolicy() != nil {
			restore(all, last, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(refused)) {
		if r := all[key].GetRoute(); r != nil {
			all[key] = onListeners(r, all)
		}
		if all[key] == nil {
			delete(all, key)
		}
	}
	return snapshot.New(all)
}

func restore(all map[string]*xdsv1.Resource, last *snapshot.Snapshot, key string) {
	r := last.Resources[key]
	if r == nil || all[key] != nil {
		return
	}
	all[key] = r
	for _, ref := range snapshot.References(r) {
		restore(all, last, ref)
	}
}

// onListeners is the route with the listeners that are there, or nil when none is.
func onListeners(r *xdsv1.Route, all map[string]*xdsv1.Resource) *xdsv1.Resource {
	r = proto.CloneOf(r)
	r.Parents = slices.DeleteFunc(r.Parents, func(p *xdsv1.Parent) bool { return all[p.GetListener()] == nil })
	if len(r.Parents) == 0 {
		return nil
	}
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: r}}
}

func diffEndpoints(old, now map[string]*xdsv1.Endpoints) (set map[string]*xdsv1.Endpoints, removed []string) {
	set = map[string]*xdsv1.Endpoints{}
	for key, e := range now {
		if o, ok := old[key]; !ok || !proto.Equal(o, e) {
			set[key] = e
		}
	}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		if _, ok := now[key]; !ok {
			removed = append(removed, key)
		}
	}
	return set, removed
}
