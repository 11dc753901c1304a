package resources

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

func env(name string) (string, bool) {
	switch name {
	case "TOKEN":
		return "t0p: {secret}", true
	case "EMPTY":
		return "", true
	}
	return "", false
}

func TestDecodeTellsWhatAClusterWouldRefuse(t *testing.T) {
	d := NewDecoder(env)
	f := func(text string, want ...string) {
		t.Helper()
		objects, problems := d.Decode("a.yaml", []byte(text))
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
			if !p.Warning && len(objects) > 0 {
				t.Errorf("%s: an object was kept: %v", text, objects)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n got %s\nwant %s", text, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	f("a: [1", `a.yaml:1: did not find expected ',' or ']'`)
	f("a: b: c", `a.yaml:1: mapping values are not allowed in this context`)
	f("- 1", `a.yaml:1: is not a Kubernetes object`)
	f("\xff", `a.yaml: is not UTF-8 text`)
	f("metadata: {name: a}", `a.yaml:1: is not a Kubernetes object: apiVersion and kind are required`)
	f("kind: Secret\nkind: Secret", `a.yaml:2: the key "kind" is there twice`)
	f("a: &x [*x, *x]", `a.yaml:1: is too large or too deeply nested`)
	f("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}",
		`a.yaml:1: Deployment default/a: the gateway does not read the kind Deployment of apps/v1`)
	f("apiVersion: gateway.nantian.dev/v1alpha1\nkind: AIGateway\nmetadata: {name: a}",
		`a.yaml:2: AIGateway default/a: kind: AIGateway of gateway.nantian.dev is not a kind that this version knows`)
	f("apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: HTTPRoute\nmetadata: {name: a}",
		`a.yaml:1: HTTPRoute default/a: apiVersion: HTTPRoute has no version v1alpha2, only v1, v1beta1`)
	f("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - {port: 80, prot: x}",
		`a.yaml:6: Service default/a: spec.ports[0].prot: unknown field`)
	f("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n  - port: http",
		`a.yaml:5: Service default/a: spec.ports.port: is a string, not a int32`)
	f("apiVersion: v1\nkind: Service\nmetadata:\n  name: A_b",
		`a.yaml:4: Service default/A_b: metadata.name: Invalid value: "A_b": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`)
	f("apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: x}",
		`a.yaml:3: ConfigMap x/: metadata.name: Required value: name or generateName is required`)
	f("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  rules:\n  - matches:\n    - path:\n        value: api\n",
		`a.yaml:7: HTTPRoute shop/r: spec.rules[0].matches[0].path: Invalid value: value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']`)
	f("apiVersion: gateway.nantian.dev/v1alpha1\nkind: AIProvider\nmetadata: {name: p}\nspec:\n  schema: OpenAI\n  timeout: 3s\n",
		`a.yaml:6: AIProvider default/p: spec.timeout: unknown field`)
	f("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  a: x\n  b: ${NOT_SET}",
		`a.yaml:6: Secret default/s: stringData.b: the environment variable NOT_SET is not set`)
	f("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/tls\ndata: {tls.crt: YQ==}",
		`a.yaml:5: Secret default/s: data: tls.key is required for type kubernetes.io/tls`)
	f("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\naddressType: IPv4\nendpoints: [{addresses: [pod]}]",
		`a.yaml:3: EndpointSlice default/s: metadata.labels: the label kubernetes.io/service-name is required: it names the Service`,
		`a.yaml:5: EndpointSlice default/s: endpoints[0].addresses: "pod" is not an IP address`)
}

func TestDecodeKeepsTheGoodObjectsOfAFile(t *testing.T) {
	text := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n# nothing\n---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {bad: 1}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: c}}\n"
	objects, problems := NewDecoder(env).Decode("a.yaml", []byte(text))
	if len(problems) != 1 || problems[0].Origin.Line != 10 {
		t.Errorf("problems: %v", problems)
	}
	var got []string
	for _, o := range objects {
		got = append(got, o.Origin.String()+" "+o.Ref.String())
	}
	if want := []string{"a.yaml:1 Service default/a", "a.yaml:15 Namespace c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecodeTakesSecretsFromTheEnvironment(t *testing.T) {
	f := func(yaml, want string) {
		t.Helper()
		text := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" + yaml
		objects, problems := NewDecoder(env).Decode("a.yaml", []byte(text))
		if len(problems) > 0 || len(objects) != 1 {
			t.Fatalf("%s: %v", yaml, problems)
		}
		if got := string(objects[0].Value.(*corev1.Secret).Data["token"]); got != want {
			t.Errorf("%s: %q, want %q", yaml, got, want)
		}
	}
	f("stringData: {token: ${TOKEN}}", "t0p: {secret}")
	f("stringData:\n  token: ${TOKEN}", "t0p: {secret}")
	f("stringData: {token: \"a ${TOKEN} b\"}", "a t0p: {secret} b")
	f("stringData: {token: ${NOT_SET:-a b}}", "a b")
	f("stringData: {token: ${NOT_SET:-}}", "")
	f("stringData: {token: ${EMPTY:-x}}", "x")
	f("stringData: {token: \"$TOKEN\"}", "$TOKEN")
	f("data: {token: YQ==}", "a")
	f("data: {token: YQ==}\nstringData: {token: b}", "b")
}

func TestDecodeLeavesVariablesAloneOutsideSecrets(t *testing.T) {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '${TOKEN}'}"
	objects, problems := NewDecoder(env).Decode("a.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := objects[0].Value.(*corev1.ConfigMap).Data["a"]; got != "${TOKEN}" {
		t.Errorf("got %q", got)
	}
}

func TestDecodeReadsEveryVersionAndSetsDefaults(t *testing.T) {
	text := "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {rules: [{backendRefs: [{name: a, port: 80}]}]}\n"
	objects, problems := NewDecoder(env).Decode("a.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := objects[0].Value.(*gatewayv1.HTTPRoute)
	if r.Namespace != "default" || r.Generation != 1 || *r.Spec.Rules[0].BackendRefs[0].Weight != 1 || *r.Spec.Rules[0].Matches[0].Path.Value != "/" {
		t.Errorf("%+v", r)
	}
}

func TestDecodeWarnsOfKeysThatKubectlReadsAsBooleans(t *testing.T) {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata:\n  on: always\n"
	objects, problems := NewDecoder(env).Decode("a.yaml", []byte(text))
	if len(objects) != 1 || len(problems) != 1 {
		t.Fatal(objects, problems)
	}
	if got, want := problems[0].String(), `a.yaml:5: kubectl reads the key on as a boolean: write "on"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDecodeUsesWhatIsKnownAgain(t *testing.T) {
	d := NewDecoder(env)
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: %s}\n"
	route := "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {rules: [{backendRefs: [{name: a, port: 80}]}]}\n"
	before, _ := d.Decode("a.yaml", []byte(route+fmt.Sprintf(secret, "a")))
	after, problems := d.Decode("a.yaml", []byte("# moved\n"+fmt.Sprintf(secret, "b")+route), before...)
	if len(problems) > 0 || len(after) != 2 {
		t.Fatal(after, problems)
	}
	if after[1].Value != before[0].Value || after[1].Origin.Line != 8 {
		t.Errorf("the route has not changed: %v", after[1])
	}
	if after[0].Value == before[1].Value || string(after[0].Value.(*corev1.Secret).Data["token"]) != "b" {
		t.Errorf("the secret has changed: %v", after[0])
	}
}

func TestNewSetUsesTheFirstOfTwo(t *testing.T) {
	d := NewDecoder(env)
	a, _ := d.Decode("a.yaml", []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {from: a}}"))
	b, _ := d.Decode("b.yaml", []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {from: b}}"))
	s := NewSet(append(a, b...), nil)
	if problems := s.Problems(); len(problems) != 1 || problems[0].String() != "b.yaml:1: Namespace n: is defined already at a.yaml:1, which is used" {
		t.Errorf("problems: %v", problems)
	}
	if got := s.NamespaceLabels("n")["from"]; got != "a" {
		t.Errorf("label from = %q", got)
	}
	if got := s.NamespaceLabels("other")[corev1.LabelMetadataName]; got != "other" {
		t.Errorf("name label = %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {token: ${TOKEN}}")
	f.Add("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: {rules: [{backendRefs: [{name: a, port: 80}]}]}")
	f.Add("a: &x [*x, *x]")
	d := NewDecoder(env)
	f.Fuzz(func(t *testing.T, text string) {
		NewSet(d.Decode("f.yaml", []byte(text)))
	})
}
