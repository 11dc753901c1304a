package vendors_test

import (
	"bytes"
	"testing"

	"github.com/nantian-gw/nantian/ai"
)

// A body in which nothing is to be changed is sent as it is, without a copy; any other is a copy with the change.
func TestWhatNeedsNoChangeIsNotCopied(t *testing.T) {
	f := func(path string, s ai.Schema, model, body, want string) {
		t.Helper()
		v := newDrive(t, path, s, model, []byte(body))
		if v.bypass == nil {
			t.Fatalf("%s is not forwarded", path)
		}
		if err := v.encode(); err != nil {
			t.Fatal(err)
		}
		got := v.out.Content(v.x)
		if same := &got[0] == &v.x.Request.Raw[0]; string(got) != want || same != (body == want) || same == (len(v.out.Body) > 0) {
			t.Errorf("%s for %s: %s, of which %d bytes are copied", body, model, got, len(v.out.Body))
		}
		if !bytes.Equal(v.x.Request.Raw, []byte(body)) {
			t.Errorf("the client's body has become %s", v.x.Request.Raw)
		}
	}
	const chat, messages = "/v1/chat/completions", "/v1/messages"
	f(chat, ai.OpenAI, "a", `{"messages":[], "model" : "a"}`, `{"messages":[], "model" : "a"}`)
	f(chat, ai.OpenAI, "b", `{"messages":[], "model" : "a"}`, `{"messages":[], "model" : "b"}`)
	f(chat, ai.OpenAI, "a", `{"model":"\u0061"}`, `{"model":"a"}`)
	f(chat, ai.OpenAI, "a", `{"model":"a","stream":true}`, `{"model":"a","stream":true,"stream_options":{"include_usage":true}}`)
	f(chat, ai.OpenAI, "a", `{"model":"a","stream":true,"stream_options":{"include_usage":true}}`, `{"model":"a","stream":true,"stream_options":{"include_usage":true}}`)
	f(messages, ai.Anthropic, "a", `{"max_tokens":1,"model":"a","messages":[]}`, `{"max_tokens":1,"model":"a","messages":[]}`)
	f(messages, ai.Anthropic, "b", `{"max_tokens":1,"model":"a","messages":[]}`, `{"max_tokens":1,"model":"b","messages":[]}`)
}
