package gemini_test

import (
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/gemini"
)

func BenchmarkEncode4KiB(b *testing.B) {
	x := exchange(ai.Chat{Messages: []ai.Message{
		say(ai.RoleSystem, text("Be brief.")), say(ai.RoleUser, text(strings.Repeat("All work and no play. ", 180))),
	}}, "gemini-2.5-flash")
	var out ai.HTTPRequest
	b.ReportAllocs()
	for b.Loop() {
		if err := (gemini.Provider{}).EncodeRequest(x, &out); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(out.Body)))
}

var delta = ai.Frame{Data: []byte(`{"candidates":[{"content":{"parts":[{"text":" quick brown fox"}],"role":"model"},"index":0}],` +
	`"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":4,"totalTokenCount":14},"modelVersion":"gemini-2.5-flash","responseId":"kGv9aKLYOf2xqtsP"}`)}

func BenchmarkDecodeDelta(b *testing.B) {
	d := (gemini.Provider{}).NewStream(exchange(ai.Chat{}, "gemini-2.5-flash"))
	var evs []ai.Event
	b.SetBytes(int64(len(delta.Data)))
	b.ReportAllocs()
	for b.Loop() {
		evs, _ = d.Decode(delta, evs[:0])
	}
}

func TestDecodeDeltaDoesNotAllocate(t *testing.T) {
	d := (gemini.Provider{}).NewStream(exchange(ai.Chat{}, "gemini-2.5-flash"))
	evs := make([]ai.Event, 0, 8)
	if n := testing.AllocsPerRun(100, func() { evs, _ = d.Decode(delta, evs[:0]) }); n > 0 {
		t.Errorf("%v allocations for a delta", n)
	}
}
