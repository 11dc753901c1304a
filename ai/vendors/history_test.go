package vendors_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
)

// A conversation goes on at another vendor after thoughts that this one cannot read, and the client is told that they were
// left out; what a vendor can read is none of that.
func TestThoughtsOfAnotherVendor(t *testing.T) {
	const (
		openAI    = `{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ho","reasoning_details":[{"type":"reasoning.text","text":"Hm","signature":"SIGN"}]},{"role":"user","content":"And?"}]}`
		anthropic = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"SIGN"},{"type":"text","text":"Ho"}]},{"role":"user","content":"And?"}]}`
	)
	f := func(path, body string, provider ai.Schema, model, signature, want string) {
		t.Helper()
		v := newDrive(t, path, provider, model, []byte(strings.Replace(body, "SIGN", signature, 1)))
		if err := v.encode(); err != nil {
			t.Errorf("%s to %s: %v", path, model, err)
		}
		if listed := slices.Contains(v.x.Dropped, want); listed != (want != "") || want == "" && len(v.x.Dropped) > 0 {
			t.Errorf("%s to %s: dropped %q, want %q", path, model, v.x.Dropped, want)
		}
	}
	const chat, messages = "/v1/chat/completions", "/v1/messages"
	const ofOpenAI, ofAnthropic = "messages[].reasoning_content", "messages[].content[].thinking"
	f(messages, anthropic, ai.OpenAI, "gpt-5.1", "abc", ofAnthropic)
	f(messages, anthropic, ai.AzureOpenAI, "mine", "abc", ofAnthropic)
	f(messages, anthropic, ai.OpenAI, "qwen3", "abc", "")
	f(messages, anthropic, ai.OpenAI, "qwen3", "gemini:abc", ofAnthropic)
	f(messages, anthropic, ai.Gemini, "gemini-3-pro", "abc", ofAnthropic)
	f(messages, anthropic, ai.Gemini, "gemini-3-pro", "gemini:abc", "")
	f(messages, anthropic, ai.Ollama, "qwen3", "abc", "")
	f(chat, openAI, ai.Anthropic, "claude-opus-4-5", "abc", "")
	f(chat, openAI, ai.Anthropic, "claude-opus-4-5", "gemini:abc", ofOpenAI)
	f(chat, openAI, ai.Anthropic, "claude-opus-4-5", "", ofOpenAI)
	f(chat, openAI, ai.Gemini, "gemini-3-pro", "abc", ofOpenAI)
	f(chat, openAI, ai.Gemini, "gemini-3-pro", "gemini:abc", "")
}

// The sources of an earlier answer do not pass to another vendor, and the client is told so.
func TestCitationsOfAnotherVendor(t *testing.T) {
	const body = `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"text","text":"Ho","citations":[{"type":"web_search_result_location","url":"https://a.example","title":"A"}]}]},{"role":"user","content":"And?"}]}`
	for provider, model := range map[ai.Schema]string{ai.OpenAI: "gpt-5.1", ai.Gemini: "gemini-3-pro", ai.Ollama: "qwen3"} {
		v := newDrive(t, "/v1/messages", provider, model, []byte(body))
		if err := v.encode(); err != nil || !slices.Equal(v.x.Dropped, []string{"messages[].content[].citations"}) {
			t.Errorf("%s: %v, dropped %q", provider, err, v.x.Dropped)
		}
	}
}
