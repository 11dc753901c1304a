package e2e_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const keys = `
apiVersion: gateway.nantian.dev/v1alpha1
kind: AuthPolicy
metadata: {name: keys, namespace: NS}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ai}]
  apiKeys: {secretSelector: {matchLabels: {nantian.dev/api-key: "true"}}}
---
apiVersion: v1
kind: Secret
metadata: {name: alice, namespace: NS, labels: {nantian.dev/api-key: "true"}}
stringData: {key: sk-alice-0123456789abcdef}
`

// A key that is deleted in the cluster is refused by data planes soon; how soon is told, since machines differ.
func TestRevokedKey(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	apply(t, ns, keys)
	status := func(ctx context.Context, key string) int {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := client.Do(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	is := func(key string, want int) {
		t.Helper()
		becomes(t, want, func() int { return status(t.Context(), key) })
	}
	is("sk-nobody-0123456789abcdef", 401)
	is("sk-alice-0123456789abcdef", 200)
	if err := shared.Client().CoreV1().Secrets(ns).Delete(within(t), "alice", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	is("sk-alice-0123456789abcdef", 401)
	t.Logf("refused %s after it was deleted", time.Since(deleted).Round(time.Millisecond))
}
