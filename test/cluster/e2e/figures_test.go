//go:build figures

package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

const (
	figureGateways = 100
	figureRoutes   = 10_000
	figureEdits    = 40
)

// TestFigures prints what an edit costs with 10,000 HTTPRoutes over 100 Gateways in the cluster: the time from the API
// server's answer to the write until traffic shows it, the bytes to the data plane, the CPU of the control plane. One Gateway has
// a data plane, since all of them would be a hundred processes; the control plane keeps the configuration of all.
func TestFigures(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, figureObjects())
	at := gateway(t, ns, "gw0")
	began := time.Now()
	makeRoutes(t, ns)
	eventuallyLong(t, func(ctx context.Context) error { return shows(ctx, at, figureRoutes-figureGateways, "v0") })
	t.Logf("10,000 routes were made, and the last is served, after %s", time.Since(began).Round(time.Second))
	quiet(t)

	proxy := podAddresses(t, ns, "gateway.networking.k8s.io/gateway-name=gw0")
	planes := podAddresses(t, system, "app.kubernetes.io/component=controller")
	bytes, cpu := metric(t, proxy[0], "nantian_xds_response_bytes_total"), each(t, planes, "process_cpu_seconds_total")
	t.Log("edits begin")
	var took []time.Duration
	for n := range figureEdits {
		took = append(took, editRoute(t, ns, at, figureGateways*(n*37%100), fmt.Sprintf("v%d", n+1)))
		time.Sleep(500 * time.Millisecond)
	}
	quiet(t)
	bytes = metric(t, proxy[0], "nantian_xds_response_bytes_total") - bytes
	spent := each(t, planes, "process_cpu_seconds_total")
	slices.Sort(took)
	t.Logf("from the API write to traffic: median %s, least %s, greatest %s", took[len(took)/2], took[0], took[len(took)-1])
	t.Logf("to the data plane: %.0f bytes an edit", bytes/figureEdits)
	for i, p := range planes {
		t.Logf("replica %d of the control plane: %.0f ms of CPU an edit, %.0f MiB resident", i, (spent[i]-cpu[i])/figureEdits*1000, metric(t, p, "process_resident_memory_bytes")/(1<<20))
	}
	t.Logf("the data plane with 100 of the routes: %.0f MiB resident", metric(t, proxy[0], "process_resident_memory_bytes")/(1<<20))
}

func figureObjects() string {
	var b strings.Builder
	b.WriteString("apiVersion: gateway.nantian.dev/v1alpha1\nkind: GatewayConfig\nmetadata: {name: one, namespace: NS}\nspec: {replicas: 1}\n" +
		"---\napiVersion: gateway.nantian.dev/v1alpha1\nkind: GatewayConfig\nmetadata: {name: none, namespace: NS}\nspec: {replicas: 0}\n" +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: NS}\nspec: {ports: [{port: 80}]}\n")
	for i := range figureGateways {
		config := "none"
		if i == 0 {
			config = "one"
		}
		fmt.Fprintf(&b, "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw%d, namespace: NS}\nspec:\n  gatewayClassName: nantian\n"+
			"  infrastructure: {parametersRef: {group: gateway.nantian.dev, kind: GatewayConfig, name: %s}}\n"+
			"  listeners: [{name: http, protocol: HTTP, port: 8080}]\n", i, config)
	}
	return b.String()
}

var routeKind = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}

// figureRoute answers at a host of its own with a redirect that tells its version; another rule leads to a Service.
func figureRoute(namespace string, n int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
		"metadata": map[string]any{"name": fmt.Sprintf("r%d", n), "namespace": namespace},
		"spec": map[string]any{
			"parentRefs": []any{map[string]any{"name": fmt.Sprintf("gw%d", n%figureGateways)}},
			"hostnames":  []any{hostOf(n)},
			"rules":      []any{redirectTo("v0"), map[string]any{"backendRefs": []any{map[string]any{"name": "web", "port": int64(80)}}}},
		},
	}}
}

func hostOf(n int) string { return fmt.Sprintf("h%d.example.com", n) }

func redirectTo(version string) map[string]any {
	return map[string]any{
		"matches": []any{map[string]any{"path": map[string]any{"value": "/version"}}},
		"filters": []any{map[string]any{"type": "RequestRedirect", "requestRedirect": map[string]any{"hostname": version + ".example.com"}}},
	}
}

func makeRoutes(t *testing.T, namespace string) {
	t.Helper()
	r, err := shared.Resource(routeKind, namespace)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make(chan error, figureRoutes)
	for worker := range 16 {
		wg.Go(func() {
			for n := worker; n < figureRoutes; n += 16 {
				if _, err := r.Create(t.Context(), figureRoute(namespace, n), metav1.CreateOptions{}); err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
}

// shows says whether the route of a host is served in a version.
func shows(ctx context.Context, address string, n int, version string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/version", nil)
	if err != nil {
		return err
	}
	req.Host = hostOf(n)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if want := "http://" + version + ".example.com"; !strings.HasPrefix(resp.Header.Get("Location"), want) {
		return fmt.Errorf("%d %q, expected %s", resp.StatusCode, resp.Header.Get("Location"), want)
	}
	return nil
}

// editRoute edits a route and waits until traffic shows it.
func editRoute(t *testing.T, namespace, address string, n int, version string) time.Duration {
	t.Helper()
	r, err := shared.Resource(routeKind, namespace)
	if err != nil {
		t.Fatal(err)
	}
	patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/rules/0/filters/0/requestRedirect/hostname","value":"%s.example.com"}]`, version)
	if _, err := r.Patch(t.Context(), fmt.Sprintf("r%d", n), types.JSONPatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	written := time.Now()
	for ctx := within(t); ; time.Sleep(time.Millisecond) {
		err := shows(ctx, address, n, version)
		if err == nil {
			return time.Since(written)
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// eventuallyLong is eventually for what takes minutes.
func eventuallyLong(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()
	var err error
	for range 1200 {
		if err = f(t.Context()); err == nil {
			return
		}
		time.Sleep(time.Second / 2)
	}
	t.Fatal(err)
}

// quiet waits until the control plane has nothing to do: its statuses are written.
func quiet(t *testing.T) {
	t.Helper()
	planes := podAddresses(t, system, "app.kubernetes.io/component=controller")
	for idle := 0; idle < 3; {
		before := total(t, planes, "process_cpu_seconds_total")
		time.Sleep(2 * time.Second)
		if idle++; total(t, planes, "process_cpu_seconds_total")-before > 0.1 {
			idle = 0
		}
	}
}

func podAddresses(t *testing.T, namespace, selector string) (out []string) {
	t.Helper()
	list, err := shared.Client().CoreV1().Pods(namespace).List(within(t), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list.Items {
		out = append(out, p.Status.PodIP+":15002")
	}
	if len(out) == 0 {
		t.Fatalf("no pods of %s in %s", selector, namespace)
	}
	return out
}

func total(t *testing.T, addresses []string, name string) (sum float64) {
	t.Helper()
	for _, a := range addresses {
		sum += metric(t, a, name)
	}
	return sum
}

// each is a metric of several.
func each(t *testing.T, addresses []string, name string) (out []float64) {
	t.Helper()
	for _, a := range addresses {
		out = append(out, metric(t, a, name))
	}
	return out
}

// metric is the sum of a metric's series.
func metric(t *testing.T, address, name string) (sum float64) {
	t.Helper()
	resp, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		series, value, _ := strings.Cut(lines.Text(), " ")
		if series, _, _ = strings.Cut(series, "{"); series == name {
			n, err := strconv.ParseFloat(value[strings.LastIndexByte(value, ' ')+1:], 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}
