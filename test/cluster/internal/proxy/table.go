package proxy

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"golang.org/x/sys/unix"
)

// frontend is an address and port of a Service.
type frontend struct {
	protocol byte // number of the IP protocol
	addr     netip.AddrPort
}

var protocols = map[corev1.Protocol]byte{corev1.ProtocolTCP: unix.IPPROTO_TCP, corev1.ProtocolUDP: unix.IPPROTO_UDP}

// table is what the Services' addresses lead to. A frontend without endpoints is left out: the node refuses what is sent there.
func table(services []*corev1.Service, slices []*discoveryv1.EndpointSlice, node netip.Addr) map[frontend][]netip.AddrPort {
	bySvc := map[string][]*discoveryv1.EndpointSlice{}
	for _, s := range slices {
		key := s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]
		bySvc[key] = append(bySvc[key], s)
	}
	out := map[frontend][]netip.AddrPort{}
	for _, svc := range services {
		for i := range svc.Spec.Ports {
			p := &svc.Spec.Ports[i]
			proto, ok := protocols[p.Protocol]
			if !ok {
				continue
			}
			endpoints := endpointsOf(bySvc[svc.Namespace+"/"+svc.Name], p)
			if len(endpoints) == 0 {
				continue
			}
			for _, addr := range addressesOf(svc) {
				out[frontend{proto, netip.AddrPortFrom(addr, uint16(p.Port))}] = endpoints
			}
			if p.NodePort != 0 {
				out[frontend{proto, netip.AddrPortFrom(node, uint16(p.NodePort))}] = endpoints
			}
		}
	}
	return out
}

// addressesOf are the addresses that a Service is reached by.
func addressesOf(svc *corev1.Service) []netip.Addr {
	texts := append([]string{svc.Spec.ClusterIP}, svc.Spec.ExternalIPs...)
	for _, in := range svc.Status.LoadBalancer.Ingress {
		texts = append(texts, in.IP)
	}
	var out []netip.Addr
	for _, s := range texts {
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
			out = append(out, a)
		}
	}
	return out
}

// endpointsOf are the endpoints of a port: those that are ready; if there are none, those that still serve while they end.
func endpointsOf(list []*discoveryv1.EndpointSlice, port *corev1.ServicePort) []netip.AddrPort {
	var ready, ending []netip.AddrPort
	for _, s := range list {
		n, ok := portOf(s, port)
		if !ok || s.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		for _, e := range s.Endpoints {
			for _, text := range e.Addresses {
				addr, err := netip.ParseAddr(text)
				switch {
				case err != nil:
				case e.Conditions.Ready == nil || *e.Conditions.Ready:
					ready = append(ready, netip.AddrPortFrom(addr, n))
				case e.Conditions.Serving != nil && *e.Conditions.Serving && e.Conditions.Terminating != nil && *e.Conditions.Terminating:
					ending = append(ending, netip.AddrPortFrom(addr, n))
				}
			}
		}
	}
	if len(ready) == 0 {
		ready = ending
	}
	slices.SortFunc(ready, netip.AddrPort.Compare)
	return slices.Compact(ready)
}

// portOf is the number of a Service's port in a slice.
func portOf(s *discoveryv1.EndpointSlice, port *corev1.ServicePort) (uint16, bool) {
	for _, p := range s.Ports {
		name, proto := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			proto = *p.Protocol
		}
		if name == port.Name && proto == port.Protocol && p.Port != nil {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}
