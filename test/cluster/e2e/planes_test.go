package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// sharing is two Gateways of one GatewayConfig that shares data planes, and those: a Deployment of a user's own.
const sharing = `
apiVersion: gateway.nantian.dev/v1alpha1
kind: GatewayConfig
metadata: {name: edge, namespace: NS}
spec: {shared: {service: edge}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: one, namespace: NS}
spec:
  gatewayClassName: nantian
  infrastructure: {parametersRef: {group: gateway.nantian.dev, kind: GatewayConfig, name: edge}}
  listeners: [{name: http, protocol: HTTP, port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: two, namespace: NS}
spec:
  gatewayClassName: nantian
  infrastructure: {parametersRef: {group: gateway.nantian.dev, kind: GatewayConfig, name: edge}}
  listeners: [{name: http, protocol: HTTP, port: 8081}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: one, namespace: NS}
spec:
  parentRefs: [{name: one}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: one.example.com}}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: two, namespace: NS}
spec:
  parentRefs: [{name: two}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: two.example.com}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: NS}
spec:
  selector: {app: edge}
  ports: [{name: one, port: 8080}, {name: two, port: 8081}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: edge}}
  template:
    metadata: {labels: {app: edge}}
    spec:
      volumes: [{name: xds, secret: {secretName: shared-nantian-edge}}]
      containers:
      - name: proxy
        image: ghcr.io/nantian-gw/nantian:devel
        args: [proxy, --xds=nantian-controller.nantian-system.svc.cluster.local:15010, --group=NS/shared_edge, --xds-tls=/etc/nantian/xds]
        volumeMounts: [{name: xds, mountPath: /etc/nantian/xds}]
`

// redirects waits until an address redirects to a host.
func redirects(t *testing.T, address, host string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if to := resp.Header.Get("Location"); !strings.Contains(to, host) {
			return fmt.Errorf("%d to %q, expected %s", resp.StatusCode, to, host)
		}
		return nil
	})
}

// Several Gateways are served by data planes that a user runs; none is made for them.
func TestSharedDataPlanes(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, sharing)
	at := gateway(t, ns, "one")
	if other := gateway(t, ns, "two"); other != at {
		t.Errorf("the Gateways are at %s and %s, expected the same address", at, other)
	}
	redirects(t, at, "one.example.com")
	redirects(t, strings.Replace(at, ":8080", ":8081", 1), "two.example.com")
	deployments, err := shared.Client().AppsV1().Deployments(ns).List(within(t), metav1.ListOptions{})
	if err != nil || len(deployments.Items) != 1 {
		t.Errorf("%d Deployments, expected the user's alone: %v", len(deployments.Items), err)
	}
	apply(t, ns, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: two, namespace: NS}
spec:
  parentRefs: [{name: two}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: edited.example.com}}]}]
`)
	redirects(t, strings.Replace(at, ":8080", ":8081", 1), "edited.example.com")
}

// An autoscaler and a budget come and go with what the GatewayConfig asks for; labels and annotations of the infrastructure are on
// what is made.
func TestScalingOnRequest(t *testing.T) {
	ns := namespace(t)
	config := func(spec string) string {
		return "apiVersion: gateway.nantian.dev/v1alpha1\nkind: GatewayConfig\nmetadata: {name: size, namespace: NS}\nspec: " + spec + "\n"
	}
	apply(t, ns, config("{autoscaling: {minReplicas: 2, maxReplicas: 3}}")+`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  infrastructure:
    parametersRef: {group: gateway.nantian.dev, kind: GatewayConfig, name: size}
    labels: {team: blue}
    annotations: {example.com/cost: "7"}
  listeners: [{name: http, protocol: HTTP, port: 8080}]
`)
	gateway(t, ns, "ai")
	scaler := func(ctx context.Context) error {
		list, err := shared.Client().AutoscalingV2().HorizontalPodAutoscalers(ns).List(ctx, metav1.ListOptions{})
		if err != nil || len(list.Items) != 1 {
			return fmt.Errorf("%d autoscalers: %w", len(list.Items), err)
		}
		s := list.Items[0].Spec
		if *s.MinReplicas != 2 || s.MaxReplicas != 3 || s.ScaleTargetRef.Name != "ai-nantian" {
			return fmt.Errorf("%+v", s)
		}
		return nil
	}
	eventually(t, scaler)
	budgets, err := shared.Client().PolicyV1().PodDisruptionBudgets(ns).List(within(t), metav1.ListOptions{})
	if err != nil || len(budgets.Items) != 1 {
		t.Errorf("%d budgets: %v", len(budgets.Items), err)
	}
	d, err := shared.Client().AppsV1().Deployments(ns).Get(within(t), "ai-nantian", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Labels["team"] != "blue" || d.Spec.Template.Labels["team"] != "blue" || d.Spec.Template.Annotations["example.com/cost"] != "7" {
		t.Errorf("labels %v, of pods %v with %v", d.Labels, d.Spec.Template.Labels, d.Spec.Template.Annotations)
	}
	apply(t, ns, config("{replicas: 1}"))
	eventually(t, func(ctx context.Context) error {
		if scaler(ctx) == nil {
			return fmt.Errorf("the autoscaler is there still")
		}
		d, err := shared.Client().AppsV1().Deployments(ns).Get(ctx, "ai-nantian", metav1.GetOptions{})
		if err == nil && *d.Spec.Replicas != 1 {
			err = fmt.Errorf("%d replicas", *d.Spec.Replicas)
		}
		return err
	})
}

// A CA that is taken away is made anew, with certificates of all data planes, which take them without a restart: what runs serves, and
// what is changed afterwards arrives.
func TestNewCA(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	before := pods(t, ns)
	secrets := shared.Client().CoreV1().Secrets
	old, err := secrets(system).Get(within(t), "nantian-ca", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stop := load(t, at)
	if err := secrets(system).Delete(within(t), "nantian-ca", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		ca, err := secrets(system).Get(ctx, "nantian-ca", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if string(ca.Data["tls.crt"]) == string(old.Data["tls.crt"]) {
			return fmt.Errorf("the CA is the old one")
		}
		client, err := secrets(ns).Get(ctx, "nantian-ai", metav1.GetOptions{})
		if err == nil && !strings.Contains(string(client.Data["ca.crt"]), string(ca.Data["tls.crt"])) {
			err = fmt.Errorf("the data planes' Secret does not trust the new CA")
		}
		return err
	})
	apply(t, ns, modelAfter)
	answers(t, at, "after", 200)
	mustServe(t, stop)
	if after := pods(t, ns); !maps.Equal(before, after) {
		t.Errorf("restarts of pods: %v, then %v", before, after)
	}
}

// pods are the restarts of the pods of a namespace.
func pods(t *testing.T, namespace string) map[string]int32 {
	t.Helper()
	list, err := shared.Client().CoreV1().Pods(namespace).List(within(t), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int32{}
	for _, p := range list.Items {
		for _, s := range p.Status.ContainerStatuses {
			out[p.Name] += s.RestartCount
		}
	}
	return out
}

// The GatewayClass tells that the CRDs in the cluster are of a version that is supported, and what it supports.
func TestClassTellsVersion(t *testing.T) {
	eventually(t, func(ctx context.Context) error {
		c, err := get(ctx, "GatewayClass", "", "nantian")
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(c.Object, "status", "conditions")
		if got := condition(c, conditions, "SupportedVersion"); got != "True/SupportedVersion" {
			return fmt.Errorf("%q in %v", got, conditions)
		}
		features, _, _ := unstructured.NestedSlice(c.Object, "status", "supportedFeatures")
		if !slices.ContainsFunc(features, func(f any) bool { m, _ := f.(map[string]any); return m["name"] == "HTTPRoute" }) {
			return fmt.Errorf("features %v", features)
		}
		return nil
	})
}
