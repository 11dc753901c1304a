package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// pod is a server behind the Service "web". It answers with its name, and is as well as it is told to be.
type pod struct {
	*httptest.Server
	name string
	// status is that of its answers, checked that of its answers to health checks.
	status, checked atomic.Int32
	// hold, if set, keeps requests until it is closed.
	hold chan struct{}
	held atomic.Int32
	seen atomic.Int64
	// terms are what its EndpointSlice says of it besides its address.
	terms string
}

func newPod(t testing.TB, name string) *pod {
	p := &pod{name: name, hold: make(chan struct{})}
	p.status.Store(200)
	p.checked.Store(200)
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		w.WriteHeader(int(p.checked.Load()))
		return
	case "/hold":
		p.held.Add(1)
		defer p.held.Add(-1)
		select {
		case <-p.hold:
		case <-r.Context().Done():
		}
	}
	p.seen.Add(1)
	w.WriteHeader(int(p.status.Load()))
	io.WriteString(w, p.name)
}

// slice is the pod's EndpointSlice.
func (p *pod) slice() string {
	_, port, _ := net.SplitHostPort(p.Listener.Addr().String())
	return fmt.Sprintf(`
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-%s, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: %s}]
endpoints: [{addresses: [127.0.0.1]%s}]
`, p.name, port, p.terms)
}

// balanced is a gateway before pods.
type balanced struct {
	*rig.Gateway
	t    testing.TB
	port int
	pods []*pod
}

// balance runs a gateway whose Service "web" has the pods and a BackendLBPolicy of the lines.
func balance(t testing.TB, pods []*pod, policy []string, args ...string) *balanced {
	t.Helper()
	b := &balanced{t: t, port: rig.Port(t), pods: pods}
	b.Gateway = rig.Start(t, rig.Files{"gateway.yaml": fmt.Sprintf(entrance, b.port, strings.Join(policy, "\n  ")), "pods.yaml": b.slices(pods)}, args...)
	return b
}

const entrance = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: nantian, listeners: [{name: http, protocol: HTTP, port: %d}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
  - matches: [{path: {value: /again}}]
    retry: {attempts: 1, backoff: 1ms, codes: [500]}
    backendRefs: [{name: web, port: 80}]
  - backendRefs: [{name: web, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: BackendLBPolicy
metadata: {name: web}
spec:
  targetRefs: [{group: "", kind: Service, name: web}]
  %s
`

func (b *balanced) slices(pods []*pod) string {
	var s strings.Builder
	for _, p := range pods {
		s.WriteString(p.slice())
	}
	return s.String()
}

// get asks for a path and gives the status and the answer, the pod's name if it came from one.
func (b *balanced) get(path string, fields ...string) (int, string) {
	b.t.Helper()
	status, body, err := b.try(path, fields...)
	if err != nil {
		b.t.Fatal(err)
	}
	return status, body
}

func (b *balanced) try(path string, fields ...string) (int, string, error) {
	r, err := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d%s", b.port, path), nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if r.Header.Set(fields[i], fields[i+1]); fields[i] == "Host" {
			r.Host = fields[i+1]
		}
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// hold makes a request that stays in flight, and waits until it has reached a pod.
func (b *balanced) hold() {
	b.t.Helper()
	before := b.held()
	go b.try("/hold")
	rig.Eventually(b.t, rig.Patience, "a request is in flight", func() bool { return b.held() == before+1 })
}

func (b *balanced) held() (n int32) {
	for _, p := range b.pods {
		n += p.held.Load()
	}
	return n
}

// release lets go what is held.
func (b *balanced) release() {
	for _, p := range b.pods {
		close(p.hold)
	}
}

// spread makes requests and counts the answers.
func (b *balanced) spread(requests int, path string, fields ...string) map[string]int {
	b.t.Helper()
	got := map[string]int{}
	for range requests {
		status, body := b.get(path, fields...)
		if status != 200 {
			body = fmt.Sprint(status)
		}
		got[body]++
	}
	return got
}

// settles waits until as many requests in a row are answered by these pods alone, and by each of them.
func (b *balanced) settles(requests int, names ...string) {
	b.t.Helper()
	rig.Eventually(b.t, rig.Patience, fmt.Sprint("answers of these pods alone: ", names), func() bool {
		got := b.spread(requests, "/")
		for _, name := range names {
			if got[name] == 0 {
				return false
			}
		}
		return len(got) == len(names)
	})
}

func podsOf(t testing.TB, n int) []*pod {
	var list []*pod
	for i := range n {
		list = append(list, newPod(t, string(rune('a'+i))))
	}
	return list
}

// Two gateways send the same key to the same pod, and the keys are spread.
func TestHashesOfTwoGateways(t *testing.T) {
	for name, key := range map[string]func(i int) []string{
		"{type: Header, name: X-User}": func(i int) []string { return []string{"X-User", fmt.Sprint("user-", i)} },
		"{type: Cookie, name: user}":   func(i int) []string { return []string{"Cookie", fmt.Sprint("a=b; user=", i)} },
		"{type: Hostname}":             func(i int) []string { return []string{"Host", fmt.Sprint("h", i, ".example.com")} },
		"{type: SourceIP}":             func(int) []string { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			pods := podsOf(t, 3)
			policy := []string{"algorithm: ConsistentHash", "consistentHash: " + name}
			one, two := balance(t, pods, policy), balance(t, pods, policy)
			reached := map[string]bool{}
			for i := range 24 {
				_, own := one.get("/", key(i)...)
				_, other := two.get("/", key(i)...)
				if own != other {
					t.Errorf("key %d: %s, and %s by the other gateway", i, own, other)
				}
				reached[own] = true
			}
			if want := map[bool]int{true: 3, false: 1}[key(0) != nil]; len(reached) != want {
				t.Errorf("%d pods were reached, want %d", len(reached), want)
			}
		})
	}
}

// LeastRequest keeps away from a pod that is busy, in turn and at random do not.
func TestBusyPodGetsLess(t *testing.T) {
	for algorithm, least := range map[string]bool{"LeastRequest": true, "RoundRobin": false, "Random": false} {
		b := balance(t, podsOf(t, 2), []string{"algorithm: " + algorithm})
		b.hold()
		busy := "a"
		if b.pods[1].held.Load() > 0 {
			busy = "b"
		}
		// Both draws of LeastRequest are the busy one once in eight times or less.
		if got := b.spread(200, "/")[busy]; (got < 70) != least {
			t.Errorf("%s: the busy pod got %d of 200", algorithm, got)
		}
		b.release()
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	t.Run("of a Service", func(t *testing.T) {
		b := balance(t, podsOf(t, 2), []string{"circuitBreaker: {maxRequests: 2}"})
		b.hold()
		b.hold()
		if status, body := b.get("/"); status != 503 {
			t.Errorf("a third request: %d %s", status, body)
		}
		b.Counted(1, "nantian_backend_refused_total", `limit="requests"`)
		b.release()
		b.settles(20, "a", "b")
	})
	t.Run("of a pod", func(t *testing.T) {
		b := balance(t, podsOf(t, 2), []string{"circuitBreaker: {maxRequestsPerEndpoint: 1}"})
		b.hold()
		free := "a"
		if b.pods[0].held.Load() > 0 {
			free = "b"
		}
		if got := b.spread(10, "/"); got[free] != 10 {
			t.Errorf("with one pod full: %v, want all of %s", got, free)
		}
		b.hold()
		if status, _ := b.get("/"); status != 503 {
			t.Errorf("with both pods full: %d", status)
		}
		b.release()
	})
}

func TestFailingPodIsLeftOut(t *testing.T) {
	b := balance(t, podsOf(t, 2), []string{"outlierEjection: {consecutive5xxErrors: 3, baseEjectionTime: 2s}"})
	b.pods[0].status.Store(500)
	if got := b.spread(20, "/"); got["500"] != 3 || got["b"] != 17 {
		t.Errorf("%v, want three failures, and then the other pod", got)
	}
	b.Counted(1, "nantian_backend_ejections_total")
	b.pods[0].status.Store(200)
	b.settles(10, "a", "b")
}

func TestPodsThatCannotBeReached(t *testing.T) {
	pods := podsOf(t, 3)
	pods[1].Close()
	b := balance(t, pods, []string{"outlierEjection: {consecutiveGatewayErrors: 2, baseEjectionTime: 1h}"})
	if got := b.spread(30, "/"); got["a"]+got["c"] != 30 {
		t.Errorf("%v, want that nobody notices", got)
	}
	b.Counted(1, "nantian_backend_ejections_total")
}

func TestHealthIsAskedFor(t *testing.T) {
	b := balance(t, podsOf(t, 3), []string{"healthCheck: {type: HTTP, interval: 100ms, unhealthyThreshold: 2, healthyThreshold: 1, http: {path: /healthz, expectedStatuses: [200, 204]}}", "minHealthyPercent: 50"})
	b.settles(12, "a", "b", "c")
	b.pods[0].checked.Store(500)
	b.settles(12, "b", "c")
	b.pods[1].checked.Store(205)
	b.settles(12, "a", "b", "c") // one of three is not enough for the load of all
	b.pods[0].checked.Store(204)
	b.settles(12, "a", "c")
	b.pods[1].checked.Store(200)
	b.settles(12, "a", "b", "c")
}

func TestRetriesHaveABudget(t *testing.T) {
	b := balance(t, podsOf(t, 1), []string{"retryConstraint: {budget: {percent: 0}, minRetryRate: {count: 2, interval: 1h}}"})
	b.pods[0].status.Store(500)
	for i, want := range []int{500, 500, 503, 503} {
		if status, body := b.get("/again"); status != want {
			t.Errorf("request %d: %d %s, want %d", i, status, body, want)
		}
	}
	if n := b.pods[0].seen.Load(); n != 6 {
		t.Errorf("the pod saw %d requests, want 4 and 2 again", n)
	}
	b.Counted(2, "nantian_backend_refused_total", `limit="retries"`)
}

// A retry goes to another pod, also where a hash would lead to the same one.
func TestRetriesGoElsewhere(t *testing.T) {
	for _, policy := range [][]string{{"algorithm: Random"}, {"algorithm: ConsistentHash", "consistentHash: {type: Header, name: X-User}"}} {
		b := balance(t, podsOf(t, 3), policy)
		b.pods[0].status.Store(500)
		for i := range 24 {
			if status, body := b.get("/again", "X-User", fmt.Sprint("user-", i)); status != 200 {
				t.Errorf("%v, request %d: %d %s", policy, i, status, body)
			}
		}
		if b.pods[0].seen.Load() == 0 {
			t.Errorf("%v: the pod that fails was never asked", policy)
		}
	}
}

func TestNewPodStartsSlowly(t *testing.T) {
	pods := podsOf(t, 2)
	b := balance(t, pods, []string{"slowStart: {window: 1h}"})
	b.settles(10, "a", "b")
	b.Put("pods.yaml", b.slices(append(pods, newPod(t, "c"))))
	rig.Eventually(t, rig.Patience, "the new pod is there", func() bool { return b.spread(1, "/")["c"] > 0 })
	// It has a tenth of a whole share: 300/21 are 14 of 300.
	if got := b.spread(300, "/"); got["c"] > 50 || got["a"] < 100 || got["b"] < 100 {
		t.Errorf("%v, want few for the new pod", got)
	}
}

func TestZonesAndPodsThatEnd(t *testing.T) {
	pods := podsOf(t, 3)
	pods[0].terms = `, hints: {forZones: [{name: east}]}`
	pods[1].terms = `, hints: {forZones: [{name: west}]}`
	pods[2].terms = `, conditions: {ready: false, serving: true, terminating: true}, hints: {forZones: [{name: east}]}`
	policy := []string{"algorithm: RoundRobin"}
	balance(t, pods, policy, "--zone", "east").settles(10, "a")
	balance(t, pods, policy, "--zone", "west").settles(10, "b")
	balance(t, pods, policy, "--zone", "north").settles(10, "a", "b")
	b := balance(t, pods, policy)
	b.settles(10, "a", "b")
	b.Put("pods.yaml", pods[2].slice())
	b.settles(10, "c") // rather than none
}

// A session goes on at another gateway that has the same key.
func TestSessionsOfTwoGateways(t *testing.T) {
	pods := podsOf(t, 4)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("a secret of more than 16 bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	policy := []string{"sessionPersistence: {sessionName: s}"}
	one, two := balance(t, pods, policy, "--session-key", key), balance(t, pods, policy, "--session-key", key)
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", one.port))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	cookie := resp.Header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "s=") {
		t.Fatalf("Set-Cookie: %q", cookie)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	for _, b := range []*balanced{one, two} {
		if got := b.spread(12, "/", "Cookie", cookie); got[string(body)] != 12 {
			t.Errorf("%v, want all of %s", got, body)
		}
	}
	if got := two.spread(12, "/"); len(got) < 2 {
		t.Errorf("without the cookie: %v", got)
	}
}

// A pod that takes no connections costs its connectTimeout, and then another one is asked.
func TestConnectionsHaveTime(t *testing.T) {
	mute := &pod{name: "mute", Server: &httptest.Server{Listener: full(t)}}
	b := balance(t, []*pod{mute, newPod(t, "a")}, []string{"connectTimeout: 50ms"})
	begun := time.Now()
	if got := b.spread(4, "/"); got["a"] != 4 {
		t.Errorf("%v, want all of the pod that answers", got)
	}
	if took := time.Since(begun); took < 50*time.Millisecond {
		t.Errorf("4 requests in %v: the pod that takes no connection was not tried", took)
	}
}

// full is a listener that nobody accepts from, and whose queue is full: who connects waits.
func full(t testing.TB) net.Listener {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "full")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	for range 16 {
		c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
		if err != nil {
			return l
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue of a listener is never full")
	return nil
}
