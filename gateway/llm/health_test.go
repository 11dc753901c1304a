package llm

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestHealth plays testdata/health.txt: a story of one target. Each line is a moment, what happens, and what admit says.
func TestHealth(t *testing.T) {
	f, err := os.Open("testdata/health.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	start := time.Unix(1e9, 0)
	h := new(health)
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		line, _, _ := strings.Cut(s.Text(), "#")
		w := strings.Fields(line)
		if len(w) == 0 {
			if strings.HasPrefix(s.Text(), "# Story") {
				h = new(health)
			}
			continue
		}
		at, err := time.ParseDuration(w[0])
		if err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if got := play(h, start.Add(at), start, w[1:]); got != "" {
			t.Errorf("line %d: %s: got %s", n, strings.TrimSpace(line), got)
		}
	}
}

// play does one step and gives what differs from what was expected.
func play(h *health, now, start time.Time, w []string) string {
	switch w[0] {
	case "fail":
		h.fail(now, 0)
	case "succeed":
		h.succeed(now)
	case "release":
		h.release(now)
	case "cool":
		d, err := time.ParseDuration(w[1])
		if err != nil {
			return err.Error()
		}
		h.coolDown(now, d)
	case "admit":
		if got := fmt.Sprint(h.admit(now)); got != w[1] {
			return got
		}
	case "recovers":
		if got := h.recovers().Sub(start).String(); got != w[1] {
			return got
		}
	}
	return ""
}

func TestCoolDown(t *testing.T) {
	now := time.Unix(1e9, 0)
	o := Options{Now: func() time.Time { return now }}
	a, b := newVendor(t, status(429, "Retry-After", "60")), newVendor(t, jsonBody(completed))
	g := newGateway(t, o)
	g.serve(inOrder(g.openAI("a", a), g.openAI("b", b)))
	f := func(asked int, provider string) {
		t.Helper()
		r := g.chat(hello)
		if a.asked() != asked || r.x.Model.Provider != provider {
			t.Errorf("asked %d times, answered by %s; want %d, %s", a.asked(), r.x.Model.Provider, asked, provider)
		}
	}
	f(1, "ai/b")
	f(1, "ai/b") // cools down
	g.serve(inOrder(g.openAI("a", a), g.openAI("b", b)))
	f(1, "ai/b") // and a new table changes nothing about it
	now = now.Add(61 * time.Second)
	a.play(jsonBody(completed))
	f(2, "ai/a")
}

func TestCircuit(t *testing.T) {
	now := time.Unix(1e9, 0)
	a, b := newVendor(t, status(500)), newVendor(t, jsonBody(completed))
	g := newGateway(t, Options{Now: func() time.Time { return now }, Rand: func() float64 { return 0 }})
	g.serve(inOrder(g.openAI("a", a), g.openAI("b", b)))
	for range 2 * tripAfter {
		g.chat(hello).want(t, 200)
	}
	if a.asked() != tripAfter {
		t.Errorf("asked %d times, want %d", a.asked(), tripAfter)
	}
	now = now.Add(openFor + time.Second)
	a.play(jsonBody(completed))
	if r := g.chat(hello); r.x.Model.Provider != "ai/a" {
		t.Errorf("no probe: %+v", r.x.Model)
	}
}

// TestNobodyFit: a provider that is alone is asked though it cools down, so that its own answer reaches the client.
func TestNobodyFit(t *testing.T) {
	v := newVendor(t, status(429, "Retry-After", "60"))
	g := newGateway(t, Options{})
	g.serve(inOrder(g.openAI("a", v)))
	g.chat(hello).want(t, 429)
	v.play(jsonBody(completed))
	g.chat(hello).want(t, 200)

	v.play(status(503))
	g.serve(inOrder(g.openAI("b", v), g.openAI("c", v)))
	for range 3 * tripAfter {
		g.chat(hello).want(t, 503)
	}
	n := v.asked()
	if g.chat(hello).want(t, 503); v.asked() != n+1 {
		t.Errorf("%d attempts while all circuits are open, want 1", v.asked()-n)
	}
}

func TestRegisterIsBounded(t *testing.T) {
	var r register
	first := r.get("p", "m")
	first.coolDown(time.Now(), time.Hour)
	for i := range 3 * maxHealth {
		r.get("p", fmt.Sprint(i))
	}
	if len(r.m) > maxHealth {
		t.Errorf("%d targets remembered", len(r.m))
	}
	if r.get("p", "m") != first {
		t.Error("a target in trouble was forgotten")
	}
}
