package simulator

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

const chatPath = "/v1/chat/completions"

var streamed = strings.Replace(hello, "{", `{"stream":true,`, 1)

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func TestDirectivesFromEverySource(t *testing.T) {
	defaults, err := ParseDirectives("status=500")
	if err != nil {
		t.Fatal(err)
	}
	_, url := start(t, Options{Directives: defaults})
	f := func(model, text, header string, want int) {
		t.Helper()
		body := `{"model":"` + model + `","messages":[{"role":"user","content":"` + text + `"}]}`
		var headers []string
		if header != "" {
			headers = append(headers, "x-simulate-status: "+header)
		}
		if r := do(t, "POST", url+chatPath, body, headers...); r.status != want {
			t.Errorf("model %q, text %q, header %q: status %d, want %d", model, text, header, r.status, want)
		}
	}
	f("sim", "Hi", "", 500)
	f("sim?status=501", "Hi", "", 501)
	f("sim?status=501", "Hi [[simulate: status=502]]", "", 502)
	f("sim?status=501", "Hi [[simulate: status=502]]", "503", 503)
	f("sim?nonsense=1", "Hi", "", 400)
	f("sim", "Hi [[simulate: status=200]]", "", 400)
	f("sim", "Hi", "many", 400)
}

func TestRetryHeaders(t *testing.T) {
	_, url := start(t, Options{})
	r := do(t, "POST", url+chatPath, hello, "x-simulate-status: 429", "x-simulate-retry-after: 3",
		"x-simulate-retry-after-ms: 2500", "x-simulate-echo: Authorization", "Authorization: Bearer k", "x-simulate-header: X-Extra:yes")
	f := func(name, want string) {
		t.Helper()
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	f("Retry-After", "3")
	f("Retry-After-Ms", "2500")
	f("X-Echo-Authorization", "Bearer k")
	f("X-Extra", "yes")
}

func TestKeyIsRequiredAsTheVendorDoes(t *testing.T) {
	_, url := start(t, Options{APIKey: "k"})
	f := func(path, header string, want int) {
		t.Helper()
		r := do(t, "POST", url+path, strings.Replace(hello, "{", `{"max_tokens":9,"contents":[{"parts":[{"text":"x"}]}],`, 1), version, header)
		if r.status != want {
			t.Errorf("%s with %q: status %d, want %d: %s", path, header, r.status, want, r.body)
		}
	}
	f(chatPath, "X-None: k", 401)
	f(chatPath, "Authorization: Bearer wrong", 401)
	f(chatPath, "x-api-key: k", 401)
	f(chatPath, "Authorization: Bearer k", 200)
	f("/openai/deployments/d/chat/completions?api-version=1", "api-key: k", 200)
	f("/v1/messages", "api-key: k", 401)
	f("/v1/messages", "x-api-key: k", 200)
	f("/v1beta/models/sim:generateContent", "x-goog-api-key: k", 200)
	f("/v1beta/models/sim:generateContent?key=k", "X-None: k", 200)
	f("/v1beta/models/sim:generateContent?key=no", "X-None: k", 401)
}

func TestResetAndCut(t *testing.T) {
	_, url := start(t, Options{})
	if r := do(t, "POST", url+chatPath, hello, "x-simulate-reset: 1"); !errors.Is(r.err, syscall.ECONNRESET) {
		t.Errorf("reset: %v", r.err)
	}
	r := do(t, "POST", url+chatPath, hello, "x-simulate-cut-after: 0")
	if !errors.Is(r.err, io.ErrUnexpectedEOF) || len(r.body) == 0 {
		t.Errorf("cut: %v after %q", r.err, r.body)
	}
}

func TestDelays(t *testing.T) {
	_, url := start(t, Options{})
	f := func(body string, least time.Duration) {
		t.Helper()
		began := time.Now()
		do(t, "POST", url+chatPath, body, "x-simulate-head: 10ms", "x-simulate-first-token: 30ms", "x-simulate-delay: 5ms", "x-simulate-tokens: 5")
		if took := time.Since(began); took < least {
			t.Errorf("took %v, want %v", took, least)
		}
	}
	f(hello, 60*time.Millisecond)
	f(streamed, 60*time.Millisecond)
}

func TestLengths(t *testing.T) {
	s, url := start(t, Options{Record: 1})
	if r := do(t, "POST", url+chatPath, hello, "x-simulate-bytes: 300000"); len(r.body) < 300000 || len(r.body) > 301000 {
		t.Errorf("%d bytes", len(r.body))
	}
	r := do(t, "POST", url+chatPath, strings.Replace(streamed, "{", `{"stream_options":{"include_usage":true},"max_tokens":40,`, 1), "x-simulate-tokens: 500")
	if n := strings.Count(r.body, `"delta":{"content":`); n != 40 {
		t.Errorf("%d events with content, want 40", n)
	}
	if !strings.Contains(r.body, `"completion_tokens":40,`) || !strings.Contains(r.body, `"finish_reason":"length"`) {
		t.Errorf("no usage of 40 or no finish reason in %s", r.body)
	}
	if got := s.Requests(); len(got) != 1 || got[0].Method != "POST" || got[0].Path != chatPath ||
		got[0].Header.Get("X-Simulate-Tokens") != "500" || !strings.Contains(string(got[0].Body), "max_tokens") {
		t.Errorf("recorded %+v", got)
	}
}

func TestCustomCountLimits(t *testing.T) {
	_, url := start(t, Options{Count: func(b []byte) int { return len(b) }})
	r := do(t, "POST", url+chatPath, strings.Replace(hello, "{", `{"max_tokens":11,`, 1))
	if !strings.Contains(r.body, `"content":"Hello, this"`) || !strings.Contains(r.body, `"completion_tokens":11,`) {
		t.Errorf("not cut at 11 bytes: %s", r.body)
	}
}

// TestClientLeaves holds an answer silent or slow, leaves, and wants it noticed while nothing is written.
func TestClientLeaves(t *testing.T) {
	f := func(body, directive string) {
		t.Helper()
		s, url := start(t, Options{})
		ctx, cancel := context.WithCancel(context.Background())
		req, _ := http.NewRequestWithContext(ctx, "POST", url+chatPath, strings.NewReader(body))
		name, val, _ := strings.Cut(directive, "=")
		req.Header.Set("x-simulate-"+name, val)
		left := make(chan struct{})
		go func() {
			defer close(left)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}()
		eventually(t, "request", func() bool { return s.Stats().Requests == 1 })
		time.Sleep(20 * time.Millisecond)
		if got := s.Stats().Cancelled; got != 0 {
			t.Errorf("%s: cancelled %d before leaving", directive, got)
		}
		cancel()
		<-left
		eventually(t, directive+" noticed", func() bool { return s.Stats().Cancelled == 1 && s.Stats().OpenStreams == 0 })
	}
	f(hello, "hang=1")
	f(hello, "head=1h")
	f(hello, "first-token=1h")
	f(hello, "hang-after=0")
	f(streamed, "hang=1")
	f(streamed, "first-token=1h")
	f(streamed, "delay=1h")
	f(streamed, "hang-after=0")
	f(streamed, "hang-after=4")
}

// TestConnectionIsReusedAfterWaits: watching a connection leaves it as it was.
func TestConnectionIsReusedAfterWaits(t *testing.T) {
	s, url := start(t, Options{})
	for range 5 {
		r := do(t, "POST", url+chatPath, streamed, "x-simulate-first-token: 2ms", "x-simulate-delay: 1ms")
		if r.err != nil || !strings.HasSuffix(r.body, "[DONE]\n\n") {
			t.Fatalf("%v: %s", r.err, r.body)
		}
	}
	if n := s.http.GetOpenConnectionsCount(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestShutdownEndsSilence(t *testing.T) {
	s, url := start(t, Options{})
	req, _ := http.NewRequest("POST", url+chatPath, strings.NewReader(streamed))
	req.Header.Set("x-simulate-hang-after", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownCutsWhatIsLate(t *testing.T) {
	s, url := start(t, Options{})
	req, _ := http.NewRequest("POST", url+chatPath, strings.NewReader(streamed))
	req.Header.Set("x-simulate-first-token", "1h")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	eventually(t, "stream", func() bool { return s.Stats().OpenStreams == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if got := s.Stats().OpenStreams; got != 0 {
		t.Errorf("%d streams open after Shutdown", got)
	}
}
