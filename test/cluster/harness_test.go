package cluster_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nantian-gw/nantian/test/cluster"
)

// patience is for what comes within a second on a quiet machine.
const patience = 90 * time.Second

var (
	program string           // the static program that pods run
	shared  *cluster.Cluster // the cluster of all tests that do not break one
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cluster-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "pod")
	build := exec.Command("go", "build", "-o", program, "./internal/pod")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=") // static, also when the tests are built otherwise
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	shared, err = cluster.Start(context.Background(), cluster.Options{
		Images: images(), GatewayAPI: cluster.Experimental, Hosts: map[string]string{"models.example.com": "192.0.2.7"}, TokenRenewal: 3 * time.Second,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the cluster:", err)
		return 1
	}
	code := m.Run()
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the cluster:", err)
		return 1
	}
	return code
}

func images() map[string]string { return map[string]string{"example.com/pod": program} }

// within is a context for what has to come soon.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// newNamespace makes a namespace that is removed after the test.
func newNamespace(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	ns, err := c.Client().CoreV1().Namespaces().Create(within(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Client().CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			explain(t, c, ns.Name)
		}
	})
	return ns.Name
}

// explain logs what is known about the pods of a namespace.
func explain(t *testing.T, c *cluster.Cluster, namespace string) {
	pods, err := c.Client().CoreV1().Pods(namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Log(err)
		return
	}
	for _, p := range pods.Items {
		t.Logf("pod %s: %s %+v", p.Name, p.Status.Phase, p.Status.ContainerStatuses)
	}
	machine, err := os.ReadFile(filepath.Join(c.Dir(), "logs", "machine.log"))
	t.Logf("machine: %v\n%s", err, machine)
}

// apply applies YAML with NS for the namespace.
func apply(t *testing.T, c *cluster.Cluster, namespace, text string) {
	t.Helper()
	if err := c.Apply(within(t), strings.ReplaceAll(text, "NS", namespace)); err != nil {
		t.Fatal(err)
	}
}

// eventually calls f until it returns no error.
func eventually(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", patience, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

var client = sync.OnceValue(func() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
})

// ask gets a URL and returns the answer's body; an answer that is not 200 is an error.
func ask(ctx context.Context, url string) (string, error) {
	return request(ctx, http.MethodGet, url)
}

func request(ctx context.Context, method, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return "", err
	}
	res, err := client().Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, b)
	}
	return string(b), err
}

// expect asks until the answer is what is wanted.
func expect(t *testing.T, url, want string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		got, err := ask(ctx, url)
		if err == nil && got != want {
			err = fmt.Errorf("%s answers %q, expected %q", url, got, want)
		}
		return err
	})
}

// ready waits for a pod of the name to be ready and returns it.
func ready(t *testing.T, c *cluster.Cluster, namespace, name string) *corev1.Pod {
	t.Helper()
	return awaitPod(t, c, namespace, name, "Ready", func(p *corev1.Pod) bool { return isReady(p) })
}

func awaitPod(t *testing.T, c *cluster.Cluster, namespace, name, what string, ok func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	eventually(t, func(ctx context.Context) (err error) {
		pod, err = c.Client().CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && !ok(pod) {
			err = fmt.Errorf("pod %s is not %s: %+v", name, what, pod.Status)
		}
		return err
	})
	return pod
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func clientFor(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}
