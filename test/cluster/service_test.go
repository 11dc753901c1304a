package cluster_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: example.com/pod:v1
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 1, timeoutSeconds: 20}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec:
  type: LoadBalancer
  selector: {app: web}
  ports:
    - {name: http, port: 80, targetPort: http}
    - {name: alt, port: 9000, targetPort: 8080}
    - {name: udp, port: 53, targetPort: 5353, protocol: UDP}
`

// address waits for the address of a Service's load balancer.
func address(t *testing.T, namespace, name string) string {
	t.Helper()
	var addr string
	eventually(t, func(ctx context.Context) error {
		s, err := shared.Client().CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if len(s.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("Service %s has no address", name)
		}
		addr = s.Status.LoadBalancer.Ingress[0].IP
		return nil
	})
	return addr
}

func TestDeploymentIsReachedByPodAndServiceAddresses(t *testing.T) {
	ns := newNamespace(t, shared)
	apply(t, shared, ns, web)
	if err := shared.WaitAvailable(within(t), ns, "web"); err != nil {
		t.Fatal(err)
	}
	pods, err := shared.Client().CoreV1().Pods(ns).List(within(t), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 2 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	for _, p := range pods.Items {
		expect(t, "http://"+p.Status.PodIP+":8080/", p.Name)
	}
	addr := address(t, ns, "web")
	svc, err := shared.Client().CoreV1().Services(ns).Get(within(t), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inside := "http://" + pods.Items[0].Status.PodIP + ":8080/get?url="
	for _, u := range []string{
		"http://" + addr + "/", "http://" + addr + ":9000/", "http://" + svc.Spec.ClusterIP + "/",
		inside + url.QueryEscape("http://"+addr+"/"), inside + url.QueryEscape("http://web/"), inside + url.QueryEscape("http://web."+ns+".svc.cluster.local:9000/"),
	} {
		t.Run(u, func(t *testing.T) { reachesAll(t, u, pods.Items) })
	}
	t.Run("UDP", func(t *testing.T) { reachesByUDP(t, addr+":53", pods.Items) })
	t.Run("the source's address is kept", func(t *testing.T) {
		from, err := ask(within(t), "http://"+addr+"/from")
		if host, _, _ := strings.Cut(from, ":"); err != nil || host != shared.HostAddr().String() {
			t.Errorf("the pod sees %q, %v", from, err)
		}
	})
	t.Run("a port without a Service is closed", func(t *testing.T) {
		if c, err := net.DialTimeout("tcp", addr+":81", 10*time.Second); err == nil {
			c.Close()
			t.Error("a connection is made")
		} else if !strings.Contains(err.Error(), "refused") {
			t.Error(err)
		}
	})
}

// reachesAll asks until each of the pods has answered.
func reachesAll(t *testing.T, u string, pods []corev1.Pod) {
	missing := map[string]bool{}
	for _, p := range pods {
		missing[p.Name] = true
	}
	eventually(t, func(ctx context.Context) error {
		got, err := ask(ctx, u)
		if err != nil {
			return err
		}
		delete(missing, got)
		if len(missing) > 0 {
			return fmt.Errorf("no answer yet of %v", missing)
		}
		return nil
	})
}

func reachesByUDP(t *testing.T, addr string, pods []corev1.Pod) {
	missing := map[string]bool{}
	for _, p := range pods {
		missing[p.Name] = true
	}
	eventually(t, func(ctx context.Context) error {
		c, err := net.Dial("udp", addr)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		buf := make([]byte, 1500)
		if _, err := c.Write([]byte("?")); err != nil {
			return err
		}
		n, err := c.Read(buf)
		if err != nil {
			return err
		}
		delete(missing, string(buf[:n]))
		if len(missing) > 0 {
			return fmt.Errorf("no answer yet of %v", missing)
		}
		return nil
	})
}

func TestLoadBalancerAddresses(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	const service = `
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: NS}
spec: {type: TYPE, loadBalancerIP: "ADDR", selector: {app: none}, ports: [{port: 80}]}
`
	make := func(name, kind, addr string) {
		t.Helper()
		apply(t, shared, ns, strings.NewReplacer("NAME", name, "TYPE", kind, "ADDR", addr).Replace(service))
	}
	pool := shared.Balancers()
	static := pool.Addr().Next().Next().Next().String()
	make("static", "LoadBalancer", static)
	if got := address(t, ns, "static"); got != static {
		t.Errorf("address %s, expected %s", got, static)
	}
	make("second", "LoadBalancer", static)
	make("outside", "LoadBalancer", "192.0.2.1")
	for _, name := range []string{"second", "outside"} {
		eventually(t, func(ctx context.Context) error {
			events, err := shared.Client().CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "reason=SyncLoadBalancerFailed,involvedObject.name=" + name})
			if err == nil && len(events.Items) == 0 {
				err = fmt.Errorf("no event of Service %s", name)
			}
			return err
		})
	}
	make("static", "ClusterIP", "") // gives its address to the one that waits for it
	if got := address(t, ns, "second"); got != static {
		t.Errorf("address %s, expected %s", got, static)
	}
	svc, err := shared.Client().CoreV1().Services(ns).Get(within(t), "static", metav1.GetOptions{})
	if err != nil || len(svc.Status.LoadBalancer.Ingress) > 0 {
		t.Errorf("status: %+v, %v", svc.Status, err)
	}
}

func TestAPodReachesItselfAndTheHost(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t, shared)
	apply(t, shared, ns, strings.ReplaceAll(web, "replicas: 2", "replicas: 1"))
	if err := shared.WaitAvailable(within(t), ns, "web"); err != nil {
		t.Fatal(err)
	}
	pods, err := shared.Client().CoreV1().Pods(ns).List(within(t), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := pods.Items[0]
	inside := "http://" + p.Status.PodIP + ":8080/get?url="
	expect(t, inside+url.QueryEscape("http://web/"), p.Name)
	expect(t, inside+url.QueryEscape("http://"+address(t, ns, "web")+"/"), p.Name)

	l, err := net.Listen("tcp", netip.AddrPortFrom(shared.HostAddr(), 0).String())
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprint(w, "the host sees ", host)
	})}
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	expect(t, inside+url.QueryEscape("http://"+l.Addr().String()+"/"), "the host sees "+p.Status.PodIP)
}
