package features

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"

	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/test/rig"
)

// TestValidateSaysWhatAClusterWould: the conditions that the suite reads are those that nantian validate prints.
func TestValidateSaysWhatAClusterWould(t *testing.T) {
	c, s := setUp(t)
	b := &bench{t: t, c: c, s: s}
	b.apply(gatewayOf("*.example.com") + routeOf("good", "a.example.com", `
  - backendRefs: [{name: infra-backend-v1, port: 8080}]
`) + routeOf("nowhere", "a.example.com", `
  - backendRefs: [{name: nobody, port: 8080}]
`) + routeOf("elsewhere", "a.example.com", `
  - backendRefs: [{name: web-backend, namespace: gateway-conformance-web-backend, port: 8080}]
`) + routeOf("kind", "a.example.com", `
  - backendRefs: [{group: example.org, kind: Thing, name: thing, port: 8080}]
`) + routeOf("host", "example.org", `
  - backendRefs: [{name: infra-backend-v1, port: 8080}]
`))
	b.await()
	f := func(name, accepted, resolved string) {
		t.Helper()
		route := &gatewayv1.HTTPRoute{}
		rig.Eventually(t, rig.Patience, name+" has a status", func() bool {
			err := c.client.Get(t.Context(), types.NamespacedName{Namespace: suite.InfrastructureNamespace, Name: name}, route)
			return err == nil && len(route.Status.Parents) == 1
		})
		want := []string{"Accepted=" + accepted, "ResolvedRefs=" + resolved}
		if got := short(route.Status.Parents[0].Conditions); !slices.Equal(got, want) {
			t.Errorf("%s in the cluster: %q, want %q", name, got, want)
		}
		if got := short(validated(t, c.dir, name).Conditions); !slices.Equal(got, want) {
			t.Errorf("%s by validate: %q, want %q", name, got, want)
		}
	}
	f("good", "True Accepted", "True ResolvedRefs")
	f("nowhere", "True Accepted", "False BackendNotFound")
	f("elsewhere", "True Accepted", "False RefNotPermitted")
	f("kind", "True Accepted", "False InvalidKind")
	f("host", "False NoMatchingListenerHostname", "True ResolvedRefs")
}

func short(conditions []metav1.Condition) []string {
	var out []string
	for _, c := range conditions {
		out = append(out, c.Type+"="+string(c.Status)+" "+c.Reason)
	}
	return out
}

// validated is what nantian validate -o json says of a route at its one parent.
func validated(t *testing.T, dir, route string) status.ReportParent {
	t.Helper()
	out, err := exec.Command(rig.Binary(t), "validate", "-f", dir, "-o", "json").Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatal(err)
	}
	var report status.Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	for _, o := range report.Objects {
		if o.Kind == "HTTPRoute" && o.Name == route && len(o.Parents) == 1 {
			return o.Parents[0]
		}
	}
	t.Fatalf("validate has no HTTPRoute %s with one parent", route)
	return status.ReportParent{}
}
