package xds

import (
	"cmp"
	"maps"
	"slices"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// revisions are the resources of one type as one view sees them, with a log of what changed when: a watch pays for what has
// changed since its last response, not for all that there is. Its group's lock guards it.
type revisions struct {
	typeURL     string
	known       bool // something has been published; until then nobody is answered
	now         uint64
	version     string
	sum         digest // of the items
	size        int    // bytes of all items
	items       map[string]*discovery.Resource
	log         []change // in order of revision
	floor       uint64   // changes up to this revision have left the log
	watches     map[*watch]struct{}
	differences map[uint64]*difference // those that end now, by the revision they start after; shared by all watches
}

// change says that a key was set or removed at a revision.
type change struct {
	revision uint64
	key      string
}

// difference is the content of a response. It is shared and not changed.
type difference struct {
	resources []*discovery.Resource
	removed   []string
}

// watch is one request that waits for its response.
type watch struct {
	request *discovery.DeltaDiscoveryRequest
	out     chan cache.DeltaResponse
	cursor  *cursor
}

// cursor is where a stream stands in one type.
type cursor struct {
	started bool              // the first response has been given out
	at      uint64            // the revision of the last response
	resume  map[string]string // until then: the versions that the data plane has from before
}

func newRevisions(typeURL string) *revisions {
	return &revisions{
		typeURL: typeURL, items: map[string]*discovery.Resource{}, watches: map[*watch]struct{}{}, differences: map[uint64]*difference{},
	}
}

// publish makes a new revision and answers all watches. What is not different is left out; if nothing is, and the version is
// the same, nothing happens. An empty version stands for that of the items.
func (r *revisions) publish(set []*discovery.Resource, removed []string, version string) {
	set = slices.DeleteFunc(set, func(n *discovery.Resource) bool { return r.items[n.Name].GetVersion() == n.Version })
	removed = slices.DeleteFunc(removed, func(key string) bool { return r.items[key] == nil })
	if r.known && len(set)+len(removed) == 0 && (version == "" || version == r.version) {
		return
	}
	r.known = true
	r.now++
	for _, n := range set {
		r.replace(n.Name, n)
	}
	for _, key := range removed {
		r.replace(key, nil)
	}
	if r.version = version; version == "" {
		r.version = r.sum.String()
	}
	r.trim()
	clear(r.differences)
	for w := range r.watches {
		r.answer(w)
	}
	clear(r.watches)
}

func (r *revisions) replace(key string, n *discovery.Resource) {
	old := r.items[key]
	r.size += weight(n) - weight(old)
	if old != nil {
		r.sum.remove(key, old.Version)
		delete(r.items, key)
	}
	if n != nil {
		r.sum.add(key, n.Version)
		r.items[key] = n
	}
	r.log = append(r.log, change{r.now, key})
}

// minLog is the number of changes that are kept whatever the number of resources.
const minLog = 4096

// trim bounds the log, in steps so that its cost is shared out.
func (r *revisions) trim() {
	limit := minLog + 2*len(r.items)
	if len(r.log) <= limit+limit/2 {
		return
	}
	cut := len(r.log) - limit
	r.floor = r.log[cut-1].revision
	r.log = slices.Clone(r.log[cut:])
}

// watch answers at once when there is something to tell, else with the next revision. A data plane that took so long over
// its last response that the log has moved on has to open a new stream.
func (r *revisions) watch(w *watch) (cancel func(), err error) {
	c := w.cursor
	if c.started && c.at < r.floor {
		return nil, status.Error(codes.Aborted, "the data plane has fallen too far behind; resume on a new stream")
	}
	if c.started && c.at < r.now || !c.started && r.known {
		r.answer(w)
		return nil, nil
	}
	r.watches[w] = struct{}{}
	return func() { delete(r.watches, w) }, nil
}

// answer gives a watch its response. It does not block: the channel has room for one response of every type.
func (r *revisions) answer(w *watch) {
	d := r.difference(w.cursor)
	*w.cursor = cursor{started: true, at: r.now}
	w.out <- &cache.DeltaPassthroughResponse{
		DeltaRequest:   w.request,
		NextVersionMap: map[string]string{}, // the cursor stands for it
		DeltaDiscoveryResponse: &discovery.DeltaDiscoveryResponse{
			TypeUrl: r.typeURL, SystemVersionInfo: r.version, Resources: d.resources, RemovedResources: d.removed,
		},
	}
}

func (r *revisions) difference(c *cursor) *difference {
	if !c.started && len(c.resume) > 0 {
		return r.since(c.resume)
	}
	d := r.differences[c.at]
	if d == nil {
		d = r.after(c.at)
		r.differences[c.at] = d
	}
	return d
}

// after is what has changed after a revision; after 0, all that there is.
func (r *revisions) after(revision uint64) *difference {
	d := &difference{}
	if revision == 0 {
		d.resources = slices.Collect(maps.Values(r.items))
		d.sort()
		return d
	}
	first, _ := slices.BinarySearchFunc(r.log, revision+1, func(c change, rev uint64) int { return cmp.Compare(c.revision, rev) })
	seen := make(map[string]bool, len(r.log)-first)
	for _, c := range r.log[first:] {
		if seen[c.key] {
			continue
		}
		seen[c.key] = true
		d.take(c.key, r.items[c.key])
	}
	d.sort()
	return d
}

// since is what differs from the versions that a data plane has.
func (r *revisions) since(versions map[string]string) *difference {
	d := &difference{}
	for key, n := range r.items {
		if v, ok := versions[key]; !ok || v != n.GetVersion() {
			d.resources = append(d.resources, n)
		}
	}
	for key := range versions {
		if r.items[key] == nil {
			d.removed = append(d.removed, key)
		}
	}
	d.sort()
	return d
}

func (d *difference) take(key string, n *discovery.Resource) {
	if n == nil {
		d.removed = append(d.removed, key)
	} else {
		d.resources = append(d.resources, n)
	}
}

func (d *difference) sort() {
	slices.SortFunc(d.resources, func(a, b *discovery.Resource) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(d.removed)
}

// keys of all that there is.
func (r *revisions) keys() []string { return slices.Collect(maps.Keys(r.items)) }

// sizeAfter is the number of bytes after a change.
func (r *revisions) sizeAfter(b batch) int {
	n := r.size
	for _, s := range b.set {
		n += weight(s) - weight(r.items[s.Name])
	}
	for _, key := range b.removed {
		n -= weight(r.items[key])
	}
	return n
}

// weight is about the number of bytes that a resource adds to a response.
func weight(n *discovery.Resource) int {
	if n == nil {
		return 0
	}
	const frame = 80 // the type's name, and tags and lengths
	return len(n.GetName()) + len(n.GetVersion()) + len(n.GetResource().GetValue()) + frame
}
