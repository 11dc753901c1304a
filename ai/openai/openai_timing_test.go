package openai_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/openai"
)

// chatBody is a request of about size bytes.
func chatBody(size int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"gpt-5","stream":true,"messages":[{"role":"system","content":"You are terse."}`)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `,{"role":%q,"content":%q}`, []string{"user", "assistant"}[i%2], strings.Repeat("The quick brown fox.\n", 20))
	}
	b.WriteString(`],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}}],"temperature":0.7,"max_completion_tokens":1024}`)
	return b.Bytes()
}

const delta = `{"id":"chatcmpl-AbCdEf","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5-2025-08-07","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" brown \"fox\""},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"xyz"}`

var deltaFrame = ai.Frame{Data: []byte(delta), Raw: []byte("data: " + delta + "\n\n")}

func forwarded(body []byte) *ai.Exchange {
	x := &ai.Exchange{Op: ai.OpChat, Client: dialect, Target: ai.Target{Provider: openai.Provider{}, Model: "another-model"}}
	if err := dialect.Peek(x.Op, body, &x.Request); err != nil {
		panic(err)
	}
	x.Request.Raw = body
	return x
}

func TestNoAllocations(t *testing.T) {
	f := func(name string, want float64, run func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, run); n != want {
			t.Errorf("%s: %v allocations, want %v", name, n, want)
		}
	}
	body := chatBody(4 << 10)
	x := forwarded(body)
	p := openai.Provider{}
	var r ai.Request
	f("Peek, apart from the model", 1, func() {
		if dialect.Peek(ai.OpChat, body, &r) != nil {
			t.Fatal("refused")
		}
	})
	var out ai.HTTPRequest
	f("ForwardRequest", 0, func() { _ = p.ForwardRequest(x, &out) })
	dec, evs := p.NewStream(x), make([]ai.Event, 0, 4)
	f("Decode", 0, func() { evs, _ = dec.Decode(deltaFrame, evs[:0]) })
	if len(evs) != 1 || string(evs[0].Text) != ` brown "fox"` {
		t.Errorf("got %+v", evs)
	}
	enc, dst := dialect.NewEncoder(x), make([]byte, 0, 4096)
	f("AppendEvents", 0, func() { dst, _ = enc.AppendEvents(dst[:0], evs) })
	f("AppendFrame", 0, func() { dst = p.AppendFrame(dst[:0], x, deltaFrame) })
	answer := []byte(`{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`)
	f("Scan", 0, func() { _ = p.Scan(x, answer) })
}

func BenchmarkPeek(b *testing.B) {
	for _, size := range []int{4 << 10, 32 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			body := chatBody(size)
			var r ai.Request
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := dialect.Peek(ai.OpChat, body, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkForwardRequest(b *testing.B) {
	x := forwarded(chatBody(32 << 10))
	var out ai.HTTPRequest
	b.SetBytes(int64(len(x.Request.Raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := (openai.Provider{}).ForwardRequest(x, &out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	dec, evs := openai.Provider{}.NewStream(forwarded(chatBody(100))), make([]ai.Event, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if evs, err = dec.Decode(deltaFrame, evs[:0]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	x, dst := forwarded(chatBody(100)), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		dst = openai.Provider{}.AppendFrame(dst[:0], x, deltaFrame)
	}
}

func BenchmarkAppendEvents(b *testing.B) {
	x, dst := forwarded(chatBody(100)), make([]byte, 0, 1024)
	evs := []ai.Event{{Kind: ai.EventText, Text: []byte(" brown \"fox\"")}}
	enc := dialect.NewEncoder(x)
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = enc.AppendEvents(dst[:0], evs)
	}
}

func BenchmarkDecodeChat(b *testing.B) {
	body := chatBody(4 << 10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dialect.DecodeChat(ai.OpChat, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	x := forwarded(chatBody(4 << 10))
	if _, err := x.Chat(); err != nil {
		b.Fatal(err)
	}
	var out ai.HTTPRequest
	b.SetBytes(int64(len(x.Request.Raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := (openai.Provider{}).EncodeRequest(x, &out); err != nil {
			b.Fatal(err)
		}
	}
}
