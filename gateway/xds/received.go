package xds

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/config"
)

// kind is one of the two types of the wire.
type kind struct{ name, typeURL string }

var (
	resources = kind{"resources", "type.googleapis.com/nantian.gateway.v1.Resource"}
	endpoints = kind{"endpoints", "type.googleapis.com/nantian.gateway.v1.Endpoints"}
	// kinds in the order in which they are asked for.
	kinds = []kind{endpoints, resources}
)

// maxReceived is the most resources of one kind; a control plane that sends more is out of its mind.
const maxReceived = 1 << 20

// received is every response merged, valid or not. It does no I/O.
type received struct {
	resources map[string]entry[*xdsv1.Resource]
	endpoints map[string]entry[*xdsv1.Endpoints]
}

// entry is a resource with the version that the control plane gave it.
type entry[M any] struct {
	version string
	message M
}

// unusable is the version of endpoints that were refused: no control plane has it, so that they are sent again on resume.
const unusable = "unusable"

func newReceived() *received {
	return &received{resources: map[string]entry[*xdsv1.Resource]{}, endpoints: map[string]entry[*xdsv1.Endpoints]{}}
}

// mergeResources takes a response in. A resource that cannot be read stands as an empty one, which no Sink accepts; the
// error says why.
func (r *received) mergeResources(resp *discovery.DeltaDiscoveryResponse) (u config.Update, err error) {
	u = config.Update{Set: map[string]*xdsv1.Resource{}, Removed: resp.GetRemovedResources()}
	var errs []error
	for _, n := range resp.GetResources() {
		m := &xdsv1.Resource{}
		if err := decode(n, resources, m, func() string { return xdsv1.KeyOf(m) }); err != nil {
			errs = append(errs, err)
			m = &xdsv1.Resource{}
		}
		r.resources[n.GetName()] = entry[*xdsv1.Resource]{n.GetVersion(), m}
		u.Set[n.GetName()] = m
	}
	for _, key := range u.Removed {
		delete(r.resources, key)
	}
	return u, errors.Join(errs...)
}

// mergeEndpoints is mergeResources for endpoints. Those that cannot be used are left out: those before go on.
func (r *received) mergeEndpoints(resp *discovery.DeltaDiscoveryResponse) (u config.Update, err error) {
	u = config.Update{Endpoints: map[string]*xdsv1.Endpoints{}, RemovedEndpoints: resp.GetRemovedResources()}
	var errs []error
	for _, n := range resp.GetResources() {
		m := &xdsv1.Endpoints{}
		err := decode(n, endpoints, m, m.GetKey)
		if err == nil {
			err = xdsv1.ValidateEndpoints(m)
		}
		if err != nil {
			errs = append(errs, err)
			r.endpoints[n.GetName()] = entry[*xdsv1.Endpoints]{version: unusable}
			continue
		}
		r.endpoints[n.GetName()] = entry[*xdsv1.Endpoints]{n.GetVersion(), m}
		u.Endpoints[n.GetName()] = m
	}
	for _, key := range u.RemovedEndpoints {
		delete(r.endpoints, key)
	}
	return u, errors.Join(errs...)
}

// decode reads a resource of the wire into m; key gives the key in it. A kind that this version does not know has none.
func decode(n *discovery.Resource, k kind, m proto.Message, key func() string) error {
	if t := n.GetResource().GetTypeUrl(); t != k.typeURL {
		return fmt.Errorf("%s: is of type %q, expected %q", n.GetName(), t, k.typeURL)
	}
	if err := proto.Unmarshal(n.GetResource().GetValue(), m); err != nil {
		return fmt.Errorf("%s: cannot be decoded: %w", n.GetName(), err)
	}
	switch key := key(); key {
	case n.GetName():
		return nil
	case "":
		return fmt.Errorf("%s: is of a kind that this version does not know", n.GetName())
	default:
		return fmt.Errorf("%s: carries the key %q", n.GetName(), key)
	}
}

// refuse notes that the endpoints of an update were not all accepted.
func (r *received) refuse(u config.Update) {
	for key, m := range u.Endpoints {
		r.endpoints[key] = entry[*xdsv1.Endpoints]{unusable, m}
	}
}

// full is all that was received, as an update that replaces what a Sink has.
func (r *received) full() config.Update {
	u := config.Update{Full: true, Set: make(map[string]*xdsv1.Resource, len(r.resources)),
		Endpoints: make(map[string]*xdsv1.Endpoints, len(r.endpoints))}
	for key, e := range r.resources {
		u.Set[key] = e.message
	}
	for key, e := range r.endpoints {
		if e.message != nil {
			u.Endpoints[key] = e.message
		}
	}
	return u
}

// lacking are the backends of an update whose endpoints have not been seen.
func (r *received) lacking(u config.Update) map[string]bool {
	out := map[string]bool{}
	for key, m := range u.Set {
		if m.GetBackend().GetEndpoints() != nil {
			if _, seen := r.endpoints[key]; !seen {
				out[key] = true
			}
		}
	}
	return out
}

// versions of what was received, to resume with.
func (r *received) versions(k kind) map[string]string {
	out := map[string]string{}
	if k == resources {
		for key, e := range r.resources {
			out[key] = e.version
		}
		return out
	}
	for key, e := range r.endpoints {
		out[key] = e.version
	}
	return out
}

func (r *received) tooMany() error {
	if n := max(len(r.resources), len(r.endpoints)); n > maxReceived {
		return fmt.Errorf("the control plane has sent %d resources, more than %d", n, maxReceived)
	}
	return nil
}

// list is all of a kind as it goes to disk.
func list[M proto.Message](all map[string]entry[M]) ([]*discovery.Resource, error) {
	var out []*discovery.Resource
	for _, key := range slices.Sorted(maps.Keys(all)) {
		e := all[key]
		if e.version == unusable {
			continue
		}
		n, err := pack(key, e.version, e.message)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// saveAs writes all of a kind.
func saveAs[M proto.Message](d *disk, k kind, all map[string]entry[M]) error {
	out, err := list(all)
	if err != nil {
		return err
	}
	return d.save(k, out)
}
