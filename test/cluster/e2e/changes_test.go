package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// 100 changes of the configuration while 50 streams and steady requests run: no request fails, and each stream has the bytes
// that the simulator itself sends.
func TestChangesInterruptNothing(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	pods, err := shared.Client().CoreV1().Pods(ns).List(within(t), metav1.ListOptions{LabelSelector: "app=simulator"})
	if err != nil || len(pods.Items) == 0 {
		t.Fatal("no simulator", err)
	}
	simulator := pods.Items[0].Status.PodIP + ":9100"

	var streams sync.WaitGroup
	for i := range 50 {
		streams.Go(func() {
			text := fmt.Sprintf("Stream %d [[simulate: tokens=300 delay=100ms]]", i)
			got, err := stream(t.Context(), at, text, "")
			want, wantErr := stream(t.Context(), simulator, text, "0s")
			if err != nil || wantErr != nil || !bytes.Equal(got, want) {
				t.Errorf("stream %d: %v, %v: %d bytes, expected %d\n%.400s\n%.400s", i, err, wantErr, len(got), len(want), got, want)
			}
		})
	}
	stop := load(t, at)
	for n := range 100 {
		apply(t, ns, change(n))
		time.Sleep(200 * time.Millisecond)
	}
	streams.Wait()
	mustServe(t, stop)
	routeCondition(t, ns, "models", "Accepted", "True/Accepted")
}

// change is something different each time: models, a provider's timeouts and headers, rules of the route, weights, a listener, a
// Secret, policies.
func change(n int) string {
	switch n % 7 {
	case 0:
		return fmt.Sprintf(`
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIBackend
metadata: {name: models, namespace: NS}
spec:
  models: [{name: sim, targets: [{providerRef: {name: simulator}, weight: %d}]}, {name: sim-%d, targets: [{providerRef: {name: simulator}}]}]
`, 1+n%9, n)
	case 1:
		return fmt.Sprintf(`
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIProvider
metadata: {name: simulator, namespace: NS}
spec:
  schema: OpenAI
  endpoint: {backendRef: {kind: Service, name: simulator, port: 9100, path: /v1}}
  headers: [{name: x-edit, value: "%d"}]
  timeouts: {firstByte: %ds, idle: %ds}
`, n, 30+n, 60+n)
	case 2:
		return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: models, namespace: NS}
spec:
  parentRefs: [{name: ai}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v1}}]
    backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: models, weight: %d}]
  - matches: [{path: {type: Exact, value: /edit/%d}}]
    filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /}}}]
`, 1+n, n)
	case 3:
		return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  listeners: [{name: http, protocol: HTTP, port: 8080}, {name: more, protocol: HTTP, port: %d}]
`, 8081+n%3)
	case 4:
		return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: other, namespace: NS}\nstringData: {token: sk-%d}\n", n)
	case 5:
		return fmt.Sprintf(`
apiVersion: gateway.nantian.dev/v1alpha1
kind: TokenPolicy
metadata: {name: plenty, namespace: NS}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ai}]
  limits: [{name: hour, unit: Tokens, limit: %d, window: 1h}]
`, 100_000_000+n)
	}
	return fmt.Sprintf(`
apiVersion: gateway.nantian.dev/v1alpha1
kind: PromptGuardPolicy
metadata: {name: watch, namespace: NS}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: models}]
  rules: [{name: names, keywords: ["project aurora %d"], scan: [Request], action: Audit}]
`, n)
}

// moving is what differs between equal answers: the time.
var moving = regexp.MustCompile(`"created":[0-9]+`)

// stream reads a stream to its end. delay, if not empty, is that of the simulator in place of the text's.
func stream(ctx context.Context, address, text, delay string) ([]byte, error) {
	body := fmt.Sprintf(`{"model": "sim", "stream": true, "stream_options": {"include_usage": true}, "messages": [{"role": "user", "content": %q}]}`, text)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/chat/completions", bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if delay != "" {
		req.Header.Set("X-Simulate-Delay", delay)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return moving.ReplaceAll(b, nil), err
}
