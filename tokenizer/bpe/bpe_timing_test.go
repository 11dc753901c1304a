package bpe

import (
	"bytes"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// BenchmarkCount counts 1 MB of each kind of text. tiktoken-go, on less of the same text because it is slow, is in
// BenchmarkTiktokenGo. Run: go test -run '^$' -bench . ./tokenizer/bpe
func BenchmarkCount(b *testing.B) {
	for _, name := range Names()[:2] {
		e := mustOpen(b, name)
		for _, kind := range kinds {
			text := megabyte(b, kind)
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					e.Count(text)
				}
			})
		}
	}
}

func BenchmarkTiktokenGo(b *testing.B) {
	for _, name := range Names()[:2] {
		count := oracle(b, name)
		for _, kind := range kinds {
			text := string(megabyte(b, kind)[:1<<17])
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					count(text)
				}
			})
		}
	}
}

// BenchmarkAdversarial counts 100 KB that one piece or bad luck makes slow elsewhere. tiktoken-go needs 13 s for the
// first.
func BenchmarkAdversarial(b *testing.B) {
	for _, name := range Names()[:2] {
		e := mustOpen(b, name)
		for _, a := range adversarial() {
			b.Run(name+"/"+a.name, func(b *testing.B) {
				b.SetBytes(int64(len(a.text)))
				b.ReportAllocs()
				for b.Loop() {
					e.Count(a.text)
				}
			})
		}
	}
}

// BenchmarkOpen shows how long the first count of an encoding waits.
func BenchmarkOpen(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustOpen(b, name)
			}
		})
	}
}

var kinds = []string{"english", "code", "json", "chinese", "japanese", "scripts", "markup", "whitespace"}

// megabyte returns the lines of a file of the corpus over and over, in random order.
func megabyte(tb testing.TB, kind string) []byte {
	tb.Helper()
	file, err := os.ReadFile("testdata/corpus/" + kind + ".txt")
	if err != nil {
		tb.Fatal(err)
	}
	lines := bytes.SplitAfter(file, []byte("\n"))
	r := rand.New(rand.NewPCG(7, uint64(len(file))))
	var b []byte
	for len(b) < 1<<20 {
		b = append(b, lines[r.IntN(len(lines))]...)
	}
	return bytes.ToValidUTF8(b[:1<<20], nil) // the last character may be cut
}

type named struct {
	name string
	text []byte
}

// adversarial returns texts that are one piece, or pieces that are never seen twice.
func adversarial() []named {
	const size = 100_000
	r := rand.New(rand.NewPCG(5, 6))
	random := func(alphabet string) []byte {
		runes := []rune(alphabet)
		var b []byte
		for len(b) < size {
			b = append(b, string(runes[r.IntN(len(runes))])...)
		}
		return b
	}
	repeat := func(s string) []byte { return []byte(strings.Repeat(s, size/len(s))) }
	invalid := make([]byte, size)
	for i := range invalid {
		invalid[i] = byte(r.Uint32())
	}
	words := func(alphabet string, letters int) []byte { // each after a space
		b := random(alphabet)
		for i := 0; i < len(b); i += letters + 1 {
			b[i] = ' '
		}
		return b
	}
	runs := func(alphabet string, length int) []byte { // in random letters
		b := random("abcdefghijklmnopqrstuvwxyz")
		for i := 30; i+length < len(b); i += 30 + length {
			copy(b[i:], bytes.Repeat([]byte{alphabet[r.IntN(len(alphabet))]}, length))
		}
		return b
	}
	return []named{
		{"a", repeat("a")},
		{"A", repeat("A")},
		{"space", repeat(" ")},
		{"newline", repeat("\n")},
		{"space newline", repeat(" \n")},
		{"digit", repeat("7")},
		{"bang", repeat("!")},
		{"dash", repeat("-")},
		{"nul", repeat("\x00")},
		{"ab", repeat("ab")},
		{"aA", repeat("aA")},
		{"the", repeat("the")},
		{"apostrophe s", repeat("'s")},
		{"combining", repeat("\u0301")},
		{"han", repeat("中")},
		{"emoji", repeat("😀")},
		{"lower", random("abcdefghijklmnopqrstuvwxyz")},
		{"etaoin", random("etaoinshrdlu")},
		{"mixed case", random("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")},
		{"base64", random("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/")},
		{"hex", random("0123456789abcdef")},
		{"symbols", random("!\"#$%&()*+,-./:;<=>?@[]^_`{|}~")},
		{"spaces", random(" \t\u00a0\u2003\u3000")},
		{"hiragana", random("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ")},
		{"rare han", random("龘靐齉爩鱻麤龗灪籲鸞驫钃癵厵龖虪齾鬱")},
		{"short words", words("abcdefghijklmnopqrstuvwxyz", 5)},
		{"words", words("abcdefghijklmnopqrstuvwxyz", 11)},
		{"long words", words("etaoinshrdlu", 30)},
		{"runs", runs("a", 64)},
		{"runs of all letters", runs("abcdefghijklmnopqrstuvwxyz", 20)},
		{"cyrillic", random("абвгдежзийклмнопрстуфхцчшщъыьэюя")},
		{"arabic", random("ابتثجحخدذرزسشصضطظعغفقكلمنهوي")},
		{"letters and han", random("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz中文的")},
		{"invalid", invalid},
		{"continuation", repeat("\x80")},
	}
}
