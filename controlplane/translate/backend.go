package translate

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// backend is what was made of one port of a Service. fault says why it cannot be used, http why it cannot be spoken to in
// HTTP.
type backend struct {
	fault, http *fault
}

// target resolves a backendRef of a route into w. The key is returned also when it cannot be used.
func (t *translator) target(from resources.Ref, ref gatewayv1.BackendObjectReference, w *xdsv1.WeightedBackend) (string, *fault) {
	to := backendRef(from, ref)
	switch {
	case to.Group == "" && to.Kind == "Service":
		key, f := t.serviceBackend(from, ref)
		w.Target = &xdsv1.WeightedBackend_Backend{Backend: key}
		return key, f
	case to.Group == v1alpha1.GroupName && to.Kind == v1alpha1.KindAIProvider:
		key, f := t.providerTarget(from, to)
		w.Target = &xdsv1.WeightedBackend_Provider{Provider: key}
		return key, f
	case to.Group == v1alpha1.GroupName && to.Kind == v1alpha1.KindAIBackend:
		key, f := t.modelsTarget(from, to)
		w.Target = &xdsv1.WeightedBackend_Models{Models: key}
		return key, f
	}
	return "", invalidKind(to)
}

func backendRef(from resources.Ref, ref gatewayv1.BackendObjectReference) resources.Ref {
	return resources.Ref{
		Group: string(ptr.Deref(ref.Group, "")), Kind: string(ptr.Deref(ref.Kind, "Service")),
		Namespace: string(ptr.Deref(ref.Namespace, gatewayv1.Namespace(from.Namespace))), Name: string(ref.Name),
	}
}

func invalidKind(to resources.Ref) *fault {
	return &fault{string(gatewayv1.RouteReasonInvalidKind), fmt.Sprintf("the kind %s of group %q cannot be a backend here", to.Kind, to.Group)}
}

// serviceBackend resolves a reference that has to be to a Service that speaks HTTP, and returns the key of its Backend.
func (t *translator) serviceBackend(from resources.Ref, ref gatewayv1.BackendObjectReference) (string, *fault) {
	key, b, f := t.servicePort(from, ref, false)
	if f != nil {
		return key, f
	}
	return key, copyFault(b.http)
}

// l4Target resolves a reference of a route of connections, or with udp of datagrams.
func (t *translator) l4Target(from resources.Ref, ref gatewayv1.BackendObjectReference, udp bool) (string, *fault) {
	key, _, f := t.servicePort(from, ref, udp)
	return key, f
}

// servicePort resolves a reference that has to be to a Service. The key is returned also when it cannot be used.
func (t *translator) servicePort(from resources.Ref, ref gatewayv1.BackendObjectReference, udp bool) (string, *backend, *fault) {
	to := backendRef(from, ref)
	if to.Group != "" || to.Kind != "Service" {
		return "", nil, invalidKind(to)
	}
	if f := t.permit(from, to); f != nil {
		return "", nil, f
	}
	if ref.Port == nil {
		return "", nil, &fault{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("a port is required for %s", to)}
	}
	key := xdsv1.BackendKey(to.Namespace, to.Name, uint32(*ref.Port))
	protocol := corev1.ProtocolTCP
	if udp {
		key, protocol = xdsv1.UDPBackendKey(to.Namespace, to.Name, uint32(*ref.Port)), corev1.ProtocolUDP
	}
	b := t.backends[key]
	if b == nil {
		b = &backend{}
		t.backends[key] = b
		b.fault = t.buildBackend(b, key, to, int32(*ref.Port), protocol)
	}
	return key, b, copyFault(b.fault)
}

// copyFault lets a caller put its own place before the message.
func copyFault(f *fault) *fault {
	if f == nil {
		return nil
	}
	c := *f
	return &c
}

// buildBackend puts the Backend of one port of a Service into the pool.
func (t *translator) buildBackend(b *backend, key string, ref resources.Ref, port int32, protocol corev1.Protocol) *fault {
	service, ok := t.in.Services.Get(ref.Namespace, ref.Name)
	if !ok {
		return &fault{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("there is no %s", ref)}
	}
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == port && p.Protocol == protocol })
	external := service.Spec.Type == corev1.ServiceTypeExternalName
	// A Service of type ExternalName needs no ports: any that is asked for is the host's own.
	p := corev1.ServicePort{Port: port, Protocol: protocol}
	if i >= 0 {
		p = service.Spec.Ports[i]
	} else if !external || len(service.Spec.Ports) > 0 {
		return &fault{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("%s has no %s port %d", ref, protocol, port)}
	}
	out := &xdsv1.Backend{Key: key, Protocol: xdsv1.BackendProtocol_DATAGRAM}
	if protocol == corev1.ProtocolTCP {
		if f := t.speak(b, out, service, p); f != nil {
			return f
		}
	}
	t.locate(out, service, p)
	t.balance(out, service, p)
	if err := t.put(&xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: out}}); err != nil {
		return &fault{string(gatewayv1.RouteReasonBackendNotFound), oneLine(key, err)}
	}
	return nil
}

// speak says what is spoken to a TCP port.
func (t *translator) speak(b *backend, out *xdsv1.Backend, service *corev1.Service, p corev1.ServicePort) (f *fault) {
	tls, f := t.backendTLS(service, p.Name)
	if f != nil {
		return f
	}
	if out.Protocol, b.http = appProtocol(ptr.Deref(p.AppProtocol, ""), tls != nil); b.http != nil {
		out.Protocol = xdsv1.BackendProtocol_HTTP1 // connections have no need of it
	}
	if tls != nil && out.Protocol == xdsv1.BackendProtocol_H2C {
		// The same protocol with TLS below it is agreed on by ALPN. The policy's own message serves other ports too.
		tls = proto.CloneOf(tls)
		tls.H2 = true
	}
	out.Tls = tls
	return nil
}

// appProtocol says how a port is spoken to (KEP-3726 names, and the common names without a prefix).
func appProtocol(name string, tls bool) (xdsv1.BackendProtocol, *fault) {
	switch name {
	case "", "http", "https", "HTTP", "HTTPS":
		if strings.EqualFold(name, "https") && !tls {
			break
		}
		return xdsv1.BackendProtocol_HTTP1, nil
	case "kubernetes.io/h2c", "http2", "grpc", "h2c":
		return xdsv1.BackendProtocol_H2C, nil
	case "kubernetes.io/ws":
		return xdsv1.BackendProtocol_WEBSOCKET, nil
	case "kubernetes.io/wss":
		if tls {
			return xdsv1.BackendProtocol_WEBSOCKET, nil
		}
	default:
		return 0, &fault{string(gatewayv1.RouteReasonUnsupportedProtocol), fmt.Sprintf("appProtocol %s is not supported", name)}
	}
	return 0, &fault{string(gatewayv1.RouteReasonUnsupportedProtocol), fmt.Sprintf("appProtocol %s needs a BackendTLSPolicy that says whom to trust", name)}
}

// locate says where the endpoints of a port are: in EndpointSlices, or in standalone mode without any, in DNS.
func (t *translator) locate(out *xdsv1.Backend, service *corev1.Service, p corev1.ServicePort) {
	hostname := func(name string, port int32) {
		out.Kind = &xdsv1.Backend_Hostname{Hostname: &xdsv1.Hostname{Name: name, Port: uint32(port)}}
	}
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		hostname(strings.ToLower(strings.TrimSuffix(service.Spec.ExternalName, ".")), p.Port)
	case t.o.Standalone && len(t.in.Slices(service.Namespace, service.Name)) == 0:
		hostname(service.Name+"."+service.Namespace+".svc."+t.o.ClusterDomain, dnsPort(service, p))
	default:
		out.Kind = &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}}
	}
}

// dnsPort is the port behind a Service's name in DNS: its own, or for a headless one, whose name leads to the pods, theirs.
func dnsPort(service *corev1.Service, p corev1.ServicePort) int32 {
	if service.Spec.ClusterIP == corev1.ClusterIPNone && p.TargetPort.Type == intstr.Int && p.TargetPort.IntVal > 0 {
		return p.TargetPort.IntVal
	}
	return p.Port
}
