package proxy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ptr[T any](v T) *T { return &v }

func endpoint(addr string, ready, serving, terminating bool) discoveryv1.Endpoint {
	c := discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating}
	return discoveryv1.Endpoint{Addresses: []string{addr}, Conditions: c}
}

func slice(service string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: endpoints,
		Ports: []discoveryv1.EndpointPort{
			{Name: ptr("http"), Port: ptr(int32(8080)), Protocol: ptr(corev1.ProtocolTCP)},
			{Name: ptr("dns"), Port: ptr(int32(5353)), Protocol: ptr(corev1.ProtocolUDP)},
		},
	}
}

func TestTable(t *testing.T) {
	svc := func(name, ip string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: []corev1.ServicePort{
			{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}, {Name: "dns", Port: 53, NodePort: 30053, Protocol: corev1.ProtocolUDP},
		}}}
	}
	full, ending, empty, headless := svc("full", "10.0.0.1"), svc("ending", "10.0.0.2"), svc("empty", "10.0.0.3"), svc("headless", corev1.ClusterIPNone)
	full.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.9.0.1"}, {Hostname: "a.example.com"}}
	full.Spec.ExternalIPs = []string{"192.0.2.1"}
	full.Spec.Ports[1].NodePort = 0
	ending.Spec.Ports = ending.Spec.Ports[1:]
	got := table([]*corev1.Service{full, ending, empty, headless}, []*discoveryv1.EndpointSlice{
		slice("full", endpoint("10.1.0.2", true, true, false), endpoint("10.1.0.9", false, true, true)), slice("full", endpoint("10.1.0.1", true, true, false)),
		slice("ending", endpoint("10.1.0.3", false, true, true), endpoint("10.1.0.4", false, false, true)),
		slice("empty", endpoint("10.1.0.5", false, false, false)),
	}, netip.MustParseAddr("10.8.0.1"))
	var lines []string
	for f, e := range maps.All(got) {
		lines = append(lines, fmt.Sprint(f.protocol, " ", f.addr, " ", e))
	}
	slices.Sort(lines)
	want := `17 10.0.0.1:53 [10.1.0.1:5353 10.1.0.2:5353]
17 10.0.0.2:53 [10.1.0.3:5353]
17 10.8.0.1:30053 [10.1.0.3:5353]
17 10.9.0.1:53 [10.1.0.1:5353 10.1.0.2:5353]
17 192.0.2.1:53 [10.1.0.1:5353 10.1.0.2:5353]
6 10.0.0.1:80 [10.1.0.1:8080 10.1.0.2:8080]
6 10.9.0.1:80 [10.1.0.1:8080 10.1.0.2:8080]
6 192.0.2.1:80 [10.1.0.1:8080 10.1.0.2:8080]`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
