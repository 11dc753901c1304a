package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// completionFields are those of legacy completions. echo, suffix, best_of and logprobs (which is a number here) have no
// canonical form.
var completionFields = merge(samplingFields, map[string]fieldReader{
	"prompt":  prompt,
	"echo":    unlessFalse("echo"),
	"suffix":  unlessFalse("suffix"),
	"best_of": unlessFalse("best_of"),
})

// unlessFalse notes a field as an extra one unless its value asks for nothing.
func unlessFalse(name string) fieldReader {
	return func(d *decoder, v []byte) error {
		if n, ok := jsonscan.Int(v); !isEmpty(v) && string(v) != "false" && (!ok || n > 1) {
			d.extra(name, v)
		}
		return nil
	}
}

// prompt is one text, or an array of one. Several prompts, and prompts of token numbers, can only be forwarded.
func prompt(d *decoder, v []byte) error {
	if jsonscan.Kind(v) == jsonscan.Array && length(v) == 1 {
		for e := range jsonscan.Elems(v) {
			v = e
		}
	}
	if jsonscan.Kind(v) != jsonscan.String {
		return bad("", "expected one string; this model takes neither several prompts nor tokens")
	}
	d.c.Messages = []ai.Message{{Role: ai.RoleUser, Parts: []ai.Part{{Kind: ai.PartText, Text: jsonscan.Text(v)}}}}
	return nil
}
