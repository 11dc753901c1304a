package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails when a goroutine outlives its server. Two of fasthttp's may: the clock of the Date header, which runs for
// good, and the cleaner of its worker pool, which sleeps for up to ten seconds before it looks whether to end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// start serves o on a socket until the test ends.
func start(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(o)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, "http://" + l.Addr().String()
}

// reply is a response read to its end.
type reply struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// do sends a request; headers are "Name: value".
func do(t testing.TB, method, url, body string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, val, _ := strings.Cut(h, ": ")
		req.Header.Set(name, val)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b), err}
}

const hello = `{"model":"sim","messages":[{"role":"user","content":"Hi there"}]}`

func TestChatQuotesTheUser(t *testing.T) {
	_, url := start(t, Options{})
	r := do(t, "POST", url+"/v1/chat/completions", hello)
	var answer struct {
		Choices []struct {
			Message struct{ Content string }
		}
		Usage map[string]any
	}
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.status != 200 {
		t.Fatalf("status %d, %v in %s", r.status, err, r.body)
	}
	const want = `Hello, this is sim, a simulated model. You said: "Hi there".`
	if got := answer.Choices[0].Message.Content; got != want {
		t.Errorf("content %q, want %q", got, want)
	}
	if again := do(t, "POST", url+"/v1/chat/completions", hello); again.header.Get("X-Request-Id") != r.header.Get("X-Request-Id") {
		t.Error("equal requests got different ids")
	}
}

func TestChatStreamHasTheSameText(t *testing.T) {
	_, url := start(t, Options{})
	r := do(t, "POST", url+"/v1/chat/completions", strings.Replace(hello, "{", `{"stream":true,"stream_options":{"include_usage":true},`, 1))
	text := ""
	for _, event := range strings.Split(strings.TrimSpace(r.body), "\n\n") {
		data := strings.TrimPrefix(event, "data: ")
		if data == "[DONE]" {
			break
		}
		var chunk struct {
			Choices []struct {
				Delta struct{ Content string }
			}
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		for _, ch := range chunk.Choices {
			text += ch.Delta.Content
		}
	}
	if want := `Hello, this is sim, a simulated model. You said: "Hi there".`; text != want {
		t.Errorf("text %q, want %q", text, want)
	}
	if !strings.HasSuffix(r.body, "data: [DONE]\n\n") {
		t.Errorf("no [DONE] at the end of %s", r.body)
	}
}

func TestCutStreamHasNoEnd(t *testing.T) {
	s, url := start(t, Options{})
	r := do(t, "POST", url+"/v1/chat/completions", strings.Replace(hello, "{", `{"stream":true,`, 1), "x-simulate-cut-after: 3")
	if !errors.Is(r.err, io.ErrUnexpectedEOF) || strings.Count(r.body, "data: ") != 3 {
		t.Errorf("error %v after %q", r.err, r.body)
	}
	if got := s.Stats(); got.OpenStreams != 0 || got.Cancelled != 0 || got.Streams != 1 {
		t.Errorf("%+v", got)
	}
}
