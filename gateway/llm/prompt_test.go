package llm

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/tokenizer"
)

// What is counted from the bytes of a plain chat is what is counted of it decoded.
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
		}
	}
	if plain == 0 {
		t.Error("no plain chat was found")
	}
}
