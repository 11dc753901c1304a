package schema

import (
	"slices"
	"testing"

	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	k8sjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := k8sjson.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCheckSaysWhatAnAPIServerWouldSay(t *testing.T) {
	r := New()
	f := func(kind, text string, want ...Fault) {
		t.Helper()
		gvk := k8sschema.GroupVersionKind{Group: GatewayGroup, Version: "v1", Kind: kind}
		if !r.Has(gvk.GroupKind()) {
			gvk.Group, gvk.Version = "gateway.nantian.dev", "v1alpha1"
		}
		got, err := r.Check(gvk, object(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
	f("HTTPRoute", `{spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: a, port: 80}]}]}}`)
	f("HTTPRoute", `{spec: {rules: [{matchs: []}]}}`, Fault{"spec.rules[0].matchs", "unknown field"})
	f("HTTPRoute", `{spec: {rules: [{backendRefs: [{name: a, port: 80, weight: -1}]}]}}`,
		Fault{"spec.rules[0].backendRefs[0].weight", "Invalid value: -1: spec.rules[0].backendRefs[0].weight in body should be greater than or equal to 0"})
	f("HTTPRoute", `{spec: {rules: [{backendRefs: [{name: a}]}]}}`,
		Fault{"spec.rules[0].backendRefs[0]", "Invalid value: Must have port for Service reference"})
	f("AIProvider", `{spec: {schema: OpenAI, endpoint: {}}}`,
		Fault{"spec.endpoint", "Invalid value: exactly one of url and backendRef is required"})
	f("AIProvider", `{spec: {schema: Ollama}}`,
		Fault{"spec", "Invalid value: endpoint is required: this schema has no public endpoint"})
	f("AIBackend", `{spec: {models: [{name: a, targets: [{providerRef: {name: p}, model: "*"}]}]}}`,
		Fault{"spec.models[0]", "Invalid value: a target's model has a * only where the name has one"})
}

func TestCheckSetsDefaults(t *testing.T) {
	o := object(t, `{spec: {rules: [{backendRefs: [{name: a, port: 80}]}]}}`)
	gvk := k8sschema.GroupVersionKind{Group: GatewayGroup, Version: "v1", Kind: "HTTPRoute"}
	if _, err := New().Check(gvk, o); err != nil {
		t.Fatal(err)
	}
	rule := o["spec"].(map[string]any)["rules"].([]any)[0].(map[string]any)
	backend := rule["backendRefs"].([]any)[0].(map[string]any)
	path := rule["matches"].([]any)[0].(map[string]any)["path"].(map[string]any)
	if backend["weight"] != int64(1) || backend["kind"] != "Service" || path["type"] != "PathPrefix" || path["value"] != "/" {
		t.Errorf("defaults are missing: %v", rule)
	}
}

func TestServed(t *testing.T) {
	got, err := New().Served(k8sschema.GroupKind{Group: GatewayGroup, Kind: "TCPRoute"})
	if err != nil || !slices.Equal(got, []string{"v1", "v1alpha2"}) {
		t.Errorf("served: %v, %v", got, err)
	}
}

// TestEverySchemaCompiles: a CRD that the registry cannot use is a mistake of ours, to be found here.
func TestEverySchemaCompiles(t *testing.T) {
	r := New()
	for gk := range r.kinds {
		versions, err := r.Served(gk)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			if _, err := r.Check(gk.WithVersion(v), map[string]any{}); err != nil {
				t.Error(err)
			}
		}
	}
}
