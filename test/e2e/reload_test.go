package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// own are models whose name is the provider's own, so that requests and answers are forwarded byte for byte.
var own = []string{rig.Model("sim-openai", "openai/sim-openai"), rig.Model("sim-anthropic", "anthropic/sim-anthropic")}

// TestEditIsLive: an edit of a file is in force within a second.
func TestEditIsLive(t *testing.T) {
	t.Parallel()
	w := start(t, models(own...))
	hello := ask{dialect: dialects[0], model: "new", text: "Hi"}
	w.chat(hello).want(t, 404)
	edited := time.Now()
	w.Put("models.yaml", w.providers()+rig.Models(append(own[:2:2], rig.Model("new", "gemini"))...))
	rig.Eventually(t, rig.Patience, "the new model answers", func() bool { return w.chat(hello).status == 200 })
	t.Logf("live after %v", time.Since(edited).Round(time.Millisecond))
}

// TestEditsInterruptNothing: 100 edits while 50 streams and steady requests run.
func TestEditsInterruptNothing(t *testing.T) {
	t.Parallel()
	w := start(t, models(own...))
	var group sync.WaitGroup
	for i := range 50 {
		a := ask{dialect: dialects[i%2], model: "sim-" + dialects[i%2].name, stream: true,
			text: fmt.Sprintf("Stream %d [[simulate: tokens=320 delay=25ms]]", i)}
		if a.name == "openai" {
			a.more = map[string]any{"stream_options": map[string]any{"include_usage": true}}
		}
		group.Go(func() { sameBytes(t, w, a) })
	}
	edits, stop := context.WithCancel(t.Context())
	var asked atomic.Int64
	for i := range 4 {
		group.Go(func() {
			for edits.Err() == nil {
				r := w.chat(ask{dialect: dialects[i%2], model: "sim-" + dialects[i%2].name, text: "Steady"})
				r.want(t, 200, "Steady")
				asked.Add(1)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	applied, deadline := 0.0, time.Now().Add(rig.Patience)
	for n := 0; n < 100 || applied < 20 && time.Now().Before(deadline); n++ {
		edit(w, n)
		time.Sleep(60 * time.Millisecond)
		applied = w.Metric("nantian_config_updates_total", `result="applied"`)
	}
	stop()
	group.Wait()
	t.Logf("%d requests during %v updates", asked.Load(), applied)
	if refused := w.Metric("nantian_config_updates_total", `result="refused"`); applied < 20 || refused > 0 {
		t.Errorf("%v updates applied, %v refused", applied, refused)
	}
}

// edit changes something different each time: models, a header of the providers, their timeouts, the routes, the key.
func edit(w *world, n int) {
	more := own
	header := "headers: [{name: x-edit, value: \"0\"}]"
	switch n % 4 {
	case 0:
		more = append(own[:2:2], rig.Model(fmt.Sprint("edit-", n), "gemini"))
	case 1:
		header = fmt.Sprintf("headers: [{name: x-edit, value: %q}]", fmt.Sprint(n))
	case 2:
		header = fmt.Sprintf("timeouts: {firstByte: %ds, idle: %ds}", 30+n, 30+n)
	case 3:
		w.Put("gateway.yaml", strings.Replace(rig.Entrance(w.port), "value: /v1}}]", fmt.Sprintf("value: /v1}}, {path: {type: Exact, value: /edit/%d}}]", n), 1))
		w.Put("key.yaml", fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: other, namespace: default}\nstringData: {token: sk-%d}\n", n))
	}
	w.Put("models.yaml", w.providers(header)+rig.Models(more...))
}

// sameBytes compares a stream with what the simulator itself answers.
func sameBytes(t *testing.T, w *world, a ask) {
	got := w.chat(a)
	r, err := http.NewRequest("POST", w.sim.URL+a.path, bytes.NewReader(a.body()))
	if err != nil {
		t.Error(err)
		return
	}
	r.Header.Set("Anthropic-Version", "2023-06-01")
	r.Header.Set("x-simulate-delay", "0s")
	resp, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	want, err := io.ReadAll(resp.Body)
	if got.err != nil || err != nil || got.body != string(want) {
		t.Errorf("%s: %v, %v\n got %s\nwant %s", a.text, got.err, err, cut(got.body), cut(string(want)))
	}
}

// TestBrokenFile: what was served goes on, messages name file, line, object and field, and the repair is live.
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]struct {
		old, new string
		told     []string
	}{
		"syntax":            {"kind: AIBackend", "kind: [AIBackend", []string{"models.yaml:"}},
		"unknown field":     {"  models:\n  - name", "  modells: []\n  models:\n  - name", []string{"models.yaml:", "AIBackend default/models", "modells"}},
		"wrong type":        {"priority: 0", "priority: high", []string{"models.yaml:", "AIBackend default/models", "spec.models[0].targets[0].priority"}},
		"against the rules": {"schema: Gemini", "schema: Gemini\n  azure: {apiVersion: v1}", []string{"models.yaml:", "AIProvider default/gemini", "azure is for the schema AzureOpenAI"}},
		"no such provider":  {"providerRef: {name: openai}", "providerRef: {name: nobody}", []string{"models.yaml:", "AIBackend default/models", "nobody"}},
		"no such schema":    {"schema: Ollama", "schema: Llama", []string{"models.yaml:", "AIProvider default/ollama", "Llama"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, allSchemas)
			good := allSchemas(w)["models.yaml"]
			hello := ask{dialect: dialects[0], model: "sim-anthropic", text: "Hi"}
			w.chat(hello).want(t, 200)
			from := w.Messages.Len()
			w.Put("models.yaml", strings.Replace(good, broken.old, broken.new, 1))
			line := w.Messages.Line(from, rig.Patience, broken.told...)
			if !regexp.MustCompile(`models\.yaml:[1-9]`).MatchString(line) {
				t.Errorf("no message has a line and %q", broken.told)
			}
			w.chat(hello).want(t, 200)
			w.Put("models.yaml", good+rig.Model("repaired", "ollama"))
			hello.model = "repaired"
			rig.Eventually(t, rig.Patience, "the repair is live", func() bool { return w.chat(hello).status == 200 })
		})
	}
}
