package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// mine is what a client sends and nobody else may see.
const mine = "sk-of-the-client-9876543210"

// said is a prompt that no log may hold.
const said = "quince marmalade and other secrets"

// carriers are the fields in which clients send credentials.
var carriers = []string{"Authorization", "Bearer " + mine, "X-Api-Key", mine, "Api-Key", mine, "X-Goog-Api-Key", mine, "Cookie", "session=" + mine}

// TestCredentials: the client's never reach a provider, which gets the gateway's own; neither is in logs, metrics or the
// configuration's dump, nor is a prompt.
func TestCredentials(t *testing.T) {
	t.Parallel()
	w := start(t, allSchemas, "--verbose")
	for _, d := range dialects {
		for _, s := range rig.Schemas {
			for _, text := range []string{said, said + " [[simulate: status=401]]", said + " [[simulate: status=500]]"} {
				for _, stream := range []bool{false, true} {
					a := ask{dialect: d, model: "sim-" + s.Name, text: text, stream: stream}
					r := w.post(a.path+"?key="+mine, a.body(), carriers...)
					r.lacks(t, mine, rig.Key)
				}
			}
		}
	}
	for _, r := range w.sim.Requests() {
		all := fmt.Sprint(r.Path, r.Header)
		if strings.Contains(all, mine) || !strings.Contains(all, rig.Key) && !strings.HasPrefix(r.Path, "/api/") {
			t.Errorf("the provider got %s", all)
		}
	}
	w.Lines(60)
	for name, text := range map[string]string{
		"the access log": w.Access.String(), "a message": w.Messages.String(),
		"/config_dump": w.Page("/config_dump"), "/metrics": w.Page("/metrics"),
	} {
		for _, secret := range []string{mine, rig.Key, said} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q", name, secret)
			}
		}
	}
	if !strings.Contains(w.Page("/config_dump"), `"hash":`) {
		t.Error("/config_dump does not show a hash of the Secret")
	}
}

// TestPassthrough: with passthrough the client's own credentials reach the provider, and nobody else's.
func TestPassthrough(t *testing.T) {
	t.Parallel()
	w := start(t, func(w *world) rig.Files {
		p := strings.Replace(rig.Provider("openai", "OpenAI", w.sim.URL+"/v1"), "{apiKey: {secretRef: {name: key, key: token}}}", "{passthrough: {}}", 1)
		return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": p + rig.Models(rig.Model("sim", "openai"))}
	})
	w.chat(ask{dialect: dialects[0], model: "sim", text: "Hi"}, "Authorization", "Bearer "+mine, "X-Other", "other").want(t, 200)
	seen := w.sim.Requests()
	if h := seen[0].Header; h.Get("Authorization") != "Bearer "+mine || h.Get("X-Other") != "" {
		t.Errorf("the provider got %v", h)
	}
	w.Lines(1)
	if strings.Contains(w.Access.String()+w.Page("/metrics"), mine) {
		t.Error("the client's key is in a log")
	}
}
