package cluster_test

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	metav1UpdateOptions = metav1.UpdateOptions{}
	metav1GetOptions    = metav1.GetOptions{}
)

func TestReadinessDecidesAboutTraffic(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, web)
	if err := shared.WaitAvailable(within(t), ns, "web"); err != nil {
		t.Fatal(err)
	}
	pods, err := shared.Client().CoreV1().Pods(ns).List(within(t), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	addr := address(t, ns, "web")
	if _, err := request(within(t), "POST", "http://"+pods.Items[0].Status.PodIP+":8080/ready?to=false"); err != nil {
		t.Fatal(err)
	}
	other := pods.Items[1].Name
	row := 0
	eventually(t, func(ctx context.Context) error { // 20 answers in a row of the other one
		got, err := ask(ctx, "http://"+addr+"/")
		if err != nil {
			return err
		}
		if row++; got != other {
			row = 0
		}
		if row < 20 {
			return fmt.Errorf("%s answers", got)
		}
		return nil
	})
	if _, err := request(within(t), "POST", "http://"+pods.Items[0].Status.PodIP+":8080/ready?to=true"); err != nil {
		t.Fatal(err)
	}
	reachesAll(t, "http://"+addr+"/", pods.Items)
}

func TestLivenessRestartsAndStartupHoldsBack(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: NS}
spec:
  terminationGracePeriodSeconds: 5
  containers:
    - name: c
      image: example.com/pod
      startupProbe: {exec: {command: [pod, exists, /start/now]}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 300}
      livenessProbe: {httpGet: {path: /alive, port: 8080}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 2}
      readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
      volumeMounts: [{name: start, mountPath: /start}]
  volumes: [{name: start, emptyDir: {}}]
`)
	p := awaitPod(t, shared, ns, "p", "running", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning && p.Status.PodIP != "" })
	base := "http://" + p.Status.PodIP + ":8080"
	expect(t, base+"/alive", "ok")
	p = awaitPod(t, shared, ns, "p", "running", func(*corev1.Pod) bool { return true })
	if isReady(p) || *p.Status.ContainerStatuses[0].Started {
		t.Error("it has started before the startup probe succeeds")
	}
	expect(t, base+"/write?path=/start/now", "")
	ready(t, shared, ns, "p")
	if _, err := request(within(t), "POST", base+"/alive?to=false"); err != nil {
		t.Fatal(err)
	}
	p = awaitPod(t, shared, ns, "p", "restarted", func(p *corev1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount == 1 && isReady(p) })
	if last := p.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || !strings.Contains(last.Message, "liveness") {
		t.Errorf("last termination: %+v", last)
	}
	expect(t, base+"/alive", "ok")
	eventually(t, func(ctx context.Context) error {
		events, err := shared.Client().CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "reason=Unhealthy"})
		if err == nil && len(events.Items) == 0 {
			err = fmt.Errorf("no event Unhealthy")
		}
		return err
	})
}

func TestCrashesAreRestartedWithBackoff(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: NS}
spec:
  containers: [{name: c, image: example.com/pod, args: [exit, failed]}]
`)
	p := awaitPod(t, shared, ns, "p", "waiting after three runs", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].RestartCount >= 2 && p.Status.ContainerStatuses[0].State.Waiting != nil
	})
	s := p.Status.ContainerStatuses[0]
	if s.State.Waiting.Reason != "CrashLoopBackOff" || s.LastTerminationState.Terminated.ExitCode != 3 || p.Status.Phase != corev1.PodRunning {
		t.Errorf("status: %+v", p.Status)
	}
	if got, err := shared.Logs(within(t), ns, "p", "c"); err != nil || got != "says failed\n" {
		t.Errorf("logs: %q, %v", got, err)
	}
	b, err := shared.Client().CoreV1().Pods(ns).GetLogs("p", &corev1.PodLogOptions{Previous: true}).DoRaw(within(t))
	if err != nil || string(b) != "says failed\n" {
		t.Errorf("logs of the run before: %q, %v", b, err)
	}
}

func TestInitContainersAndPodsThatEnd(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: good, namespace: NS}
spec:
  restartPolicy: Never
  initContainers:
    - {name: first, image: example.com/pod, args: [exit, first]}
    - {name: beside, image: example.com/pod, restartPolicy: Always, readinessProbe: {tcpSocket: {port: 8080}}}
  containers: [{name: c, image: example.com/pod, command: [/usr/bin/pod, exit, done]}]
---
apiVersion: v1
kind: Pod
metadata: {name: bad, namespace: NS}
spec:
  restartPolicy: Never
  initContainers: [{name: first, image: example.com/pod, args: [exit, failed]}]
  containers: [{name: c, image: example.com/pod}]
---
apiVersion: v1
kind: Pod
metadata: {name: unknown, namespace: NS}
spec:
  containers: [{name: c, image: "example.com/other:v1"}]
`)
	p := awaitPod(t, shared, ns, "good", "succeeded", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	if s := p.Status.InitContainerStatuses[0].State.Terminated; s == nil || s.ExitCode != 0 {
		t.Errorf("init container: %+v", s)
	}
	for container, want := range map[string]string{"first": "says first\n", "c": "says done\n"} {
		if got, err := shared.Logs(within(t), ns, "good", container); err != nil || got != want {
			t.Errorf("logs of %s: %q, %v", container, got, err)
		}
	}
	awaitPod(t, shared, ns, "bad", "failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	awaitPod(t, shared, ns, "unknown", "waiting for its image", func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses
		return len(s) > 0 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "ErrImagePull" &&
			strings.Contains(s[0].State.Waiting.Message, "example.com/pod")
	})
}

func TestLogs(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: NS}
spec:
  containers: [{name: c, image: example.com/pod}]
`)
	p := ready(t, shared, ns, "p")
	write := func(text string) {
		t.Helper()
		expect(t, "http://"+p.Status.PodIP+":8080/log?text="+text, "")
	}
	write("one")
	pods := shared.Client().CoreV1().Pods(ns)
	f := func(o corev1.PodLogOptions, want string) {
		t.Helper()
		if b, err := pods.GetLogs("p", &o).DoRaw(within(t)); err != nil || string(b) != want {
			t.Errorf("got %q, %v, want %q", b, err, want)
		}
	}
	f(corev1.PodLogOptions{}, "starts\none\n")
	time.Sleep(1100 * time.Millisecond) // sinceTime is in seconds
	since := metav1.Now()
	time.Sleep(1100 * time.Millisecond)
	write("two")
	f(corev1.PodLogOptions{SinceTime: &since}, "two\n")
	last := int64(1)
	f(corev1.PodLogOptions{TailLines: &last}, "two\n")

	stream, err := pods.GetLogs("p", &corev1.PodLogOptions{Follow: true, TailLines: &last}).Stream(within(t))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	for _, want := range []string{"two", "three", "four"} {
		if want != "two" {
			write(want)
		}
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, %v, want %q", lines.Text(), lines.Err(), want)
		}
	}
}

func TestPodsEndInTime(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: stubborn, namespace: NS}
spec:
  terminationGracePeriodSeconds: 2
  containers: [{name: c, image: example.com/pod, env: [{name: STUBBORN, value: "1"}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: slow, namespace: NS}
spec:
  terminationGracePeriodSeconds: 600
  containers:
    - {name: c, image: example.com/pod, lifecycle: {preStop: {sleep: {seconds: 2}}}}
`)
	stubborn, slow := ready(t, shared, ns, "stubborn"), ready(t, shared, ns, "slow")
	pods := shared.Client().CoreV1().Pods(ns)
	start := time.Now()
	for _, p := range []*corev1.Pod{stubborn, slow} {
		if err := pods.Delete(within(t), p.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "http://"+slow.Status.PodIP+":8080/", "slow") // it serves while its hook sleeps
	for _, p := range []*corev1.Pod{stubborn, slow} {
		eventually(t, func(ctx context.Context) error {
			_, err := pods.Get(ctx, p.Name, metav1GetOptions)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("pod %s is there: %v", p.Name, err)
		})
	}
	if took := time.Since(start); took < 2*time.Second {
		t.Errorf("both have ended after %s", took)
	}
}

func TestSecurityContext(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: refused, namespace: NS}
spec:
  restartPolicy: Never
  securityContext: {runAsUser: 65532, runAsNonRoot: true}
  containers: [{name: c, image: example.com/pod, env: [{name: PORT, value: "80"}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: allowed, namespace: NS}
spec:
  securityContext:
    runAsUser: 65532
    runAsGroup: 65532
    runAsNonRoot: true
    sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "0"}]
  containers:
    - name: c
      image: example.com/pod
      env: [{name: PORT, value: "80"}]
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
---
apiVersion: v1
kind: Pod
metadata: {name: root, namespace: NS}
spec:
  containers:
    - name: c
      image: example.com/pod
      securityContext: {readOnlyRootFilesystem: true, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}
---
apiVersion: v1
kind: Pod
metadata: {name: not-root, namespace: NS}
spec:
  containers: [{name: c, image: example.com/pod, securityContext: {runAsNonRoot: true}}]
`)
	awaitPod(t, shared, ns, "refused", "failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if got, err := shared.Logs(within(t), ns, "refused", "c"); err != nil || !strings.Contains(got, "permission denied") {
		t.Errorf("logs: %q, %v", got, err)
	}
	p := ready(t, shared, ns, "allowed")
	expect(t, "http://"+p.Status.PodIP+"/id", "65532 65532 1")
	capabilities := func(p *corev1.Pod, port, bounding string) {
		t.Helper()
		expect(t, "http://"+p.Status.PodIP+port+"/", p.Name) // it is ready as soon as it runs, as it has no probe
		status, err := ask(within(t), "http://"+p.Status.PodIP+port+"/file?path=/proc/self/status")
		if err != nil || !strings.Contains(status, "CapBnd:\t"+bounding+"\n") {
			t.Errorf("%v, status:\n%s", err, status)
		}
	}
	capabilities(p, "", "0000000000000000")
	root := ready(t, shared, ns, "root")
	capabilities(root, ":8080", "0000000000000400")
	if _, err := ask(within(t), "http://"+root.Status.PodIP+":8080/write?path=/x"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a read-only root is written: %v", err)
	}
	awaitPod(t, shared, ns, "not-root", "refused", func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses
		return len(s) > 0 && s[0].State.Waiting != nil && strings.Contains(s[0].State.Waiting.Message, "runAsNonRoot")
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: NS, labels: {app: p}}
spec:
  hostname: first
  subdomain: headless
  containers: [{name: c, image: example.com/pod}]
---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: NS}
spec: {clusterIP: None, selector: {app: p}, ports: [{name: http, port: 8080}]}
`)
	p := ready(t, shared, ns, "p")
	lookup := func(name string) string { return "http://" + p.Status.PodIP + ":8080/lookup?name=" + name }
	eventually(t, func(ctx context.Context) error {
		slices, err := shared.Client().DiscoveryV1().EndpointSlices(ns).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=headless"})
		if err == nil && (len(slices.Items) == 0 || len(slices.Items[0].Endpoints) == 0) {
			err = fmt.Errorf("no endpoint yet")
		}
		return err
	})
	for name, want := range map[string]string{
		"headless": p.Status.PodIP, "headless." + ns + ".svc.cluster.local.": p.Status.PodIP, "first.headless." + ns + ".svc": p.Status.PodIP,
		"models.example.com": "192.0.2.7", "kubernetes.default": kubernetesIP(t),
	} {
		expect(t, lookup(name), want)
	}
	if got, err := ask(within(t), lookup("nothing."+ns)); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("a name that is not there: %q, %v", got, err)
	}
}

func kubernetesIP(t *testing.T) string {
	t.Helper()
	s, err := shared.Client().CoreV1().Services("default").Get(within(t), "kubernetes", metav1GetOptions)
	if err != nil {
		t.Fatal(err)
	}
	return s.Spec.ClusterIP
}
