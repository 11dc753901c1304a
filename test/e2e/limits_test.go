package e2e

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/internal/simulator"
	"github.com/nantian-gw/nantian/test/rig"
)

// redis is a redis-server of the machine's, on a free port.
type redis struct {
	t    testing.TB
	port string
	dir  string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB) *redis {
	t.Helper()
	r := &redis{t: t, port: fmt.Sprint(rig.Port(t)), dir: t.TempDir()}
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *redis) start() {
	r.t.Helper()
	// What is written is on disk before it is acknowledged, so that a restart forgets nothing.
	r.cmd = exec.Command("redis-server", "--port", r.port, "--bind", "127.0.0.1", "--dir", r.dir, "--save", "", "--appendonly", "yes",
		"--appendfsync", "always", "--logfile", filepath.Join(r.dir, "log"))
	if err := r.cmd.Start(); err != nil {
		r.t.Fatalf("redis-server: %v (scripts/deps installs it)", err)
	}
	rig.Eventually(r.t, rig.Patience, "redis-server listens", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+r.port)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (r *redis) kill() {
	if r.cmd != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.cmd = nil
	}
}

// url has patience with a slow machine: a store that is away is one that refuses connections.
func (r *redis) url() string {
	return "redis://127.0.0.1:" + r.port + "?read_timeout=30s&dial_timeout=30s"
}

// limits is a world with a TokenPolicy on its Gateway; more are lines of its spec.
func limits(limit string, more ...string) files {
	return func(w *world) rig.Files {
		f := models(rig.Model("sim", "openai/sim"), rig.Model("claude", "anthropic/sim"))(w)
		f["limits.yaml"] = `
apiVersion: gateway.nantian.dev/v1alpha1
kind: TokenPolicy
metadata: {name: p}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ai}]
  limits: [` + limit + "]\n" + strings.Join(more, "\n")
		return f
	}
}

// replicas are two gateways on one Redis, and one simulator.
func replicas(t *testing.T, store *redis, f files) []*world {
	t.Helper()
	sim := rig.Simulate(t, simulator.Options{Record: 4096, Now: clock})
	var ws []*world
	for range 2 {
		w := &world{t: t, sim: sim, port: rig.Port(t), http: client}
		w.url = fmt.Sprintf("http://127.0.0.1:%d", w.port)
		w.Gateway = rig.Start(t, f(w), "--redis", store.url(), "--replicas", "2")
		ws = append(ws, w)
	}
	return ws
}

// crowd sends a request of each of n clients at once, to the gateways in turn, and counts the answers by status. Those that
// broke are 0.
func crowd(ws []*world, n int, a func(i int) ask) map[int]int {
	var mu sync.Mutex
	var all sync.WaitGroup
	counts := map[int]int{}
	begin := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-begin
			r := ws[i%len(ws)].chat(a(i))
			if r.err != nil {
				r.status = 0
			}
			mu.Lock()
			counts[r.status]++
			mu.Unlock()
		})
	}
	close(begin)
	all.Wait()
	return counts
}

const clients = 200

// exactly20 is a request that generates 20 tokens.
func exactly20(int) ask {
	return ask{dialect: dialects[0], model: "sim", text: "Hi [[simulate: tokens=20 first-token=100ms]]", more: map[string]any{"max_tokens": 20}}
}

// TestBudgetAcrossReplicas: of 200 clients at once at two gateways no more pass than the budget has room for, and no fewer.
func TestBudgetAcrossReplicas(t *testing.T) {
	t.Parallel()
	store := startRedis(t)
	f := func(name, limit string, a func(int) ask) {
		t.Helper()
		got := crowd(replicas(t, store, limits(limit)), clients, a)
		if got[200] != 10 || got[429] != clients-10 {
			t.Errorf("%s: %v, want 10 that pass", name, got)
		}
	}
	f("requests", `{name: requests, unit: Requests, limit: 10, window: 1h}`, exactly20)
	f("output", `{name: output, unit: OutputTokens, limit: 200, window: 1h}`, exactly20)
	streamed := func(i int) ask {
		a := exactly20(i)
		a.stream = true
		return a
	}
	f("streams", `{name: streams, unit: Requests, limit: 10, window: 24h}`, streamed)
	f("output of streams", `{name: streamed, unit: OutputTokens, limit: 200, window: 24h}`, streamed)
}

// TestKilledReplica: what a replica had settled before it died stays charged, what it had reserved comes back after the time
// to live of a reservation (a minute), and meanwhile the other one grants nothing above the limit.
func TestKilledReplica(t *testing.T) {
	t.Parallel()
	ws := replicas(t, startRedis(t), limits(`{name: r, unit: Requests, limit: 10, window: 1h}`))
	for range 4 {
		ws[0].chat(exactly20(0)).want(t, 200)
	}
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			ws[0].chat(ask{dialect: dialects[0], model: "sim", text: "Hi [[simulate: hang]]"})
		})
	}
	rig.Eventually(t, rig.Patience, "seven requests are charged", func() bool { return strings.Contains(ws[1].Page("/limits"), `"used": "7"`) })
	ws[0].Signal(syscall.SIGKILL)
	running.Wait()
	if got := crowd(ws[1:], 50, exactly20); got[200] != 3 || got[429] != 47 {
		t.Errorf("after the death of a replica: %v, want 3 that pass", got)
	}
	// The three calls that ran come back, and not the four that were done.
	rig.Eventually(t, 2*time.Minute, "what was reserved comes back", func() bool { return strings.Contains(ws[1].Page("/limits"), `"used": "7"`) })
	if got := crowd(ws[1:], 50, exactly20); got[200] != 3 || got[429] != 47 {
		t.Errorf("after the time to live: %v, want 3 that pass", got)
	}
}

// TestSpendOutlivesRestarts: neither a gateway's restart nor that of Redis forgets what was spent.
func TestSpendOutlivesRestarts(t *testing.T) {
	t.Parallel()
	store := startRedis(t)
	config := limits(`{name: r, unit: Requests, limit: 5, window: 1h}`)
	ws := replicas(t, store, config)
	for range 3 {
		ws[0].chat(exactly20(0)).want(t, 200)
	}
	ws[0].Signal(syscall.SIGTERM)
	if code := ws[0].Ended(rig.Patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	again := replicas(t, store, config)
	again[0].chat(exactly20(0)).want(t, 200)
	rig.Eventually(t, rig.Patience, "the fourth is settled", func() bool { return strings.Contains(again[0].Page("/limits"), `"running": 0`) })
	time.Sleep(time.Second) // until the store knows, which takes 50 ms
	store.kill()
	store.start()
	rig.Eventually(t, rig.Patience, "the fifth passes and no other", func() bool { return again[1].chat(exactly20(0)).status == 200 })
	rig.Eventually(t, rig.Patience, "Redis is back", func() bool {
		r := again[0].chat(exactly20(0))
		return r.status == 429 && strings.Contains(again[0].Page("/limits"), `"used": "5"`)
	})
}

// TestRedisAway: a policy that fails open is enforced by each replica to its share, one that fails closed refuses with 503 and
// says why; both count in Redis again when it is back, without a restart. Streams that run are unharmed.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	f := func(mode string, granted int, refusal int) {
		store := startRedis(t)
		ws := replicas(t, store, limits(`{name: r, unit: Requests, limit: 20, window: 1h}`, "  failureMode: "+mode))
		ws[0].chat(exactly20(0)).want(t, 200)
		var stream reply
		var running sync.WaitGroup
		running.Go(func() {
			stream = ws[0].chat(ask{dialect: dialects[0], model: "sim", stream: true, text: "Hi [[simulate: tokens=40 delay=100ms]]"})
		})
		rig.Eventually(t, rig.Patience, "a stream runs", func() bool { return strings.Contains(ws[0].Page("/limits"), `"running": 1`) })
		store.kill()
		rig.Eventually(t, rig.Patience, "the gateways notice", func() bool {
			for _, w := range ws {
				if w.Metric("nantian_limit_store_up") == 1 {
					w.chat(ask{dialect: dialects[0], model: "claude", text: "Hi"})
					return false
				}
			}
			return true
		})
		if mode == "Closed" {
			ws[1].chat(exactly20(0)).want(t, 503, "limit \\\"r\\\" of TokenPolicy default/p", "cannot be reached")
		}
		got := crowd(ws, 60, exactly20)
		if got[200] > granted || got[refusal] != 60-got[200] || mode == "Open" && got[200] == 0 {
			t.Errorf("%s, Redis away: %v, want at most %d that pass, and %d for the others", mode, got, granted, refusal)
		}
		running.Wait()
		if stream.err != nil || !strings.Contains(stream.body, "[DONE]") {
			t.Errorf("%s: the stream that ran broke: %v %s", mode, stream.err, cut(stream.body))
		}
		store.start()
		rig.Eventually(t, rig.Patience, "the gateways are back", func() bool {
			for _, w := range ws {
				w.chat(exactly20(0))
			}
			return ws[0].Metric("nantian_limit_store_up") == 1 && ws[1].Metric("nantian_limit_store_up") == 1
		})
		got = crowd(ws, 100, exactly20)
		if got[200] > 20 || got[429] != 100-got[200] {
			t.Errorf("%s, Redis back: %v", mode, got)
		}
	}
	f("Open", 20, 429)
	f("Closed", 0, 503)
}

// TestLimitHeadersFall: what is left falls with every call by what it used, and is what the store has.
func TestLimitHeadersFall(t *testing.T) {
	t.Parallel()
	w := start(t, limits(`{name: t, unit: Tokens, limit: 10000, window: 1h}, {name: r, unit: Requests, limit: 1000, window: 1h}`))
	left, used := 10000, 0
	for range 5 {
		r := w.chat(exactly20(0))
		r.want(t, 200)
		total := 0
		if _, err := fmt.Sscanf(r.body[strings.Index(r.body, `"total_tokens":`):], `"total_tokens":%d`, &total); err != nil {
			t.Fatal(err, r.body)
		}
		left, used = left-total, used+total
		if got := r.head.Get("x-ratelimit-remaining-tokens"); got != fmt.Sprint(left) {
			t.Errorf("%s are left, want %d", got, left)
		}
	}
	if page := w.Page("/limits?policy=default/p&limit=t"); !strings.Contains(page, fmt.Sprintf(`"used": "%d"`, used)) {
		t.Errorf("the store has %s, want %d", page, used)
	}
	w.Counted(float64(used), "nantian_limit_settled_total", `limit="t"`)
	r := w.chat(ask{dialect: dialects[1], model: "claude", text: "Hi"})
	if r.head.Get("anthropic-ratelimit-tokens-remaining") == "" || r.head.Get("anthropic-ratelimit-requests-limit") != "1000" {
		t.Errorf("%v", r.head)
	}
}

// TestCutOverSockets: a stream ends at the limit with a clean end in the client's schema, and the provider is told to stop.
func TestCutOverSockets(t *testing.T) {
	t.Parallel()
	ends := map[string]string{"openai": `"finish_reason":"length"`, "anthropic": `"stop_reason":"max_tokens"`}
	for _, d := range dialects {
		for _, model := range []string{"sim", "claude"} { // forwarded and translated
			w := start(t, limits(`{name: t, unit: OutputTokens, limit: 300, window: 1h}`, "  onStream: Cut"))
			r := w.chat(ask{dialect: d, model: model, stream: true, text: "Hi [[simulate: tokens=5000 delay=1ms]]"})
			r.want(t, 200, ends[d.name], d.end)
			if n := len(strings.Fields(r.text())); n < 100 || n > 400 {
				t.Errorf("%s, %s: %d words came of 300 tokens", d.name, model, n)
			}
			w.Counted(1, "nantian_limit_cut_streams_total")
			rig.Eventually(t, rig.Patience, "the provider's call is cancelled", func() bool { return w.sim.Stats().Cancelled == 1 })
			if e := w.Logged(`"limit_outcome":"cut"`); e.Output < 250 || e.Output > 320 {
				t.Errorf("%s, %s: charged %d tokens", d.name, model, e.Output)
			}
			w.chat(ask{dialect: d, model: model, text: "Hi"}).want(t, 429)
		}
	}
}

// TestQueueOverSockets: requests wait for room and are served; those that do not fit into the queue are refused at once, and
// nobody waits longer than the queue lets them.
func TestQueueOverSockets(t *testing.T) {
	t.Parallel()
	w := start(t, limits(`{name: o, unit: OutputTokens, limit: 40, window: 2s}`, "  onLimit: Queue", "  queue: {size: 4, timeout: 60s}"))
	got := crowd([]*world{w}, 10, func(i int) ask {
		a := exactly20(i)
		a.text = "Hi [[simulate: tokens=20]]"
		return a
	})
	if got[200] < 4 || got[200]+got[429] != 10 || got[429] == 0 {
		t.Errorf("%v", got)
	}
	if n := w.Metric("nantian_limit_queue_length"); n != 0 {
		t.Errorf("%v wait", n)
	}
}

// TestLimitByAPIKey: each API key has a bucket of its own, and who has none that an AuthPolicy verified is refused.
func TestLimitByAPIKey(t *testing.T) {
	t.Parallel()
	limit := limits(`{name: k, unit: Requests, limit: 2, window: 1h, key: [{apiKey: {}}]}`)
	w := start(t, limit)
	w.chat(exactly20(0)).want(t, 401, "limit \\\"k\\\" of TokenPolicy default/p", "counted by an API key")
	w.Put("auth.yaml", rig.AuthPolicy("callers", "Gateway, name: ai", rig.KeysOf)+rig.CallerKey("a", "nk-a-0123456789abcdef")+rig.CallerKey("b", "nk-b-0123456789abcdef"))
	rig.Eventually(t, rig.Patience, "the AuthPolicy holds", func() bool {
		return !strings.Contains(w.chat(exactly20(0)).body, "counted by")
	})
	for _, key := range []string{"nk-a-0123456789abcdef", "nk-b-0123456789abcdef"} {
		for i := range 3 {
			want := 200
			if i == 2 {
				want = 429
			}
			w.chat(exactly20(0), "Authorization", "Bearer "+key).want(t, want)
		}
	}
	if page := w.Page("/limits?policy=default/p&limit=k&key=default/b"); !strings.Contains(page, `"used": "2"`) {
		t.Error(page)
	}
	// A limit that is edited counts at once, with what was used before.
	edited := limits(`{name: k, unit: Requests, limit: 3, window: 1h, key: [{apiKey: {}}]}`)(w)
	w.Put("limits.yaml", edited["limits.yaml"])
	rig.Eventually(t, rig.Patience, "the edited limit holds", func() bool {
		return w.chat(exactly20(0), "Authorization", "Bearer nk-a-0123456789abcdef").status == 200
	})
	w.chat(exactly20(0), "Authorization", "Bearer nk-a-0123456789abcdef").want(t, 429)
}
