package controlplane

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// nowhere is a Publisher that counts.
type nowhere struct{ groups, endpoints int }

func (n *nowhere) SetGroup(string, *snapshot.Snapshot, map[string]*xdsv1.Endpoints) error {
	n.groups++
	return nil
}
func (n *nowhere) SetEndpoints(string, map[string]*xdsv1.Endpoints, []string) { n.endpoints++ }
func (n *nowhere) RemoveGroup(string)                                         {}

// cityOf is the objects of so many Gateways with so many routes in all, each to a Service of its own.
func cityOf(b *testing.B, gateways, routes int) []resources.Object {
	b.Helper()
	text := []byte("apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: nantian}\nspec: {controllerName: gateway.nantian.dev/controller}\n")
	for i := range gateways {
		text = fmt.Appendf(text, "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw%d, namespace: prod}\n"+
			"spec: {gatewayClassName: nantian, listeners: [{name: http, port: 80, protocol: HTTP}]}\n", i)
	}
	for i := range routes {
		text = fmt.Appendf(text, `---
apiVersion: v1
kind: Service
metadata: {name: s%d, namespace: prod}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%d, namespace: prod}
spec:
  parentRefs: [{name: gw%d}]
  hostnames: [h%d.example.com]
  rules:
  - matches: [{path: {value: /a}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-b, value: c}]}}]
    backendRefs: [{name: s%d, port: 80}]
  - backendRefs: [{name: s%d, port: 80}]
`, i, i, i%gateways, i, i, i)
	}
	objects, problems := resources.NewDecoder(func(string) (string, bool) { return "", false }).Decode("city.yaml", text)
	if len(problems) > 0 {
		b.Fatal(problems[0])
	}
	return objects
}

// BenchmarkEdit edits one of 10,000 routes over 100 Gateways and makes of all objects what their groups of data planes get. It
// reports the median of the time and the CPU of an edit.
func BenchmarkEdit(b *testing.B) {
	objects := cityOf(b, 100, 10_000)
	to := &nowhere{}
	c := NewCluster(to)
	if _, err := c.Next(resources.NewSet(objects, nil)); err != nil {
		b.Fatal(err)
	}
	at := slices.IndexFunc(objects, func(o resources.Object) bool { return o.Ref.Kind == "HTTPRoute" })
	var took []time.Duration
	n, cpu, published := 0, cpuTime(), to.groups
	for b.Loop() {
		n++
		objects = slices.Clone(objects)
		o := &objects[at+2*(n%10_000)]
		route := o.Value.(*gatewayv1.HTTPRoute).DeepCopy()
		route.Spec.Rules[0].Matches[0].Path.Value = ptr.To(fmt.Sprintf("/edited/%d", n))
		o.Value = route
		begin := time.Now()
		if _, err := c.Next(resources.NewSet(objects, nil)); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	spent := cpuTime() - cpu
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/edit-p50")
	b.ReportMetric(float64(spent.Microseconds())/float64(n)/1000, "cpu-ms/edit")
	b.ReportMetric(float64(to.groups-published)/float64(n), "groups/edit")
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
