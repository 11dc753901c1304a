//go:build !race

// The race detector makes pools forget.

package llm

import (
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/tokenizer"
)

func TestPlainChatsAreCountedWithoutAllocation(t *testing.T) {
	tok := tokenizer.New().ForModel("gpt-4o")
	x := &ai.Exchange{Op: ai.OpChat, Client: openai.Dialect{}}
	x.Request.Raw = []byte(`{"model":"gpt-4o","messages":[{"role":"system","content":"Be \"brief\"."},{"role":"user","content":"Hi there!"}]}`)
	if n := testing.AllocsPerRun(100, func() { countPlain(tok, x) }); n >= 1 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCount counts a chat of 32 KiB from its bytes, and decoded.
func BenchmarkCount(b *testing.B) {
	tokens := tokenizer.New()
	tok, rules := tokens.ForModel("gpt-4o"), tokens.Rules("gpt-4o")
	message := `{"role":"user","content":"` + strings.Repeat(`What somebody \"says\" who wants to know something.\n`, 80) + `"}`
	body := []byte(`{"model":"gpt-4o","messages":[` + strings.Repeat(message+",", 7) + message + `]}`)
	for _, plain := range []bool{true, false} {
		b.Run(map[bool]string{true: "plain", false: "decoded"}[plain], func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				x := ai.Exchange{Op: ai.OpChat, Client: openai.Dialect{}}
				x.Request.Raw = body
				if plain {
					countPlain(tok, &x)
				} else if _, err := countAll(tok, rules, &x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
