package promptguard_test

import (
	"context"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/promptguard"
)

// prose is 32 KiB of text without anything to find, with the numbers and signs of ordinary text.
func prose() []byte {
	const page = `The committee met on 12 March 2021 at 10:45 to review the quarterly report, which covers 1,204 items (up 3.7% from last year). ` +
		`Most of the members agreed that the new schedule is better; a few asked for more time. "We will follow the instructions that were ` +
		`published earlier," said the chair, "and forget nothing." The token budget is described in section 4.2 of the manual: see page 17. ` +
		"func add(a, b int) int {\n\treturn a + b // e.g. 2+3\n}\nPlease summarise the text above in three sentences, without the table.\n"
	text := strings.Repeat(page, 32*1024/len(page)+1)
	return []byte(text[:32*1024])
}

func withHits() []byte {
	text := prose()
	hits := []string{" ann.lee@example.com ", " 4111 1111 1111 1111 ", " DE89 3704 0044 0532 0130 00 ", " 536-22-1234 ", " 192.0.2.17 ",
		" 2001:db8::8a2e:370:7334 ", " ghp_16C7e42F292c6912E7710c838347Ae178B4a ", " +49 30 901820 ", " 00:1A:2B:3C:4D:5E ", " AKIAQ3EGRIZLPXTVNB7M "}
	for i, h := range hits {
		copy(text[1000+i*3000:], h)
	}
	return text
}

func benchInspect(b *testing.B, s *promptguard.Set, text []byte) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Inspect(context.Background(), promptguard.Text{Content: text}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	s := compile(b, all(promptguard.Mask))
	b.Run("clean", func(b *testing.B) { benchInspect(b, s, prose()) })
	b.Run("hits", func(b *testing.B) { benchInspect(b, s, withHits()) })
}

func TestCleanTextDoesNotAllocate(t *testing.T) {
	s := compile(t, all(promptguard.Mask))
	text := promptguard.Text{Content: prose()}
	if v, err := s.Inspect(t.Context(), text); err != nil || len(v.Findings) > 0 {
		t.Fatalf("%v %v", v, err)
	}
	if n := testing.AllocsPerRun(20, func() { _, _ = s.Inspect(context.Background(), text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
