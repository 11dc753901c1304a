package translate

import (
	"fmt"
	"testing"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// routes makes a set with one Gateway, n Services and n routes of two rules each.
func routes(tb testing.TB, n int) *resources.Set {
	tb.Helper()
	text := []byte("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec: {gatewayClassName: nantian, listeners: [{name: http, port: 80, protocol: HTTP}]}\n")
	for i := range n {
		text = fmt.Appendf(text, `---
apiVersion: v1
kind: Service
metadata: {name: s%d}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%d}
spec:
  parentRefs: [{name: gw}]
  hostnames: [h%d.example.com]
  rules:
  - matches: [{path: {value: /a}, headers: [{name: x-a, value: b}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-b, value: c}]}}]
    backendRefs: [{name: s%d, port: 80}]
  - backendRefs: [{name: s%d, port: 80}]
`, i, i, i, i, i)
	}
	set := resources.NewSet(resources.NewDecoder(func(string) (string, bool) { return "", false }).Decode("f.yaml", text))
	if len(set.Problems()) > 0 {
		tb.Fatal(set.Problems()[0])
	}
	return set
}

func BenchmarkTranslate(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			set := routes(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Translate(set, Options{Standalone: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for b.Loop() {
		routes(b, 1_000)
	}
}
