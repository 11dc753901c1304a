package llm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/tokenizer"
)

// What is counted from the bytes of a plain chat is what is counted of it decoded, and costs no allocation.
func TestPlainChatsCountTheSame(t *testing.T) {
	tokens := tokenizer.New()
	tok, rules := tokens.ForModel("gpt-4o"), tokens.Rules("gpt-4o")
	plain := 0
	for dir, d := range map[string]ai.Dialect{"openai": openai.Dialect{}, "anthropic": anthropic.Dialect{}} {
		paths, _ := filepath.Glob("../../ai/" + dir + "/testdata/*/request.json")
		for _, p := range paths {
			body, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			x := &ai.Exchange{Op: ai.OpChat, Client: d}
			x.Request.Raw = body
			parts, ok := countPlain(tok, x)
			if !ok {
				continue
			}
			plain++
			if all, err := countAll(tok, rules, x); err != nil || all.Parts != parts || all.Other != 0 || !all.Plain {
				t.Errorf("%s: %+v, decoded %+v, %v", p, parts, all, err)
			}
			if n := testing.AllocsPerRun(50, func() { countPlain(tok, x) }); n >= 1 {
				t.Errorf("%s: %v allocations", p, n)
			}
		}
	}
	if plain == 0 {
		t.Error("no plain chat was found")
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
