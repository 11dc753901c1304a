package dns

import (
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
)

// Names are the names of a cluster, by the specification of Kubernetes DNS-based service discovery, version 1.1: A records of
// Services, headless Services and their pods, SRV records of named ports, and CNAME records of external names.
type Names struct {
	Services corelisters.ServiceLister
	Slices   discoverylisters.EndpointSliceLister
	// Domain is that of the cluster.
	Domain string
	// Hosts are names outside of it.
	Hosts map[string]netip.Addr
}

// find is what is known of a name, and whether it exists.
func (n *Names) find(name string) ([]record, bool) {
	if addr, ok := n.Hosts[name]; ok {
		return []record{{addr: addr}}, true
	}
	rest, ok := strings.CutSuffix(name, ".svc."+n.Domain)
	if !ok {
		return nil, name == n.Domain || name == "svc."+n.Domain
	}
	parts := strings.Split(rest, ".")
	if len(parts) < 2 {
		return nil, n.namespace(rest)
	}
	namespace, service := parts[len(parts)-1], parts[len(parts)-2]
	svc, err := n.Services.Services(namespace).Get(service)
	if err != nil {
		return nil, false
	}
	base := service + "." + namespace + ".svc." + n.Domain
	switch before := parts[:len(parts)-2]; {
	case svc.Spec.Type == corev1.ServiceTypeExternalName:
		return []record{{name: svc.Spec.ExternalName, alias: true}}, len(before) == 0
	case len(before) == 0:
		return n.addresses(svc), true
	case len(before) == 1:
		return n.pod(svc, before[0])
	case len(before) == 2 && strings.HasPrefix(before[0], "_") && strings.HasPrefix(before[1], "_"):
		return n.ports(svc, before[0][1:], before[1][1:], base)
	}
	return nil, false
}

func (n *Names) namespace(name string) bool {
	list, err := n.Services.Services(name).List(labels.Everything())
	return err == nil && len(list) > 0
}

// addresses are the Service's own, or those of its pods if it is headless.
func (n *Names) addresses(svc *corev1.Service) []record {
	if addr, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil {
		return []record{{addr: addr}}
	}
	var out []record
	n.endpoints(svc, func(_ *discoveryv1.EndpointSlice, e *discoveryv1.Endpoint, addr netip.Addr) {
		if svc.Spec.PublishNotReadyAddresses || e.Conditions.Ready == nil || *e.Conditions.Ready {
			out = append(out, record{addr: addr})
		}
	})
	return out
}

// pod is the address of one pod of a headless Service, by its host name or by its address with dashes.
func (n *Names) pod(svc *corev1.Service, name string) ([]record, bool) {
	var out []record
	n.endpoints(svc, func(_ *discoveryv1.EndpointSlice, e *discoveryv1.Endpoint, addr netip.Addr) {
		if hostOf(e, addr) == name {
			out = append(out, record{addr: addr})
		}
	})
	return out, len(out) > 0
}

func hostOf(e *discoveryv1.Endpoint, addr netip.Addr) string {
	if e.Hostname != nil && *e.Hostname != "" {
		return *e.Hostname
	}
	return strings.ReplaceAll(addr.String(), ".", "-")
}

// ports are the places of a named port.
func (n *Names) ports(svc *corev1.Service, port, protocol, base string) ([]record, bool) {
	var out []record
	if svc.Spec.ClusterIP != corev1.ClusterIPNone {
		for _, p := range svc.Spec.Ports {
			if p.Name == port && strings.EqualFold(string(p.Protocol), protocol) {
				out = append(out, record{name: base, port: uint16(p.Port)})
			}
		}
		return out, len(out) > 0
	}
	n.endpoints(svc, func(s *discoveryv1.EndpointSlice, e *discoveryv1.Endpoint, addr netip.Addr) {
		for _, p := range s.Ports {
			if p.Name != nil && *p.Name == port && p.Port != nil && p.Protocol != nil && strings.EqualFold(string(*p.Protocol), protocol) {
				out = append(out, record{name: hostOf(e, addr) + "." + base, port: uint16(*p.Port)})
			}
		}
	})
	return out, len(out) > 0
}

// endpoints calls f for each address of a Service's pods.
func (n *Names) endpoints(svc *corev1.Service, f func(*discoveryv1.EndpointSlice, *discoveryv1.Endpoint, netip.Addr)) {
	list, err := n.Slices.EndpointSlices(svc.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: svc.Name}))
	if err != nil {
		return
	}
	for _, s := range list {
		for i := range s.Endpoints {
			for _, text := range s.Endpoints[i].Addresses {
				if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() {
					f(s, &s.Endpoints[i], addr)
				}
			}
		}
	}
}
