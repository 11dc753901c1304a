package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// grant allows objects of a kind in namespace default to name those of another kind in namespace vendors.
func grant(from, group, to string) string {
	return fmt.Sprintf(`
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: %s, namespace: vendors}
spec:
  from: [{group: gateway.nantian.dev, kind: %s, namespace: default}]
  to: [{group: %q, kind: %s}]
`, strings.ToLower(from), from, group, to)
}

// TestReferenceGrant: an AIProvider or a Secret of another namespace is used when that namespace allows it, and no longer.
func TestReferenceGrant(t *testing.T) {
	t.Parallel()
	provider := func(w *world) string {
		there := strings.ReplaceAll(rig.Provider("far", "OpenAI", w.sim.URL+"/v1"), "namespace: default", "namespace: vendors")
		return strings.Replace(there, "  auth: {apiKey: {secretRef: {name: key, key: token}}}\n", "", 1) +
			strings.Replace(rig.Models(rig.Model("far", "far")), "{name: far}", "{name: far, namespace: vendors}", 1)
	}
	secret := func(w *world) string {
		there := "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: far, namespace: vendors}\nstringData: {token: sk-far}\n"
		return there + strings.Replace(rig.Provider("near", "OpenAI", w.sim.URL+"/v1"), "{name: key, key: token}", "{name: far, namespace: vendors, key: token}", 1) +
			rig.Models(rig.Model("far", "near"))
	}
	for name, c := range map[string]struct {
		objects func(w *world) string
		grant   string
	}{
		"provider": {provider, grant("AIBackend", "gateway.nantian.dev", "AIProvider")},
		"secret":   {secret, grant("AIProvider", "", "Secret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(w *world) rig.Files {
				return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": c.objects(w)}
			})
			hello := ask{dialect: dialects[0], model: "far", text: "Hi"}
			if r := w.chat(hello); r.status < 500 {
				t.Errorf("status %d without a grant: %s", r.status, r.body)
			}
			if !strings.Contains(w.Messages.String(), "RefNotPermitted") {
				t.Errorf("messages do not say RefNotPermitted")
			}
			w.Put("grant.yaml", c.grant)
			rig.Eventually(t, rig.Patience, "the grant is live", func() bool { return w.chat(hello).status == 200 })
			w.Put("grant.yaml", "")
			rig.Eventually(t, rig.Patience, "the grant is withdrawn", func() bool { return w.chat(hello).status >= 500 })
		})
	}
}
