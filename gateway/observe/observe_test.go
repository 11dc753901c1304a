package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func request(path, host, note string) *exchange.Exchange {
	x := exchange.Acquire(context.Background(), nil)
	x.Start, x.Proto, x.Minor = time.Now(), 1, 1
	x.Req.SetMethod("POST")
	x.Req.SetHost(host)
	x.Req.Set("Authorization", "Bearer sk-secret")
	x.Path, x.Query, x.HasQuery = append(x.Path, path...), []byte("key=sk-query"), true
	x.Note = note
	x.Resp.SetStatusCode(200)
	return x
}

// A line is valid JSON whatever bytes a client sends, and holds neither query nor credentials.
func FuzzAccessLogLine(f *testing.F) {
	f.Add("/a/b", "example.com", "no route")
	f.Add("/\x00\"\\\xff\u2028é", "h\nost", "\x7f")
	f.Add(strings.Repeat("é", 2*maxText), "", "")
	f.Fuzz(func(t *testing.T, path, host, note string) {
		x := request(path, host, note)
		defer exchange.Release(x)
		x.LLM, x.Model.Requested = &ai.Exchange{}, path
		line := appendLine(nil, x, 200, 5, time.Millisecond)
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil || bytes.Count(line, []byte{'\n'}) != 1 {
			t.Fatalf("%q: %v", line, err)
		}
		if !strings.Contains(path+host+note, "sk-") && bytes.Contains(line, []byte("sk-")) {
			t.Errorf("%s holds a credential", line)
		}
	})
}

func TestAccessLogLine(t *testing.T) {
	var b safeBuffer
	l := NewAccessLog(&b, func() { t.Error("dropped") })
	x := request("/v1/chat", "example.com", "")
	defer exchange.Release(x)
	x.Route = &exchange.RouteInfo{Gateway: "default/gw", Listener: "http", Route: "default/chat", Rule: "0", Memo: new(exchange.Memo)}
	x.Backend = "default/openai"
	x.LLM = &ai.Exchange{Usage: ai.Usage{Known: true, Input: 7, Output: 3}}
	l.record(x, 200, 42, 1500*time.Microsecond)
	l.Close()
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"method": "POST", "host": "example.com", "path": "/v1/chat", "protocol": "HTTP/1.1",
		"status": 200., "duration_ms": 1.5, "bytes_sent": 42., "gateway": "default/gw", "route": "default/chat",
		"backend": "default/openai", "input_tokens": 7., "output_tokens": 3.} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// Durations are milliseconds with as many decimals as they have, three at most.
func TestMillis(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", time.Microsecond: "0.001", 10 * time.Microsecond: "0.01", 1500 * time.Microsecond: "1.5", 2 * time.Second: "2000", 999: "0", -time.Second: "0",
	} {
		var l line
		if l.millis("x", d); string(l.b) != `,"x":`+want {
			t.Errorf("%s: %s, want %s", d, l.b, want)
		}
	}
}

// What is kept of a route is what would be found without, for each of its answers; a line of it does not allocate.
func TestRoutesAreRemembered(t *testing.T) {
	o := &Observer{Metrics: NewMetrics(), Log: slog.New(slog.DiscardHandler)}
	kept := &exchange.RouteInfo{Gateway: "default/gw", Listener: "http", Route: "default/kept", Rule: "0", Memo: new(exchange.Memo)}
	other := *kept
	other.Memo = nil
	x := request("/", "h", "")
	defer exchange.Release(x)
	var lines [2][]byte
	for i, r := range []*exchange.RouteInfo{kept, &other} {
		x.Route = r
		for n := range 3 * maxAnswers {
			x.Backend = fmt.Sprint("b", n/2)
			x.Resp.SetStatusCode(200 + n%2)
			o.Finished(x, 10)
		}
		lines[i] = appendLine(nil, x, 200, 5, time.Millisecond)
	}
	if !bytes.Equal(lines[0], lines[1]) || !bytes.Contains(lines[0], []byte(`"route":"default/kept","rule":"0"`)) {
		t.Errorf("%s\n%s", lines[0], lines[1])
	}
	families, err := o.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "nantian_requests_total" && m.GetCounter().GetValue() != 2 {
				t.Errorf("%v, want two of each", m)
			}
		}
	}
	x.Route, x.Backend = kept, "b0"
	x.Resp.SetStatusCode(200)
	if n := testing.AllocsPerRun(100, func() { o.Finished(x, 10) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// blocked takes nothing until it is released, and then fails.
type blocked chan struct{}

func (b blocked) Write([]byte) (int, error) {
	<-b
	return 0, errors.New("disk full")
}

// A writer that hangs holds nobody up; each line that is lost is counted.
func TestAccessLogDrops(t *testing.T) {
	w := make(blocked)
	dropped := 0
	var mu sync.Mutex
	l := NewAccessLog(w, func() { mu.Lock(); dropped++; mu.Unlock() })
	x := request("/"+strings.Repeat("a", maxText), "h", "")
	defer exchange.Release(x)
	const lines = 10000 // more than maxPending holds
	for range lines {
		l.record(x, 200, 0, 0)
	}
	mu.Lock()
	early := dropped
	mu.Unlock()
	close(w)
	l.Close()
	if early == 0 || dropped != lines {
		t.Errorf("%d lines dropped before the writer failed and %d in all, want some and %d", early, dropped, lines)
	}
	l.record(x, 200, 0, 0)
	if dropped != lines+1 {
		t.Error("a line after Close was not counted")
	}
}

func TestMetrics(t *testing.T) {
	o := &Observer{Metrics: NewMetrics(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	x := request("/", "h", "")
	defer exchange.Release(x)
	o.Finished(x, 100)
	x.Left = true
	x.Route = &exchange.RouteInfo{Gateway: "default/gw", Route: "default/r"}
	x.Backend = "default/b:80"
	o.Finished(x, 10)
	x.Left = false
	x.Resp.SetStatusCode(777)
	o.Finished(x, 0)
	o.Connections(2)
	o.AcceptWaited()
	o.Panicked(errors.New("x"), nil)
	o.LogDropped()
	o.Config(false)
	w := httptest.NewRecorder()
	o.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for _, want := range []string{
		`nantian_requests_total{backend="",code="200",gateway="",route=""} 1`,
		`nantian_requests_total{backend="default/b:80",code="499",gateway="default/gw",route="default/r"} 1`,
		`nantian_requests_total{backend="default/b:80",code="invalid",gateway="default/gw",route="default/r"} 1`,
		`nantian_response_bytes_total{gateway="",route=""} 100`,
		"nantian_connections 2", "nantian_accept_waits_total 1", "nantian_panics_total 1", "nantian_access_log_dropped_total 1",
		`nantian_config_updates_total{result="refused"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}
