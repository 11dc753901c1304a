package gemini_test

import (
	"bytes"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/gemini"
)

func FuzzDecodeStream(f *testing.F) {
	f.Add([]byte(`{"candidates":[{"content":{"parts":[{"text":"a\n\u00e9","thought":true,"thoughtSignature":"s"}]}}],"responseId":"r"}
{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":"\\\""}}}]},"finishReason":"STOP"}]}`))
	f.Add([]byte(`{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":-1}}`))
	f.Add([]byte(`{"candidates":[{"logprobsResult":{"chosenCandidates":[{"token":"a","logProbability":-1}]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		x := exchange(ai.Chat{}, "gemini-3-pro")
		d := (gemini.Provider{}).NewStream(x)
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
		if u := x.Usage; u.Input < 0 || u.Output < u.Reasoning {
			t.Fatalf("usage %+v", u)
		}
		d.Done()
	})
}

func FuzzDecodeError(f *testing.F) {
	f.Add([]byte(`[{"error":{"code":429,"details":[{"@type":"google.rpc.RetryInfo","retryDelay":"1s"}]}}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if e := (gemini.Provider{}).DecodeError(500, func(string) string { return "" }, body); e.Message == "" {
			t.Fatal("an error without a message")
		}
	})
}
