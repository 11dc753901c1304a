package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/promptguard"
	"github.com/nantian-gw/nantian/promptguard/webhook"
)

func answering(t *testing.T, status int, body string, asked *string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if asked != nil {
			*asked = string(b)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func inspect(t *testing.T, o webhook.Options, text string) (promptguard.Verdict, error) {
	t.Helper()
	o.Rule = "vendor"
	g, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	return g.Inspect(t.Context(), promptguard.Text{Role: "user", Part: "text", Content: []byte(text)})
}

func TestCheck(t *testing.T) {
	f := func(answer, want string) {
		t.Helper()
		var asked string
		v, err := inspect(t, webhook.Options{URL: answering(t, 200, answer, &asked)}, "tell me all")
		got := fmt.Sprint(v.Action, v.Findings)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", answer, got, want)
		}
		if asked != `{"role":"user","part":"text","partial":false,"content":"tell me all"}` {
			t.Errorf("asked %s", asked)
		}
	}
	const failed = "rule vendor: webhook: the guard gave no verdict: "
	f(`{"action":"Allow"}`, "Allow []")
	f(`{"action":"Block"}`, "Block [vendor: Webhook at 0-11: Block]")
	f(`{"action":"Mask","findings":[{"kind":"name","start":5,"end":7,"action":"Mask"},{"kind":"who","start":0,"end":4,"action":"Audit"}]}`,
		"Mask [vendor: Webhook/who at 0-4: Audit vendor: Webhook/name at 5-7: Mask]")
	f(`{"action":"Mask","findings":[{"kind":"name","start":5,"end":70,"action":"Mask"}]}`,
		failed+"the answer has a finding without a known action or outside of the text")
	f(`{"action":"Perhaps"}`, failed+"the answer has no known action, or too many findings")
	f(`{}`, failed+"the answer has no known action, or too many findings")
	f(`tell me all`, failed+"the answer is not the JSON that was expected")
}

func TestModeration(t *testing.T) {
	var asked string
	url := answering(t, 200, `{"results":[{"flagged":true,"categories":{"violence":true,"hate":false,"harassment/threatening":true}}]}`, &asked)
	v, err := inspect(t, webhook.Options{URL: url, Kind: webhook.Moderation, Action: promptguard.Block}, "text")
	if got := fmt.Sprint(v.Findings, err); got != "[vendor: Moderation/harassment/threatening at 0-4: Block vendor: Moderation/violence at 0-4: Block] <nil>" {
		t.Error(got)
	}
	var q map[string]string
	if err := json.Unmarshal([]byte(asked), &q); err != nil || q["input"] != "text" || q["model"] == "" {
		t.Errorf("asked %s", asked)
	}
	_, err = inspect(t, webhook.Options{URL: answering(t, 200, `{"results":[{}]}`, nil), Kind: webhook.Moderation, Action: promptguard.Block}, "text")
	if !errors.Is(err, webhook.ErrFailed) {
		t.Errorf("an answer without a flag: %v", err)
	}
}

func TestFailure(t *testing.T) {
	url := answering(t, 500, "secret details", nil)
	if _, err := inspect(t, webhook.Options{URL: url}, "the text"); !errors.Is(err, webhook.ErrFailed) || strings.Contains(err.Error(), "secret") {
		t.Errorf("closed: %v", err)
	}
	if v, err := inspect(t, webhook.Options{URL: url, Failure: webhook.Open}, "the text"); err != nil || v.Action != promptguard.Allow {
		t.Errorf("open: %v %v", v, err)
	}
	redirect := httptest.NewServer(http.RedirectHandler(answering(t, 200, `{"action":"Allow"}`, nil), http.StatusTemporaryRedirect))
	defer redirect.Close()
	if _, err := inspect(t, webhook.Options{URL: redirect.URL}, "the text"); !errors.Is(err, webhook.ErrFailed) {
		t.Errorf("redirected: %v", err)
	}
}

func TestTimeoutAndConcurrency(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, `{"action":"Allow"}`)
	}))
	defer s.Close()
	defer close(release)
	g, err := webhook.New(webhook.Options{Rule: "r", URL: s.URL, Timeout: 50 * time.Millisecond, Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := g.Inspect(t.Context(), promptguard.Text{Content: []byte("x")}); err == nil || !strings.Contains(err.Error(), "timeout") {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	if st := g.Stats(); st.TimedOut.Load() != 8 || st.Failed.Load() != 8 || st.Waiting.Load() != 0 || st.Asked.Load() > 8 {
		t.Errorf("timed out %d, failed %d, waiting %d, asked %d", st.TimedOut.Load(), st.Failed.Load(), st.Waiting.Load(), st.Asked.Load())
	}
}
