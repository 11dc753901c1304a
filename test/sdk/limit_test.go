package sdk

import (
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// TestLimits: the SDKs of Go get a 429 of their own words when a limit is reached, with the time after which to try again.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := start(t)
	check := func(name string, status int, head http.Header) {
		t.Helper()
		n, err := strconv.Atoi(head.Get("Retry-After"))
		if status != 429 || err != nil || n < 1 || n > 3720 || head.Get("X-Ratelimit-Remaining-Requests") != "0" {
			t.Errorf("%s: status %d, %v", name, status, head)
		}
	}
	o := openai.NewClient(option.WithBaseURL(w.url+"/limited/v1"), option.WithAPIKey("k"), option.WithMaxRetries(0), option.WithHeader("X-Mark", "openai"))
	a := anthropic.NewClient(anthropicoption.WithBaseURL(w.url+"/limited"), anthropicoption.WithAPIKey("k"), anthropicoption.WithMaxRetries(0),
		anthropicoption.WithHeader("X-Mark", "anthropic"))
	for i := range 2 {
		_, err := o.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
			Model: "sim-openai", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hi")},
		})
		var oe *openai.Error
		if errors.As(err, &oe) != (i == 1) {
			t.Fatalf("openai: request %d: %v", i, err)
		}
		_, aerr := a.Messages.New(t.Context(), anthropic.MessageNewParams{
			Model: "sim-openai", MaxTokens: 10, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hi"))},
		})
		var ae *anthropic.Error
		if errors.As(aerr, &ae) != (i == 1) {
			t.Fatalf("anthropic: request %d: %v", i, aerr)
		}
		if i == 1 {
			check("openai", oe.StatusCode, oe.Response.Header)
			check("anthropic", ae.StatusCode, ae.Response.Header)
			if oe.Code != "rate_limit_exceeded" {
				t.Errorf("openai: code %q", oe.Code)
			}
		}
	}
}
