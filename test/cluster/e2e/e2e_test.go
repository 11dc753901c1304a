package e2e_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// models is the quickstart with a simulated provider that runs as a pod.
const models = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  listeners: [{name: http, protocol: HTTP, port: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: models, namespace: NS}
spec:
  parentRefs: [{name: ai}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /v1}}]
    backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: models}]
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIBackend
metadata: {name: models, namespace: NS}
spec:
  models: [{name: sim, targets: [{providerRef: {name: simulator}}]}]
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIProvider
metadata: {name: simulator, namespace: NS}
spec:
  schema: OpenAI
  endpoint: {backendRef: {kind: Service, name: simulator, port: 9100, path: /v1}}
---
apiVersion: v1
kind: Service
metadata: {name: simulator, namespace: NS}
spec:
  selector: {app: simulator}
  ports: [{port: 9100}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: simulator, namespace: NS}
spec:
  selector: {matchLabels: {app: simulator}}
  template:
    metadata: {labels: {app: simulator}}
    spec:
      containers:
      - name: simulator
        image: ghcr.io/nantian-gw/nantian:devel
        args: [simulate, --listen, ":9100"]
`

// modelAfter adds the model "after".
const modelAfter = `
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIBackend
metadata: {name: models, namespace: NS}
spec:
  models: [{name: sim, targets: [{providerRef: {name: simulator}}]}, {name: after, targets: [{providerRef: {name: simulator}}]}]
`

// What a user applies is served at the Gateway's address; edits, mistakes and their repair show in traffic and conditions.
func TestEdits(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	answers(t, at, "other", 404)

	apply(t, ns, `
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIBackend
metadata: {name: models, namespace: NS}
spec:
  models: [{name: sim, targets: [{providerRef: {name: simulator}}]}, {name: other, targets: [{providerRef: {name: simulator}}]}]
`)
	answers(t, at, "other", 200)

	route := func(backend string) string {
		return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: models, namespace: NS}
spec:
  parentRefs: [{name: ai}]
  rules: [{backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: ` + backend + `}]}]
`
	}
	apply(t, ns, route("gone"))
	routeCondition(t, ns, "models", "ResolvedRefs", "False/BackendNotFound")
	answers(t, at, "sim", 500)
	apply(t, ns, route("models"))
	routeCondition(t, ns, "models", "ResolvedRefs", "True/ResolvedRefs")
	answers(t, at, "sim", 200)

	if err := shared.Delete(within(t), "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: models, namespace: "+ns+"}\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		status, text, err := chat(ctx, at, "sim")
		if err == nil && (status != 404 || text == "") {
			err = fmt.Errorf("%d %s", status, text)
		}
		return err
	})
	if err := shared.Delete(within(t), "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: ai, namespace: "+ns+"}\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		list, err := shared.Client().AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{LabelSelector: "gateway.networking.k8s.io/gateway-name=ai"})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("the data planes of a Gateway that is gone are there: %s", list.Items[0].Name)
		}
		return err
	})
}

// load asks all the time until it is stopped, and tells what went wrong.
func load(t *testing.T, address string) (stop func() (asked int, failed []string)) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	asked, failed := 0, []string(nil)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			status, text, err := chat(ctx, address, "sim")
			if ctx.Err() != nil {
				return
			}
			asked++
			if err != nil || status != 200 {
				failed = append(failed, fmt.Sprintf("%s: %d %s %v", time.Now().Format(time.TimeOnly), status, text, err))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return func() (int, []string) {
		cancel()
		<-done
		return asked, failed
	}
}

func mustServe(t *testing.T, stop func() (int, []string)) {
	t.Helper()
	asked, failed := stop()
	if asked == 0 || len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(failed), asked, failed[:min(len(failed), 5)])
	}
}

// The leader is killed: another replica leads, statuses are written, and no request fails.
func TestLeaderIsKilled(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	stop := load(t, at)
	lease, err := shared.Client().CoordinationV1().Leases(system).Get(within(t), "nantian-controller", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	leader := *lease.Spec.HolderIdentity
	if err := shared.Client().CoreV1().Pods(system).Delete(within(t), leader, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	apply(t, ns, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  listeners: [{name: http, protocol: HTTP, port: 8080}, {name: more, protocol: HTTP, port: 8081}]
`)
	gateway(t, ns, "ai")
	eventually(t, func(ctx context.Context) error {
		lease, err := shared.Client().CoordinationV1().Leases(system).Get(ctx, "nantian-controller", metav1.GetOptions{})
		if err == nil && *lease.Spec.HolderIdentity == leader {
			err = fmt.Errorf("the leader is %s, which was killed", leader)
		}
		return err
	})
	mustServe(t, stop)
	if err := shared.WaitAvailable(within(t), system, "nantian-controller"); err != nil {
		t.Error(err)
	}
}

// The API server is away: traffic goes on, and what is changed afterwards is served.
func TestAPIServerIsAway(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	stop := load(t, at)
	if err := shared.StopAPIServer(within(t)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second) // watches and leases notice
	if err := shared.StartAPIServer(within(t)); err != nil {
		t.Fatal(err)
	}
	apply(t, ns, modelAfter)
	answers(t, at, "after", 200)
	mustServe(t, stop)
}

// scale may be called when the test has ended.
func scale(t *testing.T, name string, replicas int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := shared.Client().AppsV1().Deployments(system).UpdateScale(ctx, name,
		&autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// There is no control plane: traffic goes on, and a data plane that crashes serves its last good configuration again.
func TestControlPlaneIsAway(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	deployment := func(ctx context.Context) (*appsv1.Deployment, error) {
		return shared.Client().AppsV1().Deployments(ns).Get(ctx, "ai-nantian", metav1.GetOptions{})
	}
	if err := shared.WaitAvailable(within(t), ns, "ai-nantian"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // the last good configuration is written within a second
	scale(t, "nantian-controller", 0)
	t.Cleanup(func() { shared.WaitAvailable(context.Background(), system, "nantian-controller") })
	t.Cleanup(func() { scale(t, "nantian-controller", 2) })
	eventually(t, func(ctx context.Context) error {
		pods, err := shared.Client().CoreV1().Pods(system).List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d pods of the control plane", len(pods.Items))
		}
		return err
	})
	answers(t, at, "sim", 200)
	pods, err := shared.Client().CoreV1().Pods(ns).List(within(t), metav1.ListOptions{LabelSelector: "gateway.networking.k8s.io/gateway-name=ai"})
	if err != nil || len(pods.Items) != 2 {
		t.Fatal(len(pods.Items), err)
	}
	for _, p := range pods.Items {
		if err := shared.Signal(within(t), ns, p.Name, "", syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		d, err := deployment(ctx)
		if err == nil && d.Status.ReadyReplicas != 2 {
			err = fmt.Errorf("%d data planes are ready", d.Status.ReadyReplicas)
		}
		return err
	})
	answers(t, at, "sim", 200)
}

// A data plane crashes: the others serve, and it comes back.
func TestDataPlaneIsKilled(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	if err := shared.WaitAvailable(within(t), ns, "ai-nantian"); err != nil {
		t.Fatal(err)
	}
	pods, err := shared.Client().CoreV1().Pods(ns).List(within(t), metav1.ListOptions{LabelSelector: "gateway.networking.k8s.io/gateway-name=ai"})
	if err != nil || len(pods.Items) != 2 {
		t.Fatal(len(pods.Items), err)
	}
	// Deleted in order, it drains: no request fails.
	stop := load(t, at)
	if err := shared.Client().CoreV1().Pods(ns).Delete(within(t), pods.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		if _, err := shared.Client().CoreV1().Pods(ns).Get(ctx, pods.Items[0].Name, metav1.GetOptions{}); err == nil {
			return fmt.Errorf("the pod is still there")
		}
		return nil
	})
	mustServe(t, stop)
	if err := shared.Signal(within(t), ns, pods.Items[1].Name, "", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	answers(t, at, "sim", 200)
	if err := shared.WaitAvailable(within(t), ns, "ai-nantian"); err != nil {
		t.Error(err)
	}
}

// What a GatewayConfig says is what runs, and what somebody changes by hand is put back.
func TestGatewayConfig(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, `
apiVersion: gateway.nantian.dev/v1alpha1
kind: GatewayConfig
metadata: {name: small, namespace: NS}
spec:
  replicas: 1
  service: {type: ClusterIP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  infrastructure:
    labels: {team: edge}
    parametersRef: {group: gateway.nantian.dev, kind: GatewayConfig, name: small}
  listeners: [{name: http, protocol: HTTP, port: 8080}]
`)
	gateway(t, ns, "ai")
	runs := func(replicas int32) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			d, err := shared.Client().AppsV1().Deployments(ns).Get(ctx, "ai-nantian", metav1.GetOptions{})
			if err == nil && (*d.Spec.Replicas != replicas || d.Labels["team"] != "edge" || d.Spec.Template.Labels["team"] != "edge") {
				err = fmt.Errorf("%d replicas, expected %d; labels %v", *d.Spec.Replicas, replicas, d.Labels)
			}
			return err
		})
	}
	runs(1)
	if list, err := shared.Client().PolicyV1().PodDisruptionBudgets(ns).List(within(t), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("%d disruption budgets for one data plane, %v", len(list.Items), err)
	}
	apply(t, ns, "apiVersion: gateway.nantian.dev/v1alpha1\nkind: GatewayConfig\nmetadata: {name: small, namespace: NS}\nspec: {replicas: 3, service: {type: ClusterIP}}\n")
	runs(3)
	_, err := shared.Client().AppsV1().Deployments(ns).UpdateScale(within(t), "ai-nantian",
		&autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ai-nantian"}, Spec: autoscalingv1.ScaleSpec{Replicas: 5}}, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	runs(3)
}

// A static address that the load balancer has is used, one that it has not is told.
func TestStaticAddress(t *testing.T) {
	ns := namespace(t)
	usable := shared.Balancers().Masked().Addr().Next().Next().String()
	text := func(addresses string) string {
		return `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  addresses: ` + addresses + `
  listeners: [{name: http, protocol: HTTP, port: 8080}]
`
	}
	apply(t, ns, text("[{value: 192.0.2.99}, {value: "+usable+"}]"))
	eventually(t, func(ctx context.Context) error {
		g, err := get(ctx, "Gateway", ns, "ai")
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(g.Object, "status", "conditions")
		if got := condition(g, conditions, "Programmed"); got != "False/AddressNotUsable" {
			return fmt.Errorf("Programmed is %q: %v", got, conditions)
		}
		return nil
	})
	apply(t, ns, text("[{value: "+usable+"}]"))
	if at := gateway(t, ns, "ai"); at != usable+":8080" {
		t.Errorf("the Gateway is at %s, expected %s", at, usable)
	}
}

// The CRD of a kind goes and comes again: the others go on, and it is picked up without a restart.
func TestKindComesAndGoes(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, models)
	at := gateway(t, ns, "ai")
	answers(t, at, "sim", 200)
	crd := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: tokenpolicies.gateway.nantian.dev}\n"
	if err := shared.Delete(within(t), crd); err != nil {
		t.Fatal(err)
	}
	apply(t, ns, `
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIBackend
metadata: {name: models, namespace: NS}
spec:
  models: [{name: sim, targets: [{providerRef: {name: simulator}}]}, {name: without, targets: [{providerRef: {name: simulator}}]}]
`)
	answers(t, at, "without", 200)
	if err := shared.ApplyFiles(within(t), root+"/crds/gateway.nantian.dev_tokenpolicies.yaml"); err != nil {
		t.Fatal(err)
	}
	apply(t, ns, `
apiVersion: gateway.nantian.dev/v1alpha1
kind: TokenPolicy
metadata: {name: none, namespace: NS}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ai}]
  limits: [{name: two, unit: Requests, limit: 1, window: 1h, key: [{route: {}}]}]
`)
	answers(t, at, "sim", 429)
}
