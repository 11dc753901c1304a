package main

import (
	"slices"
	"strings"
	"testing"
)

func TestAllAdaptersAreRead(t *testing.T) {
	all, err := readPeers()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all {
		if slices.Contains(names, p.Name) {
			t.Errorf("two adapters have the name %q", p.Name)
		}
		names = append(names, p.Name)
		if all := strings.Join(append(p.Args, p.Config), " "); !strings.Contains(all, "PORT") {
			t.Errorf("%s: nothing tells it the port to listen on", p.Name)
		}
	}
	for _, want := range []string{"nginx", "haproxy", "caddy", "traefik", "traefik-fast", "litellm", "portkey"} {
		if !slices.Contains(names, want) {
			t.Errorf("no adapter for %s in %q", want, names)
		}
	}
}

func TestAdaptersSayNothingUnknown(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := parsePeer([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	f("{name: a, program: b, ready: 20s, scenarios: [chat, idle], model: x/*}", "")
	f("{name: a, program: b, arg: [c]}", "arg")
	f("{name: a}", "want both")
	f("{name: a, program: b, scenarios: [chats]}", `scenario "chats": want one of plain`)
	f("{name: a, program: b, model: gpt-4o}", "want one *")
	f("{name: a, program: b, ready: soon}", "soon")
}

func TestPeersAreAskedInTheirOwnWay(t *testing.T) {
	s := chat("chat", "vendor/", 1<<10, 1, 0)
	p := &peer{Headers: map[string]string{"X-B": "2", "X-A": "1"}, Path: "/own", Model: "bench/*"}
	path, fields, body := p.ask(&s)
	if path != "/own" || !slices.Equal(fields, []string{"X-A: 1", "X-B: 2"}) {
		t.Errorf("path %q, fields %q", path, fields)
	}
	if want := strings.Replace(string(s.body), "vendor/gpt-4o", "bench/vendor/gpt-4o", 1); string(body) != want {
		t.Errorf("body %.80s, want %.80s", body, want)
	}
	s = plain(1<<10, 1, 0)
	if path, _, body := p.ask(&s); path != s.path || string(body) != string(s.body) {
		t.Errorf("what is no chat was changed: %q, %.80s", path, body)
	}
	if path, fields, _ := (*peer)(nil).ask(&s); path != s.path || len(fields) > 0 {
		t.Errorf("our own gateway is asked at %q with %q", path, fields)
	}
}

// A program that does not serve must not cost what was measured of the others.
func TestPeersThatFailAreLeftOut(t *testing.T) {
	o, err := parse([]string{"-quick"})
	if err != nil {
		t.Fatal(err)
	}
	broken := &peer{Name: "broken", Program: "false"}
	b := &bench{o: o, dir: t.TempDir(), running: map[string]*subject{}, subjects: []string{direct, bare, gateway, "broken"}, peers: map[string]*peer{"broken": broken}}
	s := chat("chat", "", 1<<10, 1, 0)
	r := newReport(b.subjects, []scenario{s})
	if err := b.round(t.Context(), r, &s, 0, "broken"); err != nil {
		t.Fatal(err)
	}
	if got := b.of(&s); slices.Contains(got, "broken") {
		t.Errorf("measured again: %q", got)
	}
	var out strings.Builder
	if err := r.writeText(&out); err != nil || !strings.Contains(out.String(), "Left out from there on: "+s.Name+", broken: ") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPeersDoOnlyWhatTheySay(t *testing.T) {
	b := &bench{subjects: []string{direct, bare, gateway, "all", "chats"}, peers: map[string]*peer{
		"all": {}, "chats": {Scenarios: []string{"chat", "stream"}},
	}}
	f := func(s scenario, want ...string) {
		t.Helper()
		if got := b.of(&s); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", s.Name, got, want)
		}
	}
	f(plain(1<<10, 1, 0), direct, bare, gateway, "all")
	f(chat("chat", "", 1<<10, 1, 0), direct, bare, gateway, "all", "chats")
	f(stream("stream/burst", "", 50, 0, 50, 0), direct, bare, gateway, "all", "chats")
	f(idle(stream("idle", "", 5, 0, 50, 0)), direct, bare, gateway, "all")
	f(stage("limits", chat("chat", "", 1<<10, 1, 0)), direct, bare, gateway)
}
