package rig

import (
	"fmt"
	"strings"
)

// Schemas are those of providers, with the path that each has before its own in a base URL.
var Schemas = []struct{ Name, Schema, Path string }{
	{"openai", "OpenAI", "/v1"},
	{"azure", "AzureOpenAI", ""},
	{"anthropic", "Anthropic", ""},
	{"gemini", "Gemini", ""},
	{"ollama", "Ollama", ""},
}

// Key is what the providers of Provider are given as credential.
const Key = "sk-of-the-gateway-0123456789"

// Entrance is a Gateway "ai" with an HTTP listener, and a route that sends all under /v1 to the AIBackend "models".
func Entrance(port int) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: default}
spec:
  gatewayClassName: nantian
  listeners:
  - {name: http, protocol: HTTP, port: %d}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: models, namespace: default}
spec:
  parentRefs: [{name: ai}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v1}}]
    backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: models}]
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: default}
stringData: {token: %s}
`, port, Key)
}

// Provider is an AIProvider that sends Key. Each of more is a line of its spec.
func Provider(name, schema, url string, more ...string) string {
	return fmt.Sprintf(`
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIProvider
metadata: {name: %s, namespace: default}
spec:
  schema: %s
  endpoint: {url: %q}
  auth: {apiKey: {secretRef: {name: key, key: token}}}
%s`, name, schema, url, indent(more))
}

// Models is an AIBackend "models" of what Model gives.
func Models(models ...string) string {
	return `
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIBackend
metadata: {name: models, namespace: default}
spec:
  models:
` + strings.Join(models, "")
}

// Model is a model of an AIBackend whose targets, "provider" or "provider/model", are tried in that order. The
// provider's model is "sim" where none is named.
func Model(name string, targets ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %q\n    targets:\n", name)
	for i, t := range targets {
		provider, model, ok := strings.Cut(t, "/")
		if !ok {
			model = "sim"
		}
		fmt.Fprintf(&b, "    - {providerRef: {name: %s}, model: %q, priority: %d}\n", provider, model, i)
	}
	return b.String()
}

// indent makes the lines those of a spec.
func indent(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("  " + l + "\n")
	}
	return b.String()
}
