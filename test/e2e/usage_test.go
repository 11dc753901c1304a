package e2e

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// TestUsageIsKnown: tokens are logged and counted whether or not the client asks for them, the provider reports them, or
// the client stays to the end.
func TestUsageIsKnown(t *testing.T) {
	t.Parallel()
	var ms []string
	for _, s := range rig.Schemas {
		for _, d := range dialects {
			for _, kind := range []string{"whole", "stream", "silent whole", "silent stream", "aborted"} {
				ms = append(ms, rig.Model(s.Name+" "+d.name+" "+kind, s.Name))
			}
		}
	}
	w := start(t, models(ms...))
	for _, s := range rig.Schemas {
		for _, d := range dialects {
			t.Run(s.Name+" "+d.name, func(t *testing.T) {
				t.Parallel()
				usage(t, w, d, s.Name+" "+d.name+" ")
			})
		}
	}
}

func usage(t *testing.T, w *world, d dialect, prefix string) {
	logged := func(kind string) rig.Entry { return w.Logged(`"requested_model":"` + prefix + kind + `"`) }
	text := "Tell me a story about a river and the sea"
	call := func(kind, directives string) rig.Entry {
		r := w.chat(ask{dialect: d, model: prefix + kind, text: text + " [[simulate: tokens=40 " + directives + "]]", stream: strings.HasSuffix(kind, "stream")})
		r.want(t, 200)
		if strings.HasSuffix(kind, "stream") {
			r.whole(t, d)
			if d.name == "openai" { // which did not ask for it
				r.lacks(t, `"usage":{`)
			}
		}
		return logged(kind)
	}
	truth := call("whole", "")
	if truth.Input == 0 || truth.Output != 40 || truth.Estimated {
		t.Errorf("whole: %+v", truth)
	}
	if e := call("stream", ""); e.Input != truth.Input || e.Output != 40 || e.Estimated || !e.Stream {
		t.Errorf("stream: %+v", e)
	}
	for _, kind := range []string{"silent whole", "silent stream"} {
		if e := call(kind, "omit-usage"); !e.Estimated || e.Input < 5 || e.Input > 60 || e.Output < 35 || e.Output > 70 {
			t.Errorf("%s: %+v", kind, e)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, rest := w.begin(ctx, ask{dialect: d, model: prefix + "aborted", text: text + " [[simulate: tokens=100000 delay=2ms]]"})
	got, err := io.ReadAll(io.LimitReader(rest, 8<<10))
	if err != nil {
		t.Error(err)
	}
	cancel()
	pieces := strings.Count(string(got), `"content":"`) + strings.Count(string(got), "text_delta")
	if e := logged("aborted"); !e.Aborted || !e.Estimated || e.Input < 5 || e.Output < pieces || e.Status != 499 {
		t.Errorf("aborted after %d pieces: %+v", pieces, e)
	}
	provider := fmt.Sprintf("provider=%q", truth.Provider)
	rig.Eventually(t, rig.Patience, "160 tokens of output are counted", func() bool {
		return w.Metric("nantian_ai_tokens_total", provider, `type="output"`) >= 160
	})
}
