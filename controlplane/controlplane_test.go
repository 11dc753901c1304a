package controlplane

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

const base = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: nantian, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [ADDRESS]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: other}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: b, port: 80}]}]}
---
`

// story feeds sets to a Standalone.
type story struct {
	t *testing.T
	s Standalone
	d *resources.Decoder
}

func (s *story) next(text string) Update {
	s.t.Helper()
	set := resources.NewSet(s.d.Decode("f.yaml", []byte(text)))
	if len(set.Problems()) > 0 {
		s.t.Fatal(set.Problems())
	}
	u, err := s.s.Next(set)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

// told is an Update by its keys.
func told(u Update) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(u.Set)) {
		parts = append(parts, "+"+k)
	}
	for _, k := range u.Removed {
		parts = append(parts, "-"+k)
	}
	for _, k := range slices.Sorted(maps.Keys(u.Endpoints)) {
		parts = append(parts, "+@"+k)
	}
	for _, k := range u.RemovedEndpoints {
		parts = append(parts, "-@"+k)
	}
	return strings.Join(parts, " ")
}

func route(path, backend string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {parentRefs: [{name: gw}], rules: [{matches: [{path: {type: RegularExpression, value: "` + path + `"}}], backendRefs: [{name: ` + backend + `, port: 80}]}]}
`
}

func TestUpdatesTellWhatHasChanged(t *testing.T) {
	s := &story{t: t, d: resources.NewDecoder(func(string) (string, bool) { return "", false })}
	f := func(text, want string) {
		t.Helper()
		if got := told(s.next(text)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	one, two := strings.Replace(base, "ADDRESS", "10.0.0.1", 1), strings.Replace(base, "ADDRESS", "10.0.0.2", 1)
	first := s.next(one)
	if !first.Full {
		t.Error("the first update is not full")
	}
	if got, want := told(first), "+backend/default/b/80 +listener/default/gw/http +route/http/default/other"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f(one, "")
	f(one+route("/x", "a"), "+backend/default/a/80 +route/http/default/r +@backend/default/a/80")
	// A pod that moves changes no resource.
	f(two+route("/x", "a"), "+@backend/default/a/80")
	f(two+route("/x", "b"), "+route/http/default/r -backend/default/a/80 -@backend/default/a/80")
	f(two, "-route/http/default/r")
}

func TestARefusedObjectKeepsItsLastValidVersion(t *testing.T) {
	s := &story{t: t, d: resources.NewDecoder(func(string) (string, bool) { return "", false })}
	text := strings.Replace(base, "ADDRESS", "10.0.0.1", 1)
	s.next(text + route("/x", "a"))
	// The regular expression is a mistake. The route keeps its path and its backend; the change of another object goes out.
	u := s.next(strings.Replace(text, "name: b, port: 80}]}]", "name: b, port: 80, weight: 2}]}]", 1) + route("/(x", "b"))
	if got, want := told(u), "+route/http/default/other"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	bad := 0
	for _, st := range u.Statuses {
		if !st.OK() {
			bad++
			if c := st.Parents[0].Conditions[0]; c.Reason != "UnsupportedValue" || !strings.HasPrefix(c.Message, "http.rules[0].matches[0].path.value: ") {
				t.Errorf("condition: %+v", c)
			}
		}
	}
	if bad != 1 {
		t.Errorf("%d objects are bad, want the one route", bad)
	}
	u = s.next(text + route("/y", "b"))
	if got, want := told(u), "+route/http/default/other +route/http/default/r -backend/default/a/80 -@backend/default/a/80"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// One that never was valid is not there.
	u = s.next(text + strings.Replace(route("/(z", "a"), "name: r", "name: new", 1))
	if got, want := told(u), "-route/http/default/r"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestARefusedProviderGoesOnServing(t *testing.T) {
	s := &story{t: t, d: resources.NewDecoder(func(string) (string, bool) { return "", false })}
	text := func(url string) string {
		return strings.Replace(base, "ADDRESS", "10.0.0.1", 1) + `apiVersion: gateway.nantian.dev/v1alpha1
kind: AIProvider
metadata: {name: p}
spec: {schema: OpenAI, endpoint: {url: "` + url + `"}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ai}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{group: gateway.nantian.dev, kind: AIProvider, name: p}]}]}
`
	}
	f := func(url, want string) {
		t.Helper()
		if got := told(s.next(text(url))); got != want {
			t.Errorf("%s: got  %s\nwant %s", url, got, want)
		}
	}
	f("http://a:port", "+backend/default/b/80 +listener/default/gw/http +route/http/default/ai +route/http/default/other")
	f("http://a:1", "+provider/default/p +route/http/default/ai")
	f("http://a:port", "")
	f("http://a:2", "+provider/default/p")
	u := s.next(strings.Replace(text("http://a:port"), "name: p}]}]}", "name: q}]}]}", 1))
	if got, want := told(u), "+route/http/default/ai -provider/default/p"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestARefusedBalancingPolicyKeepsItsLastValidVersion: whether a value is wrong, or the object cannot be read, its Service is
// balanced as before.
func TestARefusedBalancingPolicyKeepsItsLastValidVersion(t *testing.T) {
	s := &story{t: t, d: resources.NewDecoder(func(string) (string, bool) { return "", false })}
	text := func(spec string) string {
		return strings.Replace(base, "ADDRESS", "10.0.0.1", 1) + `apiVersion: gateway.nantian.dev/v1alpha1
kind: BackendLBPolicy
metadata: {name: p}
spec: {targetRefs: [{group: "", kind: Service, name: b}], ` + spec + `}
---
`
	}
	balancing := func() string {
		b := s.s.last.Resources["backend/default/b/80"].GetBackend()
		return fmt.Sprint(b.GetLoadBalancing().GetPolicy(), " ", b.GetProxyProtocol())
	}
	f := func(spec, want, wantTold string) {
		t.Helper()
		u, err := s.s.Next(resources.NewSet(s.d.Decode("f.yaml", []byte(text(spec)))))
		if err != nil {
			t.Fatal(err)
		}
		if got := balancing(); got != want {
			t.Errorf("%s: %s, want %s", spec, got, want)
		}
		if got := told(u); got != wantTold {
			t.Errorf("%s: told %s, want %s", spec, got, wantTold)
		}
	}
	const both = "algorithm: LeastRequest, proxyProtocol: V2"
	const wrong = "algorithm: Random, outlierEjection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 0}"
	f(wrong, "ROUND_ROBIN OFF", "+backend/default/b/80 +listener/default/gw/http +route/http/default/other")
	f(both, "LEAST_REQUEST V2", "+backend/default/b/80")
	f(wrong, "LEAST_REQUEST V2", "")
	f("algorithm: [Random]", "LEAST_REQUEST V2", "")
	f("algorithm: Random", "RANDOM OFF", "+backend/default/b/80")
}

// sets is a source of given sets.
type sets []*resources.Set

func (s sets) Run(_ context.Context, changed func(*resources.Set)) error {
	for _, set := range s {
		changed(set)
	}
	return nil
}

func TestRun(t *testing.T) {
	empty := resources.NewSet(nil, []resources.Problem{{Message: "p"}})
	var got []Update
	if err := Run(context.Background(), sets{empty, empty}, func(u Update) { got = append(got, u) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !got[0].Full || got[1].Full || len(got[1].Problems) != 1 {
		t.Errorf("updates: %+v", got)
	}
}
