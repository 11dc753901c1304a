package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a job against a handler.
func serve(t *testing.T, h http.HandlerFunc, edit func(*Job)) *Report {
	t.Helper()
	s := httptest.NewServer(h)
	defer s.Close()
	j := Job{URL: s.URL, Model: "m", Prompts: []string{"one", "two"}, Stream: true, Concurrency: 4, Requests: 20, Timeout: time.Minute}
	if edit != nil {
		edit(&j)
	}
	r, err := New(j)
	if err != nil {
		t.Fatal(err)
	}
	return r.Run(context.Background())
}

func stream(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for _, e := range events {
		fmt.Fprintf(w, "data: %s\n\n", e)
		w.(http.Flusher).Flush()
	}
}

const (
	word  = `{"choices":[{"index":0,"delta":{"content":"word "}}]}`
	usage = `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}`
)

func TestStreams(t *testing.T) {
	var bodies sync.Map
	r := serve(t, func(w http.ResponseWriter, req *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil || body["stream"] != true || body["max_tokens"] != 9.0 {
			t.Errorf("body %v, %v", body, err)
		}
		bodies.Store(body["messages"].([]any)[0].(map[string]any)["content"], true)
		if req.Header.Get("Authorization") != "Bearer k" {
			t.Error("no key")
		}
		stream(w, `{"choices":[{"delta":{"role":"assistant"}}]}`, word, word, word, usage, "[DONE]")
	}, func(j *Job) { j.MaxTokens, j.Header, j.Warm = 9, http.Header{"Authorization": {"Bearer k"}}, 2 })
	if r.Requests != 20 || r.Failed != 0 || r.OutputTokens != 60 || r.InputTokens != 140 || r.OutputCounted {
		t.Errorf("%+v", r)
	}
	if r.FirstToken.P50 <= 0 || r.Latency.P50 < r.FirstToken.P50/2 || r.Latency.Max < r.Latency.P50 || r.BetweenTokens.Max <= 0 {
		t.Errorf("times: first %+v, whole %+v, between %+v", r.FirstToken, r.Latency, r.BetweenTokens)
	}
	for _, p := range []string{"one", "two"} {
		if _, ok := bodies.Load(p); !ok {
			t.Errorf("the prompt %q was not sent", p)
		}
	}
}

// TestCounted counts what an endpoint does not tell.
func TestCounted(t *testing.T) {
	count := func(text []byte) int { return len(strings.Fields(string(text))) }
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, word, word, "[DONE]") }, func(j *Job) { j.Count = count })
	if r.OutputTokens != 40 || !r.OutputCounted {
		t.Errorf("%+v", r)
	}
	r = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"choices":[{"message":{"content":"a b c"}}],"usage":null}`)
	}, func(j *Job) { j.Count, j.Stream = count, false })
	if r.OutputTokens != 60 || r.FirstToken != nil {
		t.Errorf("%+v", r)
	}
}

func TestFailures(t *testing.T) {
	f := func(kind, example string, h http.HandlerFunc) {
		t.Helper()
		r := serve(t, h, func(j *Job) { j.Timeout = 5 * time.Second })
		if r.Requests != 0 || len(r.Failures) != 1 || r.Failures[0].Kind != kind || r.Failures[0].Count != 20 || !strings.Contains(r.Failures[0].Example, example) {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	f("status 429", "slow down", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(429)
		fmt.Fprint(w, `{"error":{"message":"slow down"}}`)
	})
	f("cut", "[DONE]", func(w http.ResponseWriter, _ *http.Request) { stream(w, word) })
	f("error event", "gone", func(w http.ResponseWriter, _ *http.Request) { stream(w, word, `{"error":{"message":"gone"}}`) })
	f("empty", "no content", func(w http.ResponseWriter, _ *http.Request) { stream(w, usage, "[DONE]") })
	f("not JSON", "event", func(w http.ResponseWriter, _ *http.Request) { stream(w, `{"choices`) })
	f("connection", "", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
}

// TestConcurrency never has more under way than it may, and as many as it may.
func TestConcurrency(t *testing.T) {
	var now, most atomic.Int64
	all := make(chan struct{})
	serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if n == 4 {
			select {
			case <-all:
			default:
				close(all)
			}
		}
		<-all
		stream(w, word, "[DONE]")
	}, nil)
	if most.Load() != 4 {
		t.Errorf("%d at once", most.Load())
	}
}

// TestRate counts the wait for a free place as part of an answer: an endpoint that is slower than the rate looks slow.
func TestRate(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(20 * time.Millisecond)
		stream(w, word, "[DONE]")
	}, func(j *Job) { j.Concurrency, j.Rate = 1, 1000 })
	if r.Latency.Max < 300 {
		t.Errorf("20 requests of 20 ms at 1000 a second on one connection: the last took %g ms", r.Latency.Max)
	}
}

// TestEnds ends by time, and waits for what is under way.
func TestEnds(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, word, "[DONE]") },
		func(j *Job) { j.Requests, j.Duration = 0, 50*time.Millisecond })
	if r.Requests == 0 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRefusedJobs(t *testing.T) {
	f := func(want string, edit func(*Job)) {
		t.Helper()
		j := Job{URL: "http://x", Prompts: []string{"p"}, Concurrency: 1, Requests: 1}
		edit(&j)
		if _, err := New(j); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	f("prompts", func(j *Job) { j.Prompts = nil })
	f("concurrency", func(j *Job) { j.Concurrency = 0 })
	f("rate", func(j *Job) { j.Rate = -1 })
	f("requests", func(j *Job) { j.Requests = 0 })
	f("url", func(j *Job) { j.URL = "http://%" })
}

func TestReadPrompts(t *testing.T) {
	got, err := ReadPrompts(strings.NewReader("plain text\n\n{\"prompt\": \"a\\nb\"}\n\"quoted\"\n\"Quoted,\" she said.\n"))
	if want := []string{"plain text", "a\nb", "quoted", "\"Quoted,\" she said."}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	for text, want := range map[string]string{"a\n{\"x\": 1}": "line 2", "{": "line 1", "\n\n": "no prompt"} {
		if _, err := ReadPrompts(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadPrompts(f *testing.F) {
	f.Add("a\n{\"prompt\":\"b\"}")
	f.Fuzz(func(t *testing.T, text string) {
		if list, err := ReadPrompts(strings.NewReader(text)); err == nil && len(list) == 0 {
			t.Error("no prompt and no error")
		}
	})
}

func TestSynthetic(t *testing.T) {
	list := Synthetic(100, 50)
	seen := map[string]bool{}
	for _, p := range list {
		if n := len(strings.Fields(p)); n != 50 {
			t.Errorf("%d words", n)
		}
		seen[p[:3]] = true
	}
	if len(seen) < 90 {
		t.Errorf("only %d beginnings", len(seen))
	}
}

func TestWriteText(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, _ *http.Request) { stream(w, word, word, usage, "[DONE]") }, nil)
	var b strings.Builder
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"20 answered, 0 failed", "first token", "between tokens", "whole answer", "p99"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q lacks %q", b.String(), want)
		}
	}
}
