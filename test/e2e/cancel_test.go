package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

const (
	// leaves is how often each kind of client leaves, and mostLeaves how often on a machine that is busy with other things.
	leaves, mostLeaves = 15, 200
	// soon is within what the provider has to see it, at the best: what is more is the machine's.
	soon = 5 * time.Millisecond
)

// TestClientLeaves: the provider sees that a client has left, over plain connections and TLS, in streams of any rate,
// before the first token and in whole answers. It measures time, so it runs before the parallel tests.
func TestClientLeaves(t *testing.T) {
	plain := start(t, allSchemas)
	h1, _, _ := secured(t, false, allSchemas)
	h2, _, _ := secured(t, true, allSchemas)
	upstream := secureProvider(t)
	for name, w := range map[string]*world{"plain": plain, "TLS": h1, "TLS h2": h2, "TLS to provider": upstream} {
		for _, c := range []struct {
			name, text string
			stream     bool
		}{
			{"fast stream", "tokens=100000 delay=1ms", true},
			{"slow stream", "tokens=100 delay=10m", true},
			{"before the first token", "first-token=10m", true},
			{"whole answer", "head=10m", false},
		} {
			for _, d := range dialects {
				t.Run(name+" "+c.name+" "+d.name, func(t *testing.T) {
					model := "sim-openai"
					if name != "TLS to provider" && d.name == "anthropic" {
						model = "sim-gemini"
					}
					leave(t, w, ask{dialect: d, model: model, text: "Hi [[simulate: " + c.text + "]]", stream: c.stream})
				})
			}
		}
	}
}

// secureProvider is a world whose provider is reached over TLS, by the root that a BackendTLSPolicy trusts.
func secureProvider(t *testing.T) *world {
	ca := rig.NewAuthority(t)
	return start(t, func(w *world) rig.Files {
		port := rig.Front(t, ca.Server("localhost"), strings.TrimPrefix(w.sim.URL, "http://"))
		return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": tlsService(port, string(ca.PEM)) +
			rig.Models(rig.Model("sim-openai", "secure"))}
	})
}

// leave starts calls and goes away, and measures until the provider knows.
func leave(t *testing.T, w *world, a ask) {
	var took []time.Duration
	from := w.Access.Len()
	for len(took) < leaves || slices.Min(took) > soon && len(took) < mostLeaves {
		before, requests := w.sim.Stats().Cancelled, w.sim.Stats().Requests
		ctx, cancel := context.WithCancel(t.Context())
		if a.stream && a.text != "Hi [[simulate: first-token=10m]]" {
			w.begin(ctx, a)
		} else {
			go func() {
				if resp, err := w.open(ctx, a.path, a.body()); err == nil {
					resp.Body.Close()
				}
			}()
			rig.Eventually(t, rig.Patience, "the provider was asked", func() bool { return w.sim.Stats().Requests > requests })
			time.Sleep(20 * time.Millisecond)
		}
		left := time.Now()
		cancel()
		for w.sim.Stats().Cancelled == before {
			if time.Since(left) > rig.Patience {
				t.Fatalf("the provider does not know after %v", rig.Patience)
			}
			time.Sleep(50 * time.Microsecond)
		}
		took = append(took, time.Since(left))
	}
	if e := w.LoggedAfter(from, `"requested_model":"`+a.model+`"`); !e.Aborted || e.Status != 499 || e.Input == 0 {
		t.Errorf("logged %+v", e)
	}
	rig.Eventually(t, rig.Patience, "all calls are logged", func() bool { return strings.Count(w.Access.String()[from:], "\n") == len(took) })
	slices.Sort(took)
	median := took[len(took)/2]
	t.Logf("best %v, median %v, worst %v", took[0], median.Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
	if took[0] > soon {
		t.Errorf("the provider knows after %v at the best, want %v", took[0], soon)
	}
}

// tlsService is an AIProvider "secure" behind a Service that is reached over TLS.
func tlsService(port int, root string) string {
	return fmt.Sprintf(`
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIProvider
metadata: {name: secure, namespace: default}
spec:
  schema: OpenAI
  endpoint: {backendRef: {name: secure, port: 443, path: /v1}}
---
apiVersion: v1
kind: Service
metadata: {name: secure, namespace: default}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: secure-1, namespace: default, labels: {kubernetes.io/service-name: secure}}
addressType: IPv4
ports: [{name: https, port: %d}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: root, namespace: default}
data: {ca.crt: %q}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: secure, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: secure}]
  validation: {hostname: localhost, caCertificateRefs: [{group: "", kind: ConfigMap, name: root}]}
`, port, root)
}
