package ollama_test

import (
	"bytes"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/ollama"
)

func FuzzDecodeStream(f *testing.F) {
	f.Add([]byte(`{"model":"m","created_at":"2026-01-02T03:04:05Z","message":{"content":"a\n","thinking":"b"},"done":false}
{"message":{"tool_calls":[{"id":"1","function":{"name":"f","arguments":{"a":"\\\""}}}]},"done":false}
{"done":true,"done_reason":"length","prompt_eval_count":1,"eval_count":-2}`))
	f.Add([]byte(`{"error":"gone"}`))
	f.Add([]byte(`{"logprobs":[{"token":"a","logprob":-1,"bytes":[1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := exchange(ai.Chat{})
		d := (ollama.Provider{}).NewStream(x)
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			evs, err := d.Decode(ai.Frame{Data: line}, nil)
			if err != nil {
				return
			}
			for _, e := range evs {
				if e.Kind == ai.EventError && e.Err == nil {
					t.Fatal("an error event without an error")
				}
			}
		}
		if u := x.Usage; u.Input < 0 || u.Output < 0 {
			t.Fatalf("usage %+v", u)
		}
	})
}
