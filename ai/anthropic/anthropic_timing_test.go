package anthropic_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
)

// chatBody is a request of about size bytes.
func chatBody(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"claude-opus-5","max_tokens":1024,"system":"You are terse.","messages":[`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		role := []string{"user", "assistant"}[i%2]
		fmt.Fprintf(&b, `{"role":%q,"content":[{"type":"text","text":%q}]}`, role, strings.Repeat("The quick brown fox. ", 20))
	}
	b.WriteString(`],"tools":[{"name":"f","description":"d","input_schema":{"type":"object","properties":{}}}],"metadata":{"user_id":"user-7"},"stream":true}`)
	return b.Bytes()
}

// Deltas of an ordinary stream, of Anthropic and as canonical events.
var (
	textFrame = ai.Frame{
		Event: []byte("content_block_delta"),
		Data:  []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello there, how\nare you today?"}}`),
	}
	textEvent = []ai.Event{{Kind: ai.EventText, Text: []byte("Hello there, how\nare you today?")}}
)

func openDecoder(tb testing.TB) ai.StreamDecoder {
	dec := anthropic.Provider{}.NewStream(exchange(anthropic.Dialect{}, nil))
	start := ai.Frame{Data: []byte(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)}
	if _, err := dec.Decode(start, nil); err != nil {
		tb.Fatal(err)
	}
	return dec
}

func TestNoAllocations(t *testing.T) {
	f := func(name string, want float64, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, run); n != want {
			t.Errorf("%s: %v allocations, want %v", name, n, want)
		}
	}
	body := chatBody(4 << 10)
	var r ai.Request
	f("Peek, apart from the model and the user", 2, func() {
		if (anthropic.Dialect{}).Peek(ai.OpChat, body, &r) != nil {
			t.Fatal("refused")
		}
	})
	x := exchange(anthropic.Dialect{}, body)
	var out ai.HTTPRequest
	f("ForwardRequest", 0, func() { _ = anthropic.Provider{}.ForwardRequest(x, &out) })
	dec, evs := openDecoder(t), make([]ai.Event, 0, 4)
	f("Decode", 0, func() { evs, _ = dec.Decode(textFrame, evs[:0]) })
	enc, dst := x.Client.NewEncoder(x), make([]byte, 0, 4096)
	f("AppendEvents", 0, func() { dst, _ = enc.AppendEvents(dst[:0], textEvent) })
	message := []byte(`{"type":"message","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`)
	f("Scan", 0, func() { _ = anthropic.Provider{}.Scan(x, message) })
}

func BenchmarkPeek(b *testing.B) {
	body := chatBody(4 << 10)
	var r ai.Request
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := (anthropic.Dialect{}).Peek(ai.OpChat, body, &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeChat(b *testing.B) {
	body := chatBody(4 << 10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (anthropic.Dialect{}).DecodeChat(ai.OpChat, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	body := chatBody(4 << 10)
	x := exchange(anthropic.Dialect{}, body)
	var out ai.HTTPRequest
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := (anthropic.Provider{}).EncodeRequest(x, &out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForwardRequest(b *testing.B) {
	body := chatBody(4 << 10)
	x := exchange(anthropic.Dialect{}, body)
	var out ai.HTTPRequest
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := (anthropic.Provider{}).ForwardRequest(x, &out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	dec, evs := openDecoder(b), make([]ai.Event, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if evs, err = dec.Decode(textFrame, evs[:0]); err != nil || len(evs) != 1 {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeEvent(b *testing.B) {
	x := exchange(anthropic.Dialect{}, nil)
	enc, dst := x.Client.NewEncoder(x), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = enc.AppendEvents(dst[:0], textEvent); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCompletion(b *testing.B) {
	body := []byte(`{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"` +
		strings.Repeat("The quick brown fox. ", 100) + `"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}`)
	x := exchange(anthropic.Dialect{}, nil)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (anthropic.Provider{}).DecodeCompletion(x, body); err != nil {
			b.Fatal(err)
		}
	}
}
