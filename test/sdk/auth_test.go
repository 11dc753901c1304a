package sdk

import (
	"errors"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

// TestAuthentication: the SDKs of Go know that a key is not valid, and that a model is not there for its holder.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	w := start(t)
	for key, want := range map[string]int{callerKey: 404, "nk-nobody-0123456789abcdef": 401} {
		o := openai.NewClient(option.WithBaseURL(w.url+"/guarded/v1"), option.WithAPIKey(key), option.WithMaxRetries(0))
		_, err := o.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
			Model: "sim-gemini", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hi")},
		})
		var oe *openai.Error
		if !errors.As(err, &oe) || oe.StatusCode != want || oe.Message == "" {
			t.Errorf("openai: %v, want status %d", err, want)
		}
		a := anthropic.NewClient(anthropicoption.WithBaseURL(w.url+"/guarded"), anthropicoption.WithAPIKey(key), anthropicoption.WithMaxRetries(0))
		_, err = a.Messages.New(t.Context(), anthropic.MessageNewParams{
			Model: "sim-gemini", MaxTokens: 10, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("Hi"))},
		})
		var ae *anthropic.Error
		if !errors.As(err, &ae) || ae.StatusCode != want {
			t.Errorf("anthropic: %v, want status %d", err, want)
		}
	}
}
