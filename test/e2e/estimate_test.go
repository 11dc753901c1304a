package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// TestEstimatesGetBetter: the tokens of a model without a public vocabulary are estimated, and what its provider reports
// of other calls makes the estimate better, which the admin listener shows.
func TestEstimatesGetBetter(t *testing.T) {
	t.Parallel()
	w := start(t, models(rig.Model("learn", "openai/claude-of-somebody"), rig.Model("silent", "openai/claude-of-somebody"), rig.Model("last", "openai/claude-of-somebody")))
	text := strings.Repeat("The river runs down to the sea, and the ships go out. ", 30)
	call := func(model, directives string) rig.Entry {
		w.chat(ask{dialect: dialects[0], model: model, text: text + directives}).want(t, 200)
		return w.Logged(`"requested_model":"` + model + `"`)
	}
	before := call("silent", "[[simulate: omit-usage]]")
	truth := call("learn", "")
	for range 40 {
		w.chat(ask{dialect: dialects[0], model: "learn", text: text, stream: true}).want(t, 200)
	}
	e := w.learned(t, "claude-of-somebody", 33)
	after := call("last", "[[simulate: omit-usage]]")
	if !before.Estimated || truth.Estimated || !after.Estimated {
		t.Fatalf("before %+v, truth %+v, after %+v", before, truth, after)
	}
	off := func(e rig.Entry) int { return max(e.Input-truth.Input, truth.Input-e.Input) }
	if off(after)*4 > off(before) {
		t.Errorf("estimates were %d, are %d, the provider says %d: want the difference to be a quarter", before.Input, after.Input, truth.Input)
	}
	if e.Input.Factor > 0.97 || e.Input.Error > 0.1 || e.Output.Observations < 33 {
		t.Errorf("/estimates: %+v", e)
	}
	args := []string{"tokens", "--model", "claude-of-somebody", "-o", "json"}
	plain := command(t, text, args...).want(t, 0).object(t)
	m := command(t, text, append(args, "--admin", w.Admin)...).want(t, 0).object(t)
	if c, _ := m["calibration"].(map[string]any); c["factor"] != e.Input.Factor || m["tokens"].(float64) >= plain["tokens"].(float64) {
		t.Errorf("nantian tokens says %v, calibrated %v", plain, m)
	}
	if n := w.Metric("nantian_ai_estimate_error_ratio_count"); n < 66 {
		t.Errorf("%v errors of estimates were recorded, want those of input and output", n)
	}
}

type learned struct {
	Model         string
	Input, Output struct {
		Factor, Error float64
		Observations  int
	}
}

// learned waits until so many calls of a model have been observed: that is done after the client has its answer.
func (w *world) learned(t *testing.T, model string, observations int) learned {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var page struct{ Models []learned }
		if err := json.Unmarshal([]byte(w.Page("/estimates")), &page); err != nil {
			t.Fatal(err)
		}
		for _, l := range page.Models {
			if l.Model == model && l.Input.Observations >= observations {
				return l
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("/estimates: %+v, want %d observations of %s", page, observations, model)
		}
	}
}
