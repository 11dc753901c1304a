package translate

import (
	"fmt"
	"testing"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// folder is a file with one Gateway, n Services and n routes of two rules each.
func folder(n int) []byte {
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
	return text
}

func decoder() *resources.Decoder {
	return resources.NewDecoder(func(string) (string, bool) { return "", false })
}

func BenchmarkTranslate(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			set := resources.NewSet(decoder().Decode("f.yaml", folder(n)))
			if len(set.Problems()) > 0 {
				b.Fatal(set.Problems()[0])
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Translate(set, Options{Standalone: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecode reads 1,000 routes and Services, and reads them again.
func BenchmarkDecode(b *testing.B) {
	d, text := decoder(), folder(1_000)
	known, _ := d.Decode("f.yaml", text)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			d.Decode("f.yaml", text)
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			d.Decode("f.yaml", text, known...)
		}
	})
}
