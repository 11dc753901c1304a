package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// TestModels: the list shows what may be asked for, in the dialect of the client, and an unknown model is told what there is.
func TestModels(t *testing.T) {
	t.Parallel()
	w := start(t, func(w *world) rig.Files {
		f := allSchemas(w)
		f["models.yaml"] += rig.Model("gpt-*", "openai/gpt-*")
		return f
	})
	list := w.get("/v1/models")
	list.want(t, 200, `"object":"list"`, `"id":"sim-openai"`, `"id":"sim-ollama"`, `"object":"model"`)
	list.lacks(t, "gpt-")
	claude := w.get("/v1/models", "Anthropic-Version", "2023-06-01")
	claude.want(t, 200, `"type":"model"`, `"id":"sim-openai"`, `"has_more":false`)
	w.get("/v1/models/sim-gemini").want(t, 200, `"id":"sim-gemini"`)
	w.get("/v1/models/gpt-9").want(t, 200, `"id":"gpt-9"`)
	w.get("/v1/models/nobody").want(t, 404, "sim-gemini")
	w.chat(ask{dialect: dialects[0], model: "gpt-9", text: "Hi"}).says(t, "this is gpt-9")
	for _, d := range dialects {
		for _, stream := range []bool{false, true} {
			w.chat(ask{dialect: d, model: "nobody", text: "Hi", stream: stream}).want(t, 404, "nobody", "sim-gemini", "gpt-*", `"type":`)
		}
	}
}

// TestMetricsAreBounded: a thousand names of models make no more series than one.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	w := start(t, models(rig.Model("any-*", "openai/*"), rig.Model("sim", "anthropic")))
	series := func() int {
		n := 0
		for line := range strings.Lines(w.Page("/metrics")) {
			if strings.HasPrefix(line, "nantian_") || strings.HasPrefix(line, "gen_ai_") {
				n++
			}
		}
		return n
	}
	each := func(i int) {
		w.chat(ask{dialect: dialects[i%2], model: fmt.Sprint("any-", i), text: "Hi", stream: i%4 < 2}).want(t, 200)
		w.chat(ask{dialect: dialects[i%2], model: fmt.Sprint("nobody-", i), text: "Hi"}).want(t, 404)
		w.get(fmt.Sprint("/elsewhere/", i)).want(t, 404)
	}
	for i := range 4 {
		each(i)
	}
	w.Counted(12, "nantian_requests_total")
	before := series()
	for i := range 1000 {
		each(1000 + i)
	}
	w.Counted(3012, "nantian_requests_total")
	if after := series(); after > before || before == 0 {
		t.Errorf("%d series after 1,000 names, %d before", after, before)
	}
	t.Logf("%d series", before)
	for _, want := range []struct {
		name   string
		labels []string
		n      float64
	}{
		{"nantian_requests_total", []string{`code="200"`}, 1004},
		{"nantian_requests_total", []string{`code="404"`}, 2008},
		{"nantian_ai_attempts_total", []string{`outcome="ok"`, `provider="default/openai"`}, 1004},
		{"nantian_ai_open_streams", nil, 0},
		{"gen_ai_server_time_to_first_token_seconds_count", nil, 502},
		{"nantian_request_duration_seconds_count", []string{`route="default/models"`}, 2008},
	} {
		w.Counted(want.n, want.name, want.labels...)
	}
	for _, page := range []string{"/healthz", "/readyz", "/debug/pprof/cmdline"} {
		w.Page(page)
	}
}
