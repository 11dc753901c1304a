package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// TestEveryPair: each way in which clients speak with each schema of providers, whole and streamed, well and ill.
func TestEveryPair(t *testing.T) {
	t.Parallel()
	w := start(t, allSchemas)
	for _, d := range dialects {
		for _, s := range rig.Schemas {
			t.Run(d.name+" to "+s.Name, func(t *testing.T) {
				t.Parallel()
				pair(t, w, d, "sim-"+s.Name)
			})
		}
	}
}

func pair(t *testing.T, w *world, d dialect, model string) {
	w.chat(ask{dialect: d, model: model, text: "How are you?"}).want(t, 200, "Hello, this is sim")
	w.chat(ask{dialect: d, model: model, text: "How are you?", stream: true}).whole(t, d)
	for _, stream := range []bool{false, true} {
		refused := func(fault string) reply {
			return w.chat(ask{dialect: d, model: model, text: "Hi [[simulate: " + fault + "]]", stream: stream})
		}
		for _, status := range []int{400, 403, 404, 429, 500, 503} {
			r := refused(fmt.Sprintf("status=%d retry-after=7", status))
			r.want(t, status, fmt.Sprintf("asked to answer with status %d", status), `"type":`)
			if r.head.Get("Retry-After") != "7" {
				t.Errorf("stream %v, status %d: Retry-After %q", stream, status, r.head.Get("Retry-After"))
			}
		}
		r := refused("status=401")
		r.want(t, 401, "credentials")
		r.lacks(t, rig.Key)
		refused("reset").want(t, 502, "error")
	}
}

// TestDiesMidStream: a provider that dies, reports an error or talks nonsense within a stream never looks like a clean end.
func TestDiesMidStream(t *testing.T) {
	t.Parallel()
	w := start(t, func(w *world) rig.Files {
		f := allSchemas(w)
		var ms []string
		for _, s := range rig.Schemas {
			for fault := range midStream {
				name := s.Name
				if fault == "hang-after" {
					name += "-hasty"
				}
				ms = append(ms, rig.Model(s.Name+" "+fault, name+"/sim?tokens=30&"+fault+"=9"))
			}
		}
		f["models.yaml"] = w.providers() + w.hasty("timeouts: {idle: 1s}") + rig.Models(ms...)
		return f
	})
	for _, d := range dialects {
		for _, s := range rig.Schemas {
			for fault := range midStream {
				t.Run(d.name+" "+s.Name+" "+fault, func(t *testing.T) {
					t.Parallel()
					dies(t, w, d, s.Name+" "+fault)
				})
			}
		}
	}
}

// midStream are the ways to die after a few events, with the word for it in metrics.
var midStream = map[string]string{"cut-after": "connect", "error-after": "server_error", "malformed-after": "server_error", "hang-after": "timeout"}

func dies(t *testing.T, w *world, d dialect, model string) {
	r := w.chat(ask{dialect: d, model: model, text: "Tell me", stream: true})
	r.want(t, 200, d.failed)
	r.lacks(t, d.end)
	e := w.Logged(`"requested_model":"`+model+`"`, `"path":"`+d.path+`"`)
	_, fault, _ := strings.Cut(model, " ")
	rig.Eventually(t, rig.Patience, "an attempt of "+e.Provider+" is counted as "+midStream[fault], func() bool {
		return w.Metric("nantian_ai_attempts_total", fmt.Sprintf("outcome=%q", midStream[fault]), fmt.Sprintf("provider=%q", e.Provider)) > 0
	})
	if e.Status != 200 || e.Note == "" || e.Input == 0 || e.Output == 0 || !e.Estimated {
		t.Errorf("logged %+v", e)
	}
}
