package endpoints

import (
	"fmt"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

const service = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: app}
spec: {ports: [{name: http, port: 80}, {name: admin, port: 81}]%s}
---
`

func slice(name, rest string) string {
	return fmt.Sprintf("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %s, namespace: app, labels: {kubernetes.io/service-name: web}}\n%s\n---\n", name, rest)
}

func TestBuild(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		set := resources.NewSet(resources.NewDecoder(func(string) (string, bool) { return "", false }).Decode("f", []byte(text)))
		if len(set.Problems()) > 0 {
			t.Fatal(set.Problems())
		}
		key := xdsv1.BackendKey("app", "web", 80)
		s, err := snapshot.New(map[string]*xdsv1.Resource{key: {Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{
			Key: key, Protocol: xdsv1.BackendProtocol_HTTP1, Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		e, ok := Build(set, s)[key]
		if !ok {
			t.Fatal("the backend has no Endpoints")
		}
		var got []string
		for _, e := range e.GetEndpoints() {
			text := fmt.Sprintf("%s:%d", e.GetAddress(), e.GetPort())
			if e.GetDraining() {
				text += " draining"
			}
			got = append(got, text)
		}
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("got %s, want %s", g, want)
		}
	}
	single, dual := fmt.Sprintf(service, ""), fmt.Sprintf(service, ", ipFamilies: [IPv6, IPv4]")
	ports := "ports: [{name: http, port: 8080}, {name: admin, port: 9090}]\n"
	v4 := slice("a", "addressType: IPv4\n"+ports+"endpoints: [{addresses: [10.0.0.2]}, {addresses: [10.0.0.1]}]")
	f(single, "")
	f(single+v4, "10.0.0.1:8080, 10.0.0.2:8080")
	// A pod moves from one slice to another and is in both for a while.
	f(single+v4+slice("b", "addressType: IPv4\n"+ports+"endpoints: [{addresses: [10.0.0.1], conditions: {ready: false, serving: true, terminating: true}}]"), "10.0.0.1:8080, 10.0.0.2:8080")
	f(single+slice("c", "addressType: IPv4\n"+ports+`endpoints:
- {addresses: [10.0.0.1], conditions: {ready: true}}
- {addresses: [10.0.0.2], conditions: {ready: false}}
- {addresses: [10.0.0.3], conditions: {ready: false, serving: true, terminating: true}}
- {addresses: [10.0.0.4], conditions: {ready: false, serving: false, terminating: true}}
- {addresses: [10.0.0.5, 10.0.0.6]}
`), "10.0.0.1:8080, 10.0.0.3:8080 draining, 10.0.0.5:8080")
	// Another port's name is another port.
	f(single+slice("d", "addressType: IPv4\nports: [{name: other, port: 1}]\nendpoints: [{addresses: [10.0.0.1]}]"), "")
	v6 := slice("e", "addressType: IPv6\n"+ports+"endpoints: [{addresses: ['2001:db8::1']}]")
	f(single+v4+v6, "10.0.0.1:8080, 10.0.0.2:8080")
	f(single+v6, "2001:db8::1:8080")
	f(dual+v4+v6, "2001:db8::1:8080")
}
