package promptguard_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/promptguard"
)

// prose is 32 KiB of text without anything to find, with the numbers and signs of ordinary text and code. Words that begin
// phrases of prompt injection stand in it as often as in ordinary text, some dozen times.
func prose() []byte {
	const first = `The committee met on 12 March 2021 at 10:45 to review the quarterly report, which covers 1,204 items (up 3.7% from last year). ` +
		`Most of the members agreed that the new schedule is better; a few asked for more time. "We will follow the instructions that were ` +
		`published earlier," said the chair, "and forget nothing." The token budget is described in section 4.2 of the manual: see page 17. ` +
		"func add(a, b int) int {\n\treturn a + b // e.g. 2+3\n}\nPlease summarise the text above in three sentences, without the table.\n"
	const second = `On the second day the weather turned, and most of the walkers stayed at the hut until noon. There was tea, a map of the valley ` +
		`and a long talk about which of the two paths was easier with children. Those who had been here before spoke of a bridge that had ` +
		`been washed away; others said it was rebuilt since. In the end they took the upper path, which climbs slowly through larch and ` +
		`pine, crosses a stream by a few flat stones and reaches the ridge after three hours. From there one sees the lake, the old mill and, ` +
		"on a clear day, the towers of the town where the railway ends. They arrived late, tired and content, and slept well.\n"
	text := strings.Repeat(first+strings.Repeat(second, 3), 16)
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

// The same text against one regular expression of package regexp for each of the simpler detectors and vendors' secrets.
func BenchmarkRegexp(b *testing.B) {
	file, err := os.ReadFile("secrets.txt")
	if err != nil {
		b.Fatal(err)
	}
	exprs := []string{`[\w.%+-]{1,64}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}`, `\b(?:\d[ -]?){13,19}\b`, `\b[A-Z]{2}\d{2}[ A-Z0-9]{11,36}\b`, `\b\d{3}-\d{2}-\d{4}\b`,
		`\b\d{1,3}(?:\.\d{1,3}){3}\b`, `\b(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}\b`, `\+\d[\d ().-]{6,20}\d`}
	for line := range strings.Lines(string(file)) {
		if _, expr, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			exprs = append(exprs, strings.TrimSpace(expr))
		}
	}
	var all []*regexp.Regexp
	for _, e := range exprs {
		all = append(all, regexp.MustCompile(e))
	}
	text := prose()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		for _, re := range all {
			re.FindAllIndex(text, -1)
		}
	}
}

// Users' patterns without a literal are tried on a whole text only where a set of RE2 found them.
func BenchmarkPatterns(b *testing.B) {
	var exprs []string
	for c := 'a'; c <= 'z'; c++ {
		exprs = append(exprs, `\b[A-Z]{3}`+string(c)+`\d{4,9}\b`)
	}
	s := compile(b, promptguard.Rule{Name: "own", Patterns: exprs, Action: promptguard.Mask})
	benchInspect(b, s, prose())
}

// A token of four bytes with every detector on.
func BenchmarkStreamPush(b *testing.B) {
	st := promptguard.NewStream(compile(b, all(promptguard.Mask)), promptguard.NewVault(nil), true)
	text := prose()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := st.Push(context.Background(), text[i:i+4]); err != nil {
			b.Fatal(err)
		}
		i = (i + 4) % len(text)
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		compile(b, all(promptguard.Mask))
	}
}
