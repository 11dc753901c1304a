package e2e

import (
	"bufio"
	"slices"
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
				// Seven or eight, one less for a machine that stalls.
				if took := time.Since(begun); took < 120*time.Second || len(at) < 6 {
					t.Errorf("answered after %v, signs of life %v", took, at)
				}
				// From 120 s on come those of the second target's own.
				seldom(t, slices.DeleteFunc(at, func(d time.Duration) bool { return d > 119*time.Second }), 15*time.Second)
				if e := w.Logged(`"requested_model":"`+model+`"`, `"path":"`+d.path+`"`); e.Attempts != 2 || e.Provider != "default/well" {
					t.Errorf("logged %+v", e)
				}
			})
		}
	}
}

// seldom checks that signs of life did not come more often than they should. A slow machine only makes them later.
func seldom(t *testing.T, at []time.Duration, every time.Duration) {
	t.Helper()
	for i, d := range at {
		if d < time.Duration(i+1)*every*9/10 {
			t.Errorf("signs of life every %v expected, got %v", every, at)
			return
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
	w := start(t, func(w *world) rig.Files {
		var providers string
		var ms []string
		for _, s := range rig.Schemas {
			providers += rig.Provider(s.Name, s.Schema, w.sim.URL+s.Path, "keepAlive: {after: 100ms}") +
				rig.Provider(s.Name+"-bounded", s.Schema, w.sim.URL+s.Path, "keepAlive: {after: 100ms}", "timeouts: {firstByte: 3s}")
			ms = append(ms, rig.Model("slow "+s.Name, s.Name+"/sim?first-token=3s"), rig.Model("late "+s.Name, s.Name+"-bounded/sim?head=10m"),
				rig.Model("error "+s.Name, s.Name+"/sim?head=3s&status=429"))
		}
		return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": providers + rig.Models(ms...)}
	})
	for _, d := range dialects {
		for _, s := range rig.Schemas {
			for kind, says := range map[string]string{"slow ": "Hello, this is sim", "late ": "", "error ": ""} {
				t.Run(d.name+" "+kind+s.Name, func(t *testing.T) {
					t.Parallel()
					at := alive(t, w, ask{dialect: d, model: kind + s.Name, text: "Hi", stream: true}, says)
					if len(at) < 3 { // of 30, on a machine that does not stall
						t.Errorf("signs of life at %v", at)
					}
					seldom(t, at, 100*time.Millisecond)
				})
			}
		}
	}
}
