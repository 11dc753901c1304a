// Package e2e_test runs the control plane and its data planes in a real cluster: what users install, from deploy/.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/nantian-gw/nantian/test/cluster"
)

const (
	root   = "../../.."
	system = "nantian-system"
	// patience is for what comes within seconds on a quiet machine.
	patience = 3 * time.Minute
)

// shared is the cluster of all tests, with the controller installed.
var shared *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nantian-cluster-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program, err := binary(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx := context.Background()
	channel := cluster.Standard
	if c := os.Getenv("GATEWAY_API"); c != "" {
		channel = cluster.Channel(c)
	}
	shared, err = cluster.Start(ctx, cluster.Options{Images: map[string]string{"nantian": program}, GatewayAPI: channel, Artifacts: os.Getenv("ARTIFACTS")})
	if err != nil {
		fmt.Fprintln(os.Stderr, "start the cluster:", err)
		return 1
	}
	code := 1
	if err := install(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		explain(func(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...) })
	} else {
		code = m.Run()
	}
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the cluster:", err)
		return 1
	}
	return code
}

// binary is the program that is tested.
func binary(dir string) (string, error) {
	if p := os.Getenv("NANTIAN"); p != "" {
		return p, nil
	}
	out := filepath.Join(dir, "nantian")
	cmd := exec.Command("go", "build", "-o", out, "./cmd/nantian")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, text)
	}
	return out, nil
}

// install applies the plain manifest, as docs/kubernetes.md says, and waits for both replicas.
func install(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := shared.ApplyFiles(ctx, root+"/crds", root+"/deploy/nantian.yaml"); err != nil {
		return err
	}
	return shared.WaitAvailable(ctx, system, "nantian-controller")
}

// explain tells what is known of all pods.
func explain(logf func(string, ...any)) {
	ctx := context.Background()
	pods, err := shared.Client().CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		logf("%v", err)
		return
	}
	for _, p := range pods.Items {
		logs, _ := shared.Logs(ctx, p.Namespace, p.Name, "")
		logf("pod %s/%s: %s %+v\n%s", p.Namespace, p.Name, p.Status.Phase, p.Status.ContainerStatuses, logs[max(0, len(logs)-3000):])
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually calls f until it returns no error.
func eventually(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	ctx := within(t)
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			explain(t.Logf)
			t.Fatalf("not within %s: %v", patience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func apply(t *testing.T, namespace, text string) {
	t.Helper()
	if err := shared.Apply(within(t), strings.ReplaceAll(text, "NS", namespace)); err != nil {
		t.Fatal(err)
	}
}

// namespace makes a namespace that is removed after the test.
func namespace(t *testing.T) string {
	t.Helper()
	name := "test-" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	text := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}\n"
	apply(t, name, text)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := shared.Delete(ctx, text); err != nil {
			t.Error(err)
		}
	})
	return name
}

func get(ctx context.Context, kind, namespace, name string) (*unstructured.Unstructured, error) {
	r, err := shared.Resource(schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: kind}, namespace)
	if err != nil {
		return nil, err
	}
	return r.Get(ctx, name, metav1.GetOptions{})
}

// condition finds a condition in a list; "Status/Reason" of this generation, or empty.
func condition(o *unstructured.Unstructured, list []any, typ string) string {
	for _, c := range list {
		m, _ := c.(map[string]any)
		if m["type"] == typ && m["observedGeneration"] == o.GetGeneration() {
			return fmt.Sprintf("%v/%v", m["status"], m["reason"])
		}
	}
	return ""
}

// gateway waits until a Gateway is programmed and returns "address:port" of its first listener.
func gateway(t *testing.T, namespace, name string) string {
	t.Helper()
	address := ""
	eventually(t, func(ctx context.Context) error {
		g, err := get(ctx, "Gateway", namespace, name)
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(g.Object, "status", "conditions")
		if got := condition(g, conditions, "Programmed"); got != "True/Programmed" {
			return fmt.Errorf("Gateway %s: %v", name, conditions)
		}
		list, _, _ := unstructured.NestedSlice(g.Object, "status", "addresses")
		if len(list) == 0 {
			return fmt.Errorf("Gateway %s has no address", name)
		}
		address, _, _ = unstructured.NestedString(list[0].(map[string]any), "value")
		return nil
	})
	return address + ":8080"
}

// routeCondition waits for a condition of a route's first parent.
func routeCondition(t *testing.T, namespace, name, typ, want string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		r, err := get(ctx, "HTTPRoute", namespace, name)
		if err != nil {
			return err
		}
		parents, _, _ := unstructured.NestedSlice(r.Object, "status", "parents")
		if len(parents) == 0 {
			return fmt.Errorf("HTTPRoute %s has no parents in its status", name)
		}
		conditions, _, _ := unstructured.NestedSlice(parents[0].(map[string]any), "conditions")
		if got := condition(r, conditions, typ); got != want {
			return fmt.Errorf("HTTPRoute %s: %s is %q, expected %q: %v", name, typ, got, want, conditions)
		}
		return nil
	})
}

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// chat asks a model and returns status and text.
func chat(ctx context.Context, address, model string) (int, string, error) {
	body := fmt.Sprintf(`{"model": %q, "messages": [{"role": "user", "content": "Hello!"}]}`, model)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	var out struct {
		Choices []struct{ Message struct{ Content string } }
	}
	if json.Unmarshal(b, &out) == nil && len(out.Choices) > 0 {
		b = []byte(out.Choices[0].Message.Content)
	}
	return resp.StatusCode, string(bytes.TrimSpace(b)), err
}

// answers waits until a model answers with a status.
func answers(t *testing.T, address, model string, status int) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		got, text, err := chat(ctx, address, model)
		if err == nil && got != status {
			err = fmt.Errorf("%s: %d, expected %d: %s", model, got, status, text)
		}
		return err
	})
}
