package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

const (
	mailAddress = "jane.doe@example.org"
	leakedKey   = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"

	maskMail    = "name: pii, builtin: [Email], action: Mask, restore: true"
	blockSecret = "name: secrets, builtin: [Secrets], action: Block"
)

// guarded is a world under a policy on its Gateway.
func guarded(policy string) files {
	return func(w *world) rig.Files {
		return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": w.providers() + rig.Models(own...), "guard.yaml": policy}
	}
}

// got says whether the provider was sent a text.
func (w *world) got(text string) bool {
	for _, r := range w.sim.Requests() {
		if bytes.Contains(r.Body, []byte(text)) {
			return true
		}
	}
	return false
}

// TestGuardIsLive: a policy that comes, changes its mode, breaks and goes, each within a second or so, in both dialects.
func TestGuardIsLive(t *testing.T) {
	t.Parallel()
	w := start(t, guarded(rig.Guard("p", "Gateway, name: ai", "Monitor", blockSecret, maskMail)))
	leak := ask{dialect: dialects[0], model: "sim-openai", text: "the key is " + leakedKey + " of " + mailAddress}
	w.chat(leak).want(t, 200, leakedKey)
	labels := []string{`policy="default/p"`, `rule="secrets"`, `action="Block"`, `mode="monitor"`, `side="request"`}
	w.Counted(1, "nantian_guard_findings_total", labels...)
	w.Logged(`"guard":[`, `{"policy":"default/p","rule":"secrets","action":"Block","side":"request","monitor":true,"count":1}`)

	w.Put("guard.yaml", rig.Guard("p", "Gateway, name: ai", "Enforce", blockSecret, maskMail))
	rig.Eventually(t, rig.Patience, "the policy is enforced", func() bool { return w.chat(leak).status == 400 })
	for _, d := range dialects {
		for _, stream := range []bool{false, true} {
			a := ask{dialect: d, model: "sim-" + d.name, stream: stream, text: "the second key is " + leakedKey}
			r := w.chat(a)
			r.want(t, 400, `rule \"secrets\"`, "prompt_guard_blocked")
			if strings.Contains(r.body, leakedKey) {
				t.Errorf("the answer has what was found: %s", r.body)
			}
			a.text = "the third, write to " + mailAddress
			w.chat(a).want(t, 200)
		}
	}
	if w.got("the second") || w.got("write to "+mailAddress) || !w.got("write to [EMAIL_1]") {
		t.Error("the provider got what it must not, or nothing at all")
	}
	w.Counted(5, "nantian_guard_refused_total", `reason="blocked"`, `side="request"`)

	// A policy that cannot be run leaves the one before in force.
	w.Put("guard.yaml", rig.Guard("p", "Gateway, name: ai", "Enforce", `name: secrets, patterns: ["(a"]`))
	rig.Eventually(t, rig.Patience, "the mistake is reported", func() bool { return strings.Contains(w.Messages.String(), "missing closing )") })
	w.chat(leak).want(t, 400)

	w.Put("guard.yaml", "")
	rig.Eventually(t, rig.Patience, "the policy is gone", func() bool { return w.chat(leak).status == 200 })
}

// TestGuardNeverValid: where a policy never could be run, its targets are closed.
func TestGuardNeverValid(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"Gateway, name: ai", "AIBackend, name: models", "AIProvider, name: openai"} {
		w := start(t, guarded(rig.Guard("p", target, "Enforce", `name: secrets, patterns: ["(a"]`)))
		w.chat(ask{dialect: dialects[0], model: "sim-openai", text: "Hi"}).want(t, 503)
		if w.got("Hi") {
			t.Errorf("%s: the provider was asked", target)
		}
	}
}

// TestGuardOfALongStream: 200,000 tokens under all detectors reach the client, and the gateway's memory stays what it was.
func TestGuardOfALongStream(t *testing.T) {
	t.Parallel()
	all := "name: all, builtin: [Email, PhoneNumber, CreditCard, IBAN, SSN, IPAddress, MACAddress, URLPassword, NationalID, CryptoWallet, Secrets, PromptInjection, Jailbreak], action: Mask"
	w := start(t, guarded(rig.Guard("p", "Gateway, name: ai", "Enforce", all)))
	w.chat(ask{dialect: dialects[0], model: "sim-openai", stream: true, text: "A short one [[simulate: tokens=20000]]"}).want(t, 200, "[DONE]")
	before := w.Metric("go_memstats_heap_inuse_bytes")
	r := w.chat(ask{dialect: dialects[0], model: "sim-openai", stream: true, text: "A long one [[simulate: tokens=200000]]"})
	r.want(t, 200, "[DONE]")
	if after := w.Metric("go_memstats_heap_inuse_bytes"); after > before+64<<20 {
		t.Errorf("the heap grew from %v to %v bytes", before, after)
	}
}
