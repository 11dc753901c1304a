package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func report() *Report {
	list := []scenario{{Name: "chat/conns=1", Goal: 1.3}, {Name: "idle", GoalMemory: 24 << 10}}
	r := newReport([]string{direct, bare, gateway}, list)
	r.Machine.Commit = "c0ffee"
	for i, cpu := range []float64{10, 20, 40} {
		r.add(0, direct, Figures{Requests: 100, Rate: 50, P50: 5, P99: 9})
		r.add(0, bare, Figures{Requests: 100, Rate: 40, CPU: cpu, P50: 7, P99: 10})
		r.add(0, gateway, Figures{Requests: 100, Rate: 30, CPU: cpu * []float64{1.2, 1.1, 1.5}[i], P50: 8, P99: 12})
	}
	r.add(1, direct, Figures{})
	r.add(1, bare, Figures{Requests: 10, Memory: 32 << 10})
	r.add(1, gateway, Figures{Requests: 10, Memory: 16 << 10})
	return r
}

func TestTextComparesRoundByRound(t *testing.T) {
	var b bytes.Buffer
	if err := report().writeText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.20 (1.10 to 1.50)", "≤ 1.30", "+3", "0.50 (0.50 to 0.50)", "≤ 24 KiB", "c0ffee"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "NaN") {
		t.Errorf("NaN in\n%s", b.String())
	}
}

func TestResultsAreOneLineARound(t *testing.T) {
	var b bytes.Buffer
	if err := report().writeBench(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "BenchmarkGateway/"); n != 11 {
		t.Errorf("%d lines, want 11 (what was not measured has none)\n%s", n, b.String())
	}
	const want = "BenchmarkGateway/chat/conns=1/proxy=nantian 100 12 cpu-µs/req 30 req/s 8 p50-µs 12 p99-µs\n"
	if !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

func TestFailedRequestsFailTheRun(t *testing.T) {
	r := report()
	if err := r.failed(); err != nil {
		t.Errorf("without errors: %v", err)
	}
	r.Scenarios[0].Rounds[gateway][1].Errors = 3
	if err := r.failed(); err == nil || !strings.Contains(err.Error(), "nantian: 3") {
		t.Errorf("with errors: %v", err)
	}
}

func TestFlags(t *testing.T) {
	f := func(args, want string) {
		t.Helper()
		o, err := parse(strings.Fields(args))
		if err == nil {
			_, err = o.scenarios()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	f("-quick -only chat -o bench", "")
	f("-o xml", "want text, json or bench")
	f("-only nothing", "matches no scenario")
	f("-only (", "-only")
	f("now", "unexpected argument")
}

// The bare proxy and the machinery around it: what the gateway is compared with must work.
func TestMeasuresTheBareProxy(t *testing.T) {
	o, err := parse([]string{"-quick", "-duration", "50ms"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{o: o, self: os.Args[0], dir: t.TempDir(), running: map[string]*subject{}}
	defer b.close()
	if b.upstream, err = b.startUpstream(t.Context(), "upstream"); err != nil {
		t.Fatal(err)
	}
	if b.upstreamH2, err = b.startUpstream(t.Context(), "upstream-h2"); err != nil {
		t.Fatal(err)
	}
	streams := overH2("grpc.example", unary(16, 300, 0)) // on four connections
	streams.path, streams.events = "/bench.Echo/stream-3-1ms", 3
	for _, s := range append(scenarios(o)[:7], overH2("h2.example", plain(1<<10, 8, 0)), overH2("grpc.example", unary(40<<10, 8, 0)), streams) {
		f, err := b.one(t.Context(), &s, bare)
		if err != nil || f.Requests == 0 || f.Errors > 0 || f.CPU <= 0 || f.P50 <= 0 {
			t.Errorf("%s: %+v, %v", s.Name, f, err)
		}
	}
}

// TestMain lets the test binary play the other parts, as the program itself does.
func TestMain(m *testing.M) {
	if partOf(os.Args[1:]) != nil {
		if err := run(os.Args[1:]); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestPage(t *testing.T) {
	dir := t.TempDir()
	if err := report().writePage(dir, "make bench-page"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(dir + "/README.md")
	if err != nil || !strings.Contains(string(text), "1.20 (1.10 to 1.50)") || !strings.Contains(string(text), "make bench-page") {
		t.Errorf("%v\n%s", err, text)
	}
	if png, err := os.ReadFile(dir + "/cpu.png"); err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
		t.Error("no plot", err)
	}
}
