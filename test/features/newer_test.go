package features

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/http"
	"sigs.k8s.io/gateway-api/conformance/utils/kubernetes"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/yaml"
)

// bench is a cluster with the suite's base and one Gateway "own" with the routes of a test.
type bench struct {
	t       *testing.T
	c       *cluster
	s       *suite.ConformanceTestSuite
	address string
}

// TestNewer has what the suite of Gateway API 1.7 asks beyond that of 1.6: the former needs a newer Go.
func TestNewer(t *testing.T) {
	c, s := setUp(t)
	f := func(name, hostname, routes string, test func(*bench)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, c: c, s: s}
			b.apply(gatewayOf(hostname) + routes)
			b.await()
			test(b)
		})
	}

	f("of equal matches the first rule serves", "", routeOf("first", "", `
  - matches: [{path: {type: Exact, value: /a}, headers: [{name: x, value: "1"}, {name: z, value: "2"}]}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
  - matches: [{path: {type: Exact, value: /a}, headers: [{name: z, value: "2"}, {name: x, value: "1"}]}]
    backendRefs: [{name: infra-backend-v2, port: 8080}]
  - matches: [{path: {type: Exact, value: /b}}]
    backendRefs: [{name: nowhere, port: 8080}]
  - matches: [{path: {type: Exact, value: /b}}]
    backendRefs: [{name: infra-backend-v2, port: 8080}]
`), func(b *bench) {
		b.request("infra-backend-v1", "h", "/a", "x: 1", "z: 2")
		b.request("500", "h", "/b")
	})

	f("routes are ranked by their own hostnames", "abc.example.com", routeOf("wide", "*.com", `
  - matches: [{path: {value: /long/path}, headers: [{name: x, value: "1"}]}]
    backendRefs: [{name: infra-backend-v1, port: 8080}]
`)+routeOf("wild", "*.example.com", `
  - matches: [{path: {value: /long/path}}]
    backendRefs: [{name: infra-backend-v2, port: 8080}]
`)+routeOf("exact", "abc.example.com", `
  - matches: [{path: {value: /long}, headers: [{name: z, value: "2"}]}]
    backendRefs: [{name: infra-backend-v3, port: 8080}]
`), func(b *bench) {
		b.request("infra-backend-v3", "abc.example.com", "/long/path", "x: 1", "z: 2")
		b.request("infra-backend-v2", "abc.example.com", "/long/path", "x: 1")
		b.request("404", "other.example.com", "/long/path", "x: 1")
	})

	f("a backend has a rewrite of its own", "", routeOf("rewrite", "", `
  - matches: [{path: {value: /full}}]
    backendRefs:
    - name: infra-backend-v1
      port: 8080
      filters: [{type: URLRewrite, urlRewrite: {hostname: own.example, path: {type: ReplaceFullPath, replaceFullPath: /new}}}]
  - matches: [{path: {value: /prefix}}]
    backendRefs:
    - name: infra-backend-v1
      port: 8080
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]
`), func(b *bench) {
		b.rewritten("/full/x", "own.example", "/new")
		b.rewritten("/prefix/x", "h", "/new/x")
	})

	f("attempts and timeouts bound retries", "", routeOf("retries", "", `
  - matches: [{path: {value: /retry/request}}]
    retry: {codes: [500], attempts: 5}
    timeouts: {request: 500ms}
    backendRefs: [{name: infra-backend-v3, port: 8080}]
  - matches: [{path: {value: /retry/backend}}]
    retry: {codes: [500], attempts: 3}
    timeouts: {request: 15s, backendRequest: 500ms}
    backendRefs: [{name: infra-backend-v3, port: 8080}]
`), func(b *bench) {
		b.retried("infra-backend-v3", "/retry/request?responseCode=500&succeedAfter=1")
		b.retried("504", "/retry/request?responseCode=500&succeedAfter=2&delayRetry=300ms")
		b.retried("504", "/retry/request?responseCode=500&succeedAfter=2&delayRetry=1s")
		b.retried("infra-backend-v3", "/retry/backend?responseCode=500&succeedAfter=2&delayRetry=100ms&delay=100ms")
		b.retried("504", "/retry/backend?responseCode=500&succeedAfter=9&delayRetry=1s")
	})

	f("an endpoint where nobody listens is tried elsewhere", "", fmt.Sprintf(`
---
apiVersion: v1
kind: Service
metadata: {name: half-dead, namespace: gateway-conformance-infra}
spec: {ports: [{port: 8080, targetPort: 3000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: half-dead, namespace: gateway-conformance-infra, labels: {kubernetes.io/service-name: half-dead}}
addressType: IPv4
ports: [{name: "", port: 3000, protocol: TCP}]
endpoints: [{addresses: [127.1.250.1]}, {addresses: [%s]}]
`, c.pods.address(suite.InfrastructureNamespace, suite.InfraBackendServiceNameV1+"-0-0"))+routeOf("reconnect", "", `
  - retry: {attempts: 100}
    backendRefs: [{name: half-dead, port: 8080}]
`), func(b *bench) {
		for range 10 {
			b.request("infra-backend-v1", "h", "/")
		}
	})
}

// TestCertificateOfAnotherNamespace: without a ReferenceGrant nothing is told of whether a Secret is there.
func TestCertificateOfAnotherNamespace(t *testing.T) {
	c, s := setUp(t)
	b := &bench{t: t, c: c, s: s}
	b.apply(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ` + strings.Repeat("long-name-", 25) + `abc, namespace: gateway-conformance-infra}
spec:
  gatewayClassName: nantian
  listeners:
  - {name: there, protocol: HTTPS, port: 443, hostname: a.example, tls: {certificateRefs: [{name: certificate, namespace: gateway-conformance-web-backend}]}}
  - {name: missing, protocol: HTTPS, port: 443, hostname: b.example, tls: {certificateRefs: [{name: nowhere, namespace: gateway-conformance-web-backend}]}}
`)
	name := types.NamespacedName{Namespace: suite.InfrastructureNamespace, Name: strings.Repeat("long-name-", 25) + "abc"}
	for _, listener := range []string{"there", "missing"} {
		kubernetes.GatewayListenerMustHaveConditions(t, s.Client, s.TimeoutConfig, name, listener, []metav1.Condition{
			{Type: string(gatewayv1.ListenerConditionResolvedRefs), Status: metav1.ConditionFalse, Reason: string(gatewayv1.ListenerReasonRefNotPermitted)},
		})
	}
}

// gatewayOf is the Gateway "own" with one listener.
func gatewayOf(hostname string) string {
	if hostname != "" {
		hostname = fmt.Sprintf(", hostname: %q", hostname)
	}
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: own, namespace: gateway-conformance-infra}
spec: {gatewayClassName: nantian, listeners: [{name: http, protocol: HTTP, port: 80%s}]}
`, hostname)
}

// routeOf is an HTTPRoute to that Gateway.
func routeOf(name, hostname, rules string) string {
	if hostname != "" {
		hostname = fmt.Sprintf("hostnames: [%q]", hostname)
	}
	return fmt.Sprintf(`
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %s, namespace: gateway-conformance-infra}
spec:
  parentRefs: [{name: own}]
  %s
  rules:
%s`, name, hostname, strings.Trim(rules, "\n"))
}

// apply creates objects and deletes them after the test.
func (b *bench) apply(manifests string) {
	b.t.Helper()
	for text := range strings.SplitSeq(manifests, "\n---\n") {
		if strings.TrimSpace(text) == "" {
			continue
		}
		o := &unstructured.Unstructured{}
		json, err := yaml.YAMLToJSON([]byte(text))
		if err == nil {
			err = o.UnmarshalJSON(json)
		}
		if err != nil {
			b.t.Fatalf("%v in\n%s", err, text)
		}
		if err := b.c.client.Create(b.t.Context(), o); err != nil {
			b.t.Fatal(err)
		}
		b.t.Cleanup(func() { b.c.client.Delete(context.Background(), o) })
	}
}

// await waits for the Gateway's address.
func (b *bench) await() {
	b.t.Helper()
	address, err := kubernetes.WaitForGatewayAddress(b.t, b.s.Client, b.s.TimeoutConfig,
		kubernetes.NewGatewayRef(types.NamespacedName{Namespace: suite.InfrastructureNamespace, Name: "own"}, "http"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.address = address
}

// request expects a backend, or a status, to answer.
func (b *bench) request(want, host, path string, header ...string) {
	b.t.Helper()
	e := http.ExpectedResponse{Request: http.Request{Host: host, Path: path, Headers: map[string]string{}}, Namespace: suite.InfrastructureNamespace}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		e.Request.Headers[name] = value
	}
	if _, err := fmt.Sscan(want, &e.Response.StatusCode); err != nil {
		e.Backend, e.Response.StatusCode = want, 200
	}
	http.MakeRequestAndExpectEventuallyConsistentResponse(b.t, b.s.RoundTripper, b.s.TimeoutConfig, b.address, e)
}

// rewritten expects the first backend to see another host and path than the request has.
func (b *bench) rewritten(path, host, wantPath string) {
	b.t.Helper()
	http.MakeRequestAndExpectEventuallyConsistentResponse(b.t, b.s.RoundTripper, b.s.TimeoutConfig, b.address, http.ExpectedResponse{
		Request: http.Request{Host: "h", Path: path}, Namespace: suite.InfrastructureNamespace, Backend: "infra-backend-v1",
		ExpectedRequest: &http.ExpectedRequest{Request: http.Request{Host: host, Path: wantPath}},
	})
}

// retried makes one request with an identity of its own, once the route is served.
func (b *bench) retried(want, path string) {
	b.t.Helper()
	p, query, _ := strings.Cut(path, "?")
	b.request("infra-backend-v3", "h", p+"?succeedAfter=0&uuid="+uuid.NewString())
	values, err := url.ParseQuery(query)
	if err != nil {
		b.t.Fatal(err)
	}
	values.Set("uuid", uuid.NewString())
	e := http.ExpectedResponse{Request: http.Request{Host: "h", Path: p + "?" + values.Encode()}}
	request := http.MakeRequest(b.t, &e, b.address, "HTTP", "http")
	seen, answer, err := b.s.RoundTripper.CaptureRoundTrip(request)
	if err != nil {
		b.t.Fatal(err)
	}
	got := fmt.Sprint(answer.StatusCode)
	if answer.StatusCode == 200 {
		got = strings.TrimSuffix(seen.Pod, "-0-0")
	}
	if got != want {
		b.t.Errorf("%s: %s, want %s", path, got, want)
	}
}
