// Package e2e tests what the gateway does for those who use it: each test runs the binary with a folder of YAML and
// speaks to it over sockets, with a simulated provider behind it. Nothing of the product but the simulator is imported.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/internal/simulator"
	"github.com/nantian-gw/nantian/test/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

// world is a gateway, its simulator and how to reach it.
type world struct {
	*rig.Gateway
	t    testing.TB
	sim  *rig.Simulator
	port int
	url  string
	http *http.Client
}

// clock is that of the simulators, so that equal requests get equal answers.
func clock() time.Time { return time.Unix(1_767_225_600, 0) }

// files writes the configuration of a world.
type files func(w *world) rig.Files

// start runs a gateway before a simulator.
func start(t testing.TB, f files, args ...string) *world {
	t.Helper()
	w := &world{t: t, sim: rig.Simulate(t, simulator.Options{Record: 4096, Now: clock}), port: rig.Port(t), http: client}
	w.url = fmt.Sprintf("http://127.0.0.1:%d", w.port)
	w.Gateway = rig.Start(t, f(w), args...)
	return w
}

// providers are one of each schema at the simulator; more are lines of their specs.
func (w *world) providers(more ...string) string {
	var b strings.Builder
	for _, s := range rig.Schemas {
		b.WriteString(rig.Provider(s.Name, s.Schema, w.sim.URL+s.Path, more...))
	}
	return b.String()
}

// hasty are providers as of providers, named openai-hasty and so on: those that a test lets run into a timeout, while the
// others have time.
func (w *world) hasty(timeouts string) string {
	var b strings.Builder
	for _, s := range rig.Schemas {
		b.WriteString(rig.Provider(s.Name+"-hasty", s.Schema, w.sim.URL+s.Path, timeouts))
	}
	return b.String()
}

// allSchemas is a world with the models sim-openai, sim-azure, sim-anthropic, sim-gemini and sim-ollama.
func allSchemas(w *world) rig.Files {
	var ms []string
	for _, s := range rig.Schemas {
		ms = append(ms, rig.Model("sim-"+s.Name, s.Name))
	}
	return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": w.providers() + rig.Models(ms...)}
}

// models is a world with providers of all schemas and the models given.
func models(models ...string) files {
	return func(w *world) rig.Files {
		return rig.Files{"gateway.yaml": rig.Entrance(w.port), "models.yaml": w.providers() + rig.Models(models...)}
	}
}

// dialects are how clients speak.
var dialects = []dialect{
	{"openai", "/v1/chat/completions", "[DONE]", "data: {\"error\":", ": "},
	{"anthropic", "/v1/messages", "message_stop", "event: error", "event: ping"},
}

type dialect struct {
	name, path string
	end        string // what is in a complete stream alone
	failed     string // what begins an error event
	alive      string // what begins a keep-alive
}

// ask is a chat request of a client.
type ask struct {
	dialect
	model, text string
	stream      bool
	more        map[string]any
}

func (a ask) body() []byte {
	m := map[string]any{"model": a.model, "messages": []any{map[string]any{"role": "user", "content": a.text}}}
	if a.name == "anthropic" {
		m["max_tokens"] = 100_000
	}
	if a.stream {
		m["stream"] = true
	}
	for k, v := range a.more {
		m[k] = v
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// reply is what a client got. err is why its body ended early.
type reply struct {
	status int
	head   http.Header
	body   string
	err    error
	took   time.Duration
}

// client is that of all requests.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}}

// open sends a request and leaves the body of the answer to the caller.
func (w *world) open(ctx context.Context, path string, body []byte, head ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, "POST", w.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Anthropic-Version", "2023-06-01")
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	return w.http.Do(r)
}

// post sends a request and reads the answer to its end.
func (w *world) post(path string, body []byte, head ...string) reply {
	begun := time.Now()
	resp, err := w.open(context.Background(), path, body, head...)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b), err, time.Since(begun)}
}

func (w *world) chat(a ask, head ...string) reply { return w.post(a.path, a.body(), head...) }

func (w *world) get(path string, head ...string) reply {
	r, err := http.NewRequest("GET", w.url+path, nil)
	if err != nil {
		return reply{err: err}
	}
	for i := 0; i+1 < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{status: resp.StatusCode, head: resp.Header, body: string(b), err: err}
}

// want checks the status, and that the body has the parts.
func (r reply) want(t testing.TB, status int, parts ...string) {
	t.Helper()
	if r.err != nil || r.status != status {
		t.Errorf("status %d, want %d: %v %s", r.status, status, r.err, cut(r.body))
	}
	for _, p := range parts {
		if !strings.Contains(r.body, p) {
			t.Errorf("the answer lacks %q:\n%s", p, cut(r.body))
		}
	}
}

// says checks the status, and that the text of the answer, whole or streamed, holds a part.
func (r reply) says(t testing.TB, part string) {
	t.Helper()
	r.want(t, 200)
	if text := r.text(); !strings.Contains(text, part) {
		t.Errorf("the answer says %q, which lacks %q:\n%s", text, part, cut(r.body))
	}
}

// text is what the model said, of both kinds of clients, whole or streamed.
func (r reply) text() string {
	type said struct{ Content, Text string }
	var b strings.Builder
	for line := range strings.Lines(r.body) {
		var m struct {
			Choices []struct{ Message, Delta said }
			Content []said
			Delta   said
		}
		data := []byte(strings.TrimPrefix(line, "data: "))
		if json.Unmarshal(data, &m) != nil {
			continue
		}
		for _, c := range m.Choices {
			b.WriteString(c.Message.Content + c.Delta.Content)
		}
		for _, c := range m.Content {
			b.WriteString(c.Text)
		}
		b.WriteString(m.Delta.Text)
	}
	return b.String()
}

// lacks checks that the body has none of the parts.
func (r reply) lacks(t testing.TB, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(r.body, p) {
			t.Errorf("the answer has %q:\n%s", p, cut(r.body))
		}
	}
}

func cut(s string) string {
	if len(s) > 1000 {
		return s[:500] + " ... " + s[len(s)-500:]
	}
	return s
}

// whole checks that a stream came to its proper end.
func (r reply) whole(t testing.TB, d dialect) {
	t.Helper()
	r.want(t, 200, d.end)
	r.lacks(t, d.failed)
}

// begin starts a stream and waits for its first content, so that it is known to be in flight.
func (w *world) begin(ctx context.Context, a ask) (*http.Response, *bufio.Reader) {
	w.t.Helper()
	a.stream = true
	resp, err := w.open(ctx, a.path, a.body())
	if err != nil {
		w.t.Fatalf("stream of %s: %v", a.model, err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("stream of %s: status %d: %s", a.model, resp.StatusCode, b)
	}
	r := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			w.t.Fatalf("the stream of %s ended before its content: %v", a.model, err)
		}
		if strings.Contains(line, "text_delta") || strings.Contains(line, `"content":"`) && !strings.Contains(line, `"content":""`) {
			return resp, r
		}
	}
}
