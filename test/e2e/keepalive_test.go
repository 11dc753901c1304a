package e2e

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/test/rig"
)

// TestSilenceBeforeTheFirstToken: a model thinks for 120 s, longer than its provider may; until then the client hears
// something every 15 s, and then the second target answers.
func TestSilenceBeforeTheFirstToken(t *testing.T) {
	t.Parallel()
	w := start(t, func(w *world) rig.Files {
		return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": rig.Provider("slow", "OpenAI", w.sim.URL+"/v1", "timeouts: {firstByte: 120s}") +
			rig.Provider("well", "Anthropic", w.sim.URL) + rig.Models(rig.Model("head", "slow/sim?head=10m", "well"), rig.Model("token", "slow/sim?first-token=10m", "well"))}
	})
	for _, d := range dialects {
		for _, model := range []string{"head", "token"} {
			t.Run(d.name+" "+model, func(t *testing.T) {
				t.Parallel()
				begun := time.Now()
				at := alive(t, w, ask{dialect: d, model: model, text: "Think", stream: true}, "Hello, this is sim")
				for len(at) > 7 && at[7] > 119*time.Second { // of the time of the fallback, and the second target's own
					at = at[:7]
				}
				if took := time.Since(begun); took < 120*time.Second || took > 123*time.Second || len(at) != 7 {
					t.Errorf("answered after %v, signs of life %v", took, at)
				}
				if len(at) > 0 && (at[0] < 14*time.Second || at[0] > 16*time.Second) {
					t.Errorf("the first sign of life after %v", at[0])
				}
				if e := w.Logged(`"requested_model":"`+model+`"`, `"path":"`+d.path+`"`); e.Attempts != 2 || e.Provider != "default/well" {
					t.Errorf("logged %+v", e)
				}
			})
		}
	}
}

// alive reads a stream and says when keep-alives came.
func alive(t *testing.T, w *world, a ask, says string) (at []time.Duration) {
	t.Helper()
	begun := time.Now()
	resp, err := w.open(t.Context(), a.path, a.body())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	content := false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		body.WriteString(line + "\n")
		content = content || strings.Contains(line, "text_delta") || strings.Contains(line, `"content":"`)
		if !content && strings.HasPrefix(line, strings.TrimSpace(a.alive)) {
			at = append(at, time.Since(begun))
		}
	}
	if r := (reply{status: resp.StatusCode, body: body.String()}); says == "" {
		r.want(t, 200, a.failed)
		r.lacks(t, a.end)
	} else {
		r.says(t, says)
		r.whole(t, a.dialect)
	}
	return at
}

// TestKeepAliveIsSettable, and once the client has heard something failures are events and no longer statuses.
func TestKeepAliveIsSettable(t *testing.T) {
	t.Parallel()
	var providers string
	w := start(t, func(w *world) rig.Files {
		for _, s := range rig.Schemas {
			providers += rig.Provider(s.Name, s.Schema, w.sim.URL+s.Path, "keepAlive: {after: 100ms}", "timeouts: {firstByte: 900ms}")
		}
		var ms []string
		for _, s := range rig.Schemas {
			ms = append(ms, rig.Model("slow "+s.Name, s.Name+"/sim?first-token=550ms"), rig.Model("late "+s.Name, s.Name+"/sim?head=10m"),
				rig.Model("error "+s.Name, s.Name+"/sim?head=550ms&status=429"))
		}
		return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": providers + rig.Models(ms...)}
	})
	for _, d := range dialects {
		for _, s := range rig.Schemas {
			for kind, says := range map[string]string{"slow ": "Hello, this is sim", "late ": "", "error ": ""} {
				t.Run(d.name+" "+kind+s.Name, func(t *testing.T) {
					t.Parallel()
					if at := alive(t, w, ask{dialect: d, model: kind + s.Name, text: "Hi", stream: true}, says); len(at) < 3 || len(at) > 9 {
						t.Errorf("signs of life at %v", at)
					}
				})
			}
		}
	}
}
