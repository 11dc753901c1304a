// Package endpoints turns EndpointSlices into the Endpoints of the wire. It runs beside translation, not inside it, so that
// a pod that comes or goes does not translate a route again.
package endpoints

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// Build makes the Endpoints of every backend of the snapshot that has endpoints, by key. A backend without any has an empty
// one: the data plane then knows that it waits for nothing.
func Build(in *resources.Set, s *snapshot.Snapshot) map[string]*xdsv1.Endpoints {
	out := map[string]*xdsv1.Endpoints{}
	for key, r := range s.Resources {
		if r.GetBackend().GetEndpoints() == nil {
			continue
		}
		k, err := xdsv1.ParseKey(key)
		if err != nil {
			continue
		}
		out[key] = Of(in, k)
	}
	return out
}

// Of makes the Endpoints of one backend.
func Of(in *resources.Set, k xdsv1.Key) *xdsv1.Endpoints {
	return &xdsv1.Endpoints{Key: k.String(), Endpoints: of(in, k)}
}

// of gathers the endpoints of one port of a Service from all its slices, in order of address and port, each once.
func of(in *resources.Set, k xdsv1.Key) []*xdsv1.Endpoint {
	service, ok := in.Services.Get(k.Namespace, k.Name)
	if !ok {
		return nil
	}
	name, ok := portName(service, k)
	if !ok {
		return nil
	}
	var list []*xdsv1.Endpoint
	all := in.Slices(k.Namespace, k.Name)
	family := familyOf(service, all)
	for _, slice := range all {
		if slice.AddressType == family {
			list = append(list, ofSlice(slice, name)...)
		}
	}
	slices.SortFunc(list, func(a, b *xdsv1.Endpoint) int {
		// Of an address that is in two slices, as happens while they are rebalanced, the one that is not draining counts.
		return cmp.Or(cmp.Compare(a.GetAddress(), b.GetAddress()), cmp.Compare(a.GetPort(), b.GetPort()), compareBool(a.GetDraining(), b.GetDraining()))
	})
	return slices.CompactFunc(list, func(a, b *xdsv1.Endpoint) bool {
		return a.GetAddress() == b.GetAddress() && a.GetPort() == b.GetPort()
	})
}

// familyOf is the family whose addresses are used. A Service of two families has each pod in both; its primary one is used,
// as by kube-proxy, and where none is said IPv4 if there is any.
func familyOf(s *corev1.Service, all []*discoveryv1.EndpointSlice) discoveryv1.AddressType {
	if len(s.Spec.IPFamilies) > 0 {
		return discoveryv1.AddressType(s.Spec.IPFamilies[0])
	}
	for _, slice := range all {
		if slice.AddressType == discoveryv1.AddressTypeIPv4 {
			return discoveryv1.AddressTypeIPv4
		}
	}
	return discoveryv1.AddressTypeIPv6
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// portName is the name of a Service's port, which its slices know it by.
func portName(s *corev1.Service, k xdsv1.Key) (string, bool) {
	for _, p := range s.Spec.Ports {
		if p.Port == int32(k.Port) && (p.Protocol == corev1.ProtocolUDP) == k.UDP {
			return p.Name, true
		}
	}
	return "", false
}

func ofSlice(slice *discoveryv1.EndpointSlice, port string) []*xdsv1.Endpoint {
	i := slices.IndexFunc(slice.Ports, func(p discoveryv1.EndpointPort) bool {
		return p.Port != nil && p.Name != nil && *p.Name == port
	})
	if i < 0 {
		return nil
	}
	var list []*xdsv1.Endpoint
	for _, e := range slice.Endpoints {
		usable, draining := state(e.Conditions)
		// The addresses of one endpoint are interchangeable; Kubernetes says that only the first is used.
		if !usable || len(e.Addresses) == 0 {
			continue
		}
		zone := ""
		if e.Zone != nil {
			zone = *e.Zone
		}
		list = append(list, &xdsv1.Endpoint{
			Address: e.Addresses[0], Port: uint32(*slice.Ports[i].Port), Zone: zone, ForZones: forZones(e.Hints), Draining: draining,
		})
	}
	return list
}

// state reads the conditions of an endpoint; what is not said counts as ready (discovery/v1, EndpointConditions).
func state(c discoveryv1.EndpointConditions) (usable, draining bool) {
	if c.Ready == nil || *c.Ready {
		return true, false
	}
	serving := c.Serving != nil && *c.Serving
	terminating := c.Terminating != nil && *c.Terminating
	return serving && terminating, true
}

// forZones are the zones that an endpoint is meant for, as kube-proxy reads them too.
func forZones(h *discoveryv1.EndpointHints) []string {
	if h == nil {
		return nil
	}
	var zones []string
	for _, z := range h.ForZones {
		zones = append(zones, z.Name)
	}
	return zones
}
