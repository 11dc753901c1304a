package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// faults are those of a first target that must lead to the second, as directives of the simulator. A stream has those
// that come before its first content as well.
var faults = map[bool][]string{
	false: {"status=429", "status=500", "status=503", "hang", "reset", "cut-after=0", "hang-after=0", "malformed-after=0"},
	true:  {"status=429", "status=500", "status=503", "hang", "reset", "cut-after=0", "hang-after=0", "malformed-after=0", "error-after=0"},
}

// TestFallback: every fault with every pair of schemas, whole and streamed, for both kinds of clients. The client gets
// the whole answer of the second target, which was asked in its own schema.
func TestFallback(t *testing.T) {
	t.Parallel()
	type cell struct {
		ask
		second string
	}
	var cells []cell
	var ms []string
	for i, first := range rig.Schemas {
		for j, second := range rig.Schemas {
			for _, d := range dialects {
				for stream, list := range faults {
					for _, fault := range list {
						name := fmt.Sprintf("%s to %s for %s %s stream=%v", first.Name, second.Name, d.name, fault, stream)
						// The header is there to give each cell a target of its own, so that none cools another down.
						target := fmt.Sprintf("sim?%s&header=x-cell:%d-%d-%s-%v", fault, i, j, d.name, stream)
						ms = append(ms, rig.Model(name, first.Name+"-hasty/"+target, second.Name+"/second-"+second.Name))
						cells = append(cells, cell{ask{dialect: d, model: name, text: "Hi", stream: stream}, second.Name})
					}
				}
			}
		}
	}
	w := start(t, func(w *world) rig.Files {
		f := rig.Files{"gateway.yaml": rig.Entrance(w.port), "providers.yaml": w.providers() + w.hasty("timeouts: {firstByte: 1s, idle: 1s}")}
		for n := 0; len(ms) > 0; n++ { // an AIBackend has at most 128 models
			part := ms[:min(100, len(ms))]
			ms = ms[len(part):]
			f[fmt.Sprintf("models-%d.yaml", n)] = strings.Replace(rig.Models(part...), "name: models,", fmt.Sprintf("name: models-%d,", n), 1)
		}
		f["gateway.yaml"] = fallbackRoutes(f["gateway.yaml"], len(f)-2)
		return f
	})
	for i, c := range cells {
		t.Run(c.model, func(t *testing.T) {
			t.Parallel()
			r := w.chat(c.ask, "x-models", fmt.Sprint(i/100))
			r.says(t, "Hello, this is second-"+c.second)
			if c.stream {
				r.whole(t, c.dialect)
			}
			e := w.Logged(`"requested_model":"` + c.model + `"`)
			if e.Attempts != 2 || e.Provider != "default/"+c.second || e.Model != "second-"+c.second || e.Output == 0 || e.Estimated {
				t.Errorf("logged %+v", e)
			}
		})
	}
}

// fallbackRoutes gives each AIBackend a rule of its own, chosen by the header x-models.
func fallbackRoutes(entrance string, backends int) string {
	var b strings.Builder
	for n := range backends {
		fmt.Fprintf(&b, "  - matches: [{headers: [{name: x-models, value: \"%d\"}]}]\n    backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: models-%d}]\n", n, n)
	}
	at, end := strings.Index(entrance, "  - matches:"), strings.LastIndex(entrance, "---\napiVersion: v1")
	return entrance[:at] + b.String() + entrance[end:]
}

// TestFallbackOrder: targets are asked by priority, a fault that is not the provider's is the client's to know, and when
// all fail it is told what the last one said.
func TestFallbackOrder(t *testing.T) {
	t.Parallel()
	// The header x gives each model a target of its own, whose failures are not those of another.
	w := start(t, models(
		rig.Model("first is well", "openai/first", "anthropic/sim?status=500"),
		rig.Model("third is well", "openai/sim?status=500", "anthropic/sim?status=429", "gemini/third"),
		rig.Model("client's fault", "openai/sim?status=400", "anthropic/second"),
		rig.Model("all fail", "openai/sim?status=500&header=x:w", "anthropic/sim?status=503"),
		rig.Model("one attempt", "openai/sim?status=500&header=x:z", "anthropic/second")+"    fallback: {maxAttempts: 1}\n",
		rig.Model("not on 5xx", "openai/sim?status=500&header=x:y", "anthropic/second")+"    fallback: {when: [RateLimited]}\n",
	))
	f := func(model string, status, attempts int, part string) {
		t.Helper()
		for _, d := range dialects {
			for _, stream := range []bool{false, true} {
				from := w.Access.Len()
				r := w.chat(ask{dialect: d, model: model, text: "Hi", stream: stream})
				if r.want(t, status); status == 200 {
					r.says(t, part)
				} else {
					r.want(t, status, part)
				}
				if e := w.LoggedAfter(from, `"requested_model":"`+model+`"`, `"path":"`+d.path+`"`); attempts > 0 && e.Attempts != attempts {
					t.Errorf("%s: %d attempts, want %d", model, e.Attempts, attempts)
				}
			}
		}
	}
	f("first is well", 200, 1, "this is first")
	f("third is well", 200, 0, "this is third") // attempts shrink as the second cools down
	f("client's fault", 400, 1, "status 400")
	f("all fail", 503, 0, "status 503")
	f("one attempt", 500, 1, "status 500")
	f("not on 5xx", 500, 1, "status 500")
	w.Counted(4, "nantian_ai_fallbacks_total", `provider="default/gemini"`)
}

// TestRetryAfter: a target that asks for time is left alone for as long, in every form in which it may ask.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	date := strings.ReplaceAll(time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), " ", "_")
	forms := map[string]string{
		"seconds": "openai/sim?status=429&retry-after=4", "milliseconds": "openai/sim?status=429&retry-after-ms=4000",
		"google": "gemini/sim?status=429&retry-delay=4s", "date": "anthropic/sim?status=429&retry-after=" + date,
		"unavailable": "ollama/sim?status=503&retry-after=4",
	}
	var ms []string
	for name, target := range forms {
		ms = append(ms, rig.Model(name, target, "openai/second"))
	}
	w := start(t, models(ms...))
	for name, target := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, model, _ := strings.Cut(target, "/")
			wait := 4 * time.Second
			if name == "date" { // which is an hour away, and not worth the wait
				wait = 5 * time.Second
			}
			leftAlone(t, w, name, model, time.Now(), 2, wait, name != "date")
		})
	}
}

// leftAlone sends requests until the first target of a model has been asked n times, which must not be before since and a
// time. Where the target is not asked again, it checks that it is not within this time.
func leftAlone(t *testing.T, w *world, name, target string, since time.Time, n int, wait time.Duration, again bool) {
	t.Helper()
	for deadline := time.Now().Add(rig.Patience); w.asked(target) < n; time.Sleep(50 * time.Millisecond) {
		w.chat(ask{dialect: dialects[0], model: name, text: "Hi"}).says(t, "this is second")
		if !again && time.Since(since) > wait {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s was asked %d times, want %d", target, w.asked(target), n)
		}
	}
	if took := time.Since(since); took < wait || !again {
		t.Errorf("%s was asked again after %v", target, took)
	}
}

// asked is how often a target got a request; Gemini's are named in the path.
func (w *world) asked(target string) (n int) {
	for _, r := range w.sim.Requests() {
		path, _ := url.PathUnescape(r.Path)
		var b struct{ Model string }
		json.Unmarshal(r.Body, &b)
		if b.Model == target || strings.Contains(path, target+":") {
			n++
		}
	}
	return n
}

// TestCircuitBreaker: after five failures in a row a target is left alone, until a probe after five seconds.
func TestCircuitBreaker(t *testing.T) {
	t.Parallel()
	const target = "ill?status=500"
	w := start(t, models(rig.Model("ill", "openai/"+target, "anthropic/second")))
	var last time.Time
	for i := range 5 {
		last = time.Now()
		w.chat(ask{dialect: dialects[i%2], model: "ill", text: "Hi", stream: i%4 < 2}).says(t, "this is second")
		if n := w.asked(target); n != i+1 {
			t.Fatalf("the ill target was asked %d times after %d requests", n, i+1)
		}
	}
	leftAlone(t, w, "ill", target, last, 6, 5*time.Second, true)
}
