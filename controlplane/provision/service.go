package provision

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// wanted are the addresses that a Gateway asks for.
func wanted(g *gatewayv1.Gateway) []string {
	var out []string
	for _, a := range g.Spec.Addresses {
		if ip, err := netip.ParseAddr(a.Value); err == nil && !slices.Contains(out, ip.String()) {
			out = append(out, ip.String())
		}
	}
	return out
}

// services are the Services in front of the data planes: one, or one for each address that is asked for, so that each is
// assigned or not by itself. A Gateway without ports has none: a Service must have some.
func (m *maker) services() []client.Object {
	if len(m.g.Ports) == 0 {
		return nil
	}
	addresses := wanted(m.g.Object)
	if len(addresses) == 0 {
		return []client.Object{m.service(m.name, "")}
	}
	var out []client.Object
	for i, a := range addresses {
		out = append(out, m.service(serviceName(m.name, i), a))
	}
	return out
}

func serviceName(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i)
}

func (m *maker) service(name, address string) client.Object {
	c := m.g.Config.Service
	var annotations map[string]string
	spec := corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: m.selector(), Ports: m.ports()}
	if c != nil {
		annotations = c.Annotations
		spec.ExternalTrafficPolicy, spec.LoadBalancerSourceRanges = c.ExternalTrafficPolicy, c.LoadBalancerSourceRanges
		if c.Type != "" {
			spec.Type = c.Type
		}
		if c.LoadBalancerClass != "" {
			spec.LoadBalancerClass = &c.LoadBalancerClass
		}
	}
	switch {
	case address == "":
	case spec.Type == corev1.ServiceTypeLoadBalancer:
		spec.LoadBalancerIP = address
	default:
		spec.ExternalIPs = []string{address}
	}
	if spec.Type == corev1.ServiceTypeClusterIP {
		spec.ExternalTrafficPolicy = ""
	}
	return &corev1.Service{TypeMeta: typeMeta("v1", "Service"), ObjectMeta: m.meta(name, annotations), Spec: spec}
}

func (m *maker) ports() []corev1.ServicePort {
	var out []corev1.ServicePort
	for _, p := range m.g.Ports {
		protocol := corev1.ProtocolTCP
		if p.UDP {
			protocol = corev1.ProtocolUDP
		}
		out = append(out, corev1.ServicePort{
			Name: fmt.Sprintf("%s-%d", strings.ToLower(string(protocol)), p.Number), Port: p.Number, TargetPort: intstr.FromInt32(p.Number), Protocol: protocol,
		})
	}
	return out
}

// Addressing is where a Gateway is reached, or why it is not.
type Addressing struct {
	Addresses []gatewayv1.GatewayStatusAddress
	// Reason and Message of Programmed; empty: there is an address, and none that was asked for is missing.
	Reason, Message string
}

// Addresses finds where a Gateway is reached, by its Services as they are.
func Addresses(set *resources.Set, g translate.Gateway) Addressing {
	if g.Shared != nil {
		return shared(set, g)
	}
	ask := wanted(g.Object)
	if len(ask) == 0 {
		return fromService(set, g.Object.Namespace, Name(g))
	}
	var out Addressing
	for i, a := range ask {
		s := fromService(set, g.Object.Namespace, serviceName(Name(g), i))
		if slices.ContainsFunc(s.Addresses, func(x gatewayv1.GatewayStatusAddress) bool { return x.Value == a }) {
			out.add(gatewayv1.IPAddressType, a)
			continue
		}
		out.Reason = string(gatewayv1.GatewayReasonAddressNotUsable)
		out.Message = strings.TrimPrefix(out.Message+fmt.Sprintf("; the address %s has not been assigned", a), "; ")
	}
	return out
}

// shared are the addresses of data planes that are there already.
func shared(set *resources.Set, g translate.Gateway) Addressing {
	spec := g.Shared.Spec.Shared
	var out Addressing
	for _, a := range wanted(g.Object) {
		out.add(gatewayv1.IPAddressType, a)
	}
	if len(out.Addresses) > 0 {
		return out
	}
	for _, a := range spec.Addresses {
		if _, err := netip.ParseAddr(a); err == nil {
			out.add(gatewayv1.IPAddressType, a)
		} else {
			out.add(gatewayv1.HostnameAddressType, a)
		}
	}
	if spec.Service == "" {
		if len(out.Addresses) == 0 {
			out.Reason, out.Message = string(gatewayv1.GatewayReasonAddressNotAssigned),
				fmt.Sprintf("GatewayConfig %s/%s: spec.shared names neither a Service nor addresses", g.Shared.Namespace, g.Shared.Name)
		}
		return out
	}
	return fromService(set, g.Shared.Namespace, spec.Service)
}

func (a *Addressing) add(typ gatewayv1.AddressType, value string) {
	if len(a.Addresses) < 16 { // the most that a Gateway's status has
		a.Addresses = append(a.Addresses, gatewayv1.GatewayStatusAddress{Type: ptr.To(typ), Value: value})
	}
}

// fromService reads the addresses of a Service.
func fromService(set *resources.Set, namespace, name string) Addressing {
	out := Addressing{}
	s, ok := set.Services.Get(namespace, name)
	if !ok {
		out.Reason, out.Message = string(gatewayv1.GatewayReasonAddressNotAssigned), fmt.Sprintf("there is no Service %s/%s yet", namespace, name)
		return out
	}
	for _, in := range s.Status.LoadBalancer.Ingress {
		if in.IP != "" {
			out.add(gatewayv1.IPAddressType, in.IP)
		}
		if in.Hostname != "" {
			out.add(gatewayv1.HostnameAddressType, in.Hostname)
		}
	}
	for _, ip := range s.Spec.ExternalIPs {
		out.add(gatewayv1.IPAddressType, ip)
	}
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer && len(out.Addresses) == 0 {
		for _, ip := range s.Spec.ClusterIPs {
			if ip != "" && ip != corev1.ClusterIPNone {
				out.add(gatewayv1.IPAddressType, ip)
			}
		}
	}
	if len(out.Addresses) == 0 {
		out.Reason, out.Message = string(gatewayv1.GatewayReasonAddressNotAssigned), fmt.Sprintf("the Service %s/%s has no address yet", namespace, name)
	}
	return out
}
