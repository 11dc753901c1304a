package xds

import (
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// group is the configuration of one group of data planes, and their streams.
type group struct {
	name   string
	gather time.Duration
	newest lens
	log    *slog.Logger

	holders int // guarded by the Server's lock

	mu        sync.Mutex
	known     bool // SetGroup has been called, and RemoveGroup has not since
	snapshot  *snapshot.Snapshot
	version   digest // of the snapshot
	endpoints map[string]*xdsv1.Endpoints
	pending   map[string]*xdsv1.Endpoints // endpoints that are not published yet; nil: removed
	gathering *time.Timer                 // nil: nothing is being gathered
	views     map[uint32]*view
	streams   map[*stream]DataPlane
}

func newGroup(name string, o Options) *group {
	g := &group{
		name: name, gather: o.Gather, newest: o.lens(o.Level), log: o.Log, endpoints: map[string]*xdsv1.Endpoints{},
		pending: map[string]*xdsv1.Endpoints{}, views: map[uint32]*view{}, streams: map[*stream]DataPlane{},
	}
	g.views[o.Level] = newView(g.newest)
	return g
}

// set publishes a snapshot with its endpoints. Endpoints that resources wait for go before them, and those that resources
// still use after them.
func (g *group) set(s *snapshot.Snapshot, endpoints map[string]*xdsv1.Endpoints) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	ready := make(map[*view]func(), len(g.views))
	for _, v := range g.views {
		apply, err := g.stage(v, s)
		if err != nil {
			return err
		}
		ready[v] = apply
	}
	changed := g.advance(s) || !g.known
	g.known, g.snapshot = true, s
	g.await(endpoints)
	if !changed {
		g.schedule()
		return nil
	}
	gone := g.takeRemovals()
	err := g.flush()
	for _, apply := range ready {
		apply()
	}
	maps.Copy(g.pending, gone)
	g.schedule()
	return err
}

// stage makes a snapshot ready for a view: what it returns publishes it.
func (g *group) stage(v *view, s *snapshot.Snapshot) (apply func(), err error) {
	shown, withheld, b, err := v.prepare(s)
	if err != nil {
		return nil, err
	}
	if n := v.resources.sizeAfter(b); n > maxContent {
		return nil, fmt.Errorf("group %s: its resources have %d bytes, more than the %d that one response may have", g.name, n, maxContent)
	}
	return func() {
		v.shown, v.withheld = shown, withheld
		v.resources.publish(b.set, b.removed, g.version.String())
	}, nil
}

// advance makes version that of the next snapshot, and tells whether there is any difference.
func (g *group) advance(next *snapshot.Snapshot) bool {
	set, removed := next.Diff(g.snapshot)
	for key := range set {
		if g.snapshot != nil {
			if old, ok := g.snapshot.Versions[key]; ok {
				g.version.remove(key, old)
			}
		}
		g.version.add(key, next.Versions[key])
	}
	for _, key := range removed {
		g.version.remove(key, g.snapshot.Versions[key])
	}
	return len(set)+len(removed) > 0
}

// await notes what is different in a whole set of endpoints.
func (g *group) await(all map[string]*xdsv1.Endpoints) {
	for key, e := range all {
		g.change(key, e)
	}
	for key := range g.endpoints {
		if _, ok := all[key]; !ok {
			g.change(key, nil)
		}
	}
}

func (g *group) change(key string, e *xdsv1.Endpoints) {
	old, ok := g.endpoints[key]
	if ok == (e != nil) && (old == e || proto.Equal(old, e)) {
		return
	}
	g.pending[key] = e
	if e == nil {
		delete(g.endpoints, key)
	} else {
		g.endpoints[key] = e
	}
}

func (g *group) takeRemovals() map[string]*xdsv1.Endpoints {
	gone := map[string]*xdsv1.Endpoints{}
	maps.DeleteFunc(g.pending, func(key string, e *xdsv1.Endpoints) bool {
		if e == nil {
			gone[key] = nil
		}
		return e == nil
	})
	return gone
}

// setEndpoints notes the endpoints of some backends; they are published together with what else changes meanwhile.
func (g *group) setEndpoints(set map[string]*xdsv1.Endpoints, removed []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.known {
		return
	}
	for key, e := range set {
		g.change(key, e)
	}
	for _, key := range removed {
		g.change(key, nil)
	}
	g.schedule()
}

// schedule publishes what is pending after the gathering time.
func (g *group) schedule() {
	if len(g.pending) == 0 || g.gathering != nil {
		return
	}
	g.gathering = time.AfterFunc(g.gather, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.gathering = nil
		if err := g.flush(); err != nil {
			g.log.Error("endpoints not published", "error", err)
		}
	})
}

// flush publishes the endpoints that are pending.
func (g *group) flush() error {
	for _, v := range g.views {
		if err := v.publishEndpoints(g.pending); err != nil {
			return fmt.Errorf("group %s: %w", g.name, err)
		}
	}
	clear(g.pending)
	return nil
}

// remove sends removals of everything. Streams stay open, for the group may come again.
func (g *group) remove() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.known {
		return
	}
	empty := &snapshot.Snapshot{}
	g.advance(empty)
	g.snapshot = empty
	g.await(nil)
	for _, v := range g.views {
		v.shown, v.withheld = empty, nil
		v.resources.publish(nil, v.resources.keys(), g.version.String())
		v.endpoints.publish(nil, v.endpoints.keys(), "")
		v.resources.known, v.endpoints.known = false, false
	}
	clear(g.pending)
	g.known = false
}

// view is the view of a level; it is made when the first data plane of the level asks.
func (g *group) view(l lens) (*view, error) {
	if v := g.views[l.level]; v != nil {
		return v, nil
	}
	v := newView(l)
	if g.known {
		apply, err := g.stage(v, g.snapshot)
		if err != nil {
			return nil, err
		}
		if err := v.publishEndpoints(g.endpoints); err != nil {
			return nil, err
		}
		apply()
	}
	g.views[l.level] = v
	return v, nil
}

// join counts a stream in; it fails when there are too many.
func (g *group) join(st *stream, limit int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.streams) >= limit {
		return fmt.Errorf("group %s has %d data planes connected to this replica, the most that it takes", g.name, limit)
	}
	g.streams[st] = DataPlane{}
	return nil
}

// leave counts a stream out. The view of an older level goes with its last stream.
func (g *group) leave(st *stream) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.streams, st)
	if v := st.view; v != nil {
		v.streams--
		if v.streams == 0 && v.lens.level != g.newest.level {
			delete(g.views, v.lens.level)
		}
	}
}
