package bpe

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
	offline "github.com/pkoukk/tiktoken-go-loader"
)

// oracle returns tiktoken-go's count for an encoding, over the ranks that its loader embeds.
func oracle(tb testing.TB, name string) func(string) int {
	tb.Helper()
	tiktoken.SetBpeLoader(offline.NewOfflineLoader())
	enc, err := tiktoken.GetEncoding(name)
	if err != nil {
		tb.Fatalf("tiktoken-go: %s: %v", name, err)
	}
	return func(s string) int { return len(enc.EncodeOrdinary(s)) }
}

func mustOpen(tb testing.TB, name string) *Encoding {
	tb.Helper()
	e, err := Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestSameAsTiktokenGo(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			e, want := mustOpen(t, name), oracle(t, name)
			f := func(s string) {
				t.Helper()
				if strings.ContainsFunc(s, newer) {
					return // testdata/unicode16.txt lists these
				}
				if got, want := e.Count([]byte(s)), want(s); got != want {
					t.Errorf("Count(%q) = %d, tiktoken-go %d", s, got, want)
				}
			}
			for _, file := range files {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(string(b)) {
					f(line)
				}
				f(string(b))
			}
			r := rand.New(rand.NewPCG(1, 2))
			for range 20000 {
				f(text(r))
			}
		})
	}
}

// fragments are what random texts are made of: the edges of every alternative of the patterns.
var fragments = strings.Split("a|B|z|word|Word|WORD|wOrD|the| the|ing|é|É|ß|ǅ|ʰ|ª|中|中文|日本語|の|한국|ا|سلام|א|ก|ำ|ি|́|̈|⃝|"+
	"0|1|42|123|4567|٣|Ⅳ|½|²|一|'|'s|'S|'t|'re|'RE|'ve|'m|'ll|'lL|'d|'x|''|’s|'ſ|"+
	" |  |   |\t|\n|\r|\r\n|\n\n|\n  \n| \n|\v|\f|\u0085|\u00a0|\u2003|\u2028|\u3000|\u200b|\u200d|\ufeff|"+
	"!|?|.|...|,|/|//|\\|_|-|--|==|{|}|[]|();|\":\"|<|>|<||><|endoftext|>|#|$|%|&|*|+|~|`|€|→|…|—|"+
	"😀|👍🏽|👨‍👩‍👧|🇩🇪|❤️|\x00|\x01|\x1b|\x7f|\xff|\xc3|\xe4\xb8|\xf0\x9f|�|\U000e0001|\U00010400|\U0001d400|\U000200cc", "|")

func text(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(12) {
		switch r.IntN(12) {
		case 0:
			b.WriteString(strings.Repeat(fragments[r.IntN(len(fragments))], 1+r.IntN(40)))
		case 1:
			b.WriteRune(rune(r.IntN(utf8.MaxRune)))
		case 2:
			b.WriteRune(rune(r.IntN(0x3000)))
		case 3:
			fmt.Fprintf(&b, "%x", r.Uint64())
		default:
			b.WriteString(fragments[r.IntN(len(fragments))])
		}
	}
	return b.String()
}
