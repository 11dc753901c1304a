package ollama_test

import (
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/ollama"
)

func BenchmarkEncode4KiB(b *testing.B) {
	x := exchange(ai.Chat{Messages: []ai.Message{
		say(ai.RoleSystem, text("Be brief.")), say(ai.RoleUser, text(strings.Repeat("All work and no play. ", 180))),
	}})
	var out ai.HTTPRequest
	b.ReportAllocs()
	for b.Loop() {
		if err := (ollama.Provider{}).EncodeRequest(x, &out); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(out.Body)))
}

var delta = ai.Frame{Data: []byte(`{"model":"qwen3","created_at":"2026-01-02T03:04:05.678901Z","message":{"role":"assistant","content":" fox"},"done":false}`)}

func BenchmarkDecodeDelta(b *testing.B) {
	d := (ollama.Provider{}).NewStream(exchange(ai.Chat{}))
	var evs []ai.Event
	b.SetBytes(int64(len(delta.Data)))
	b.ReportAllocs()
	for b.Loop() {
		evs, _ = d.Decode(delta, evs[:0])
	}
}

func TestDecodeDeltaDoesNotAllocate(t *testing.T) {
	d := (ollama.Provider{}).NewStream(exchange(ai.Chat{}))
	evs := make([]ai.Event, 0, 8)
	if n := testing.AllocsPerRun(100, func() { evs, _ = d.Decode(delta, evs[:0]) }); n > 0 {
		t.Errorf("%v allocations for a delta", n)
	}
}
