//go:build oracle

package tokenizer_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/tokenizer/bpe"
)

const perEncoding = 1_000_000

// TestSameAsTiktoken compares counts with those of the original (npm tiktoken, compiled to WASM): a million generated
// texts for each encoding, every code point in context, the corpus and every difference ever found. It needs node and
// npm, and installs tiktoken into the user's cache folder:
//
//	go test -tags oracle -run TestSameAsTiktoken ./tokenizer
func TestSameAsTiktoken(t *testing.T) {
	dir := install(t)
	for _, name := range bpe.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := bpe.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			texts := append(corpus(t), codePoints()...)
			r := rand.New(rand.NewPCG(3, uint64(len(name))))
			for range perEncoding {
				texts = append(texts, generate(r))
			}
			for i, want := range tiktoken(t, dir, name, texts) {
				if got := e.Count([]byte(texts[i])); got != want {
					t.Errorf("Count(%q) = %d, tiktoken %d", texts[i], got, want)
				}
			}
		})
	}
}

// install returns a folder outside the tree with tiktoken in its node_modules.
func install(t *testing.T) string {
	t.Helper()
	const version = "1.0.22"
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "nantian", "tiktoken-"+version)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "tiktoken")); err == nil {
		return dir
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("npm", "install", "--no-save", "--prefix", dir, "tiktoken@"+version).CombinedOutput(); err != nil {
		t.Fatalf("npm install tiktoken@%s: %v\n%s", version, err, out)
	}
	return dir
}

func tiktoken(t *testing.T, dir, encoding string, texts []string) []int {
	t.Helper()
	var in []byte
	for _, s := range texts {
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(s))), s...)
	}
	cmd := exec.Command("node", "testdata/oracle.mjs", dir, encoding)
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node testdata/oracle.mjs %s: %v", encoding, err)
	}
	if len(out) != 4*len(texts) {
		t.Fatalf("got %d counts for %d texts", len(out)/4, len(texts))
	}
	counts := make([]int, len(texts))
	for i := range counts {
		counts[i] = int(binary.LittleEndian.Uint32(out[4*i:]))
	}
	return counts
}

// corpus returns the files and the lines of testdata that are valid UTF-8.
func corpus(t *testing.T) []string {
	t.Helper()
	var texts []string
	err := filepath.WalkDir("bpe/testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && utf8.Valid(b) {
			texts = append(append(texts, string(b)), strings.SplitAfter(string(b), "\n")...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// codePoints returns every code point between neighbours that show its class to each alternative of the patterns.
func codePoints() []string {
	var texts []string
	for r := rune(0); r <= utf8.MaxRune; r++ {
		// Planes 4 to 13 have no characters, 15 and 16 private ones only: one in a hundred of these.
		if utf8.ValidRune(r) && (r < 0x40000 || r>>16 == 0xE || r%97 == 0) {
			texts = append(texts, fmt.Sprintf("a%[1]cb B%[1]cA %[1]c%[1]c 1%[1]c2'%[1]c!%[1]c \n%[1]c's\t%[1]c", r))
		}
	}
	return texts
}

// fragments are what generated texts are made of: the edges of every alternative of the patterns.
var fragments = strings.Split("a|B|z|word|Word|WORD|wOrD|the| the|ing|é|É|ß|ǅ|ʰ|ª|中|中文|日本語|の|한국|ا|سلام|א|ก|ำ|ि|́|̈|⃝|"+
	"0|1|42|123|4567|٣|Ⅳ|½|²|一|'|'s|'S|'t|'re|'RE|'ve|'m|'ll|'lL|'d|'x|''|’s|'ſ|"+
	" |  |   |\t|\n|\r|\r\n|\n\n|\n  \n| \n|\v|\f|\u0085|\u00a0|\u2003|\u2028|\u3000|\u200b|\u200d|\ufeff|"+
	"!|?|.|...|,|/|//|\\|_|-|--|==|{|}|[]|();|\":\"|<|>|<||><|endoftext|>|#|$|%|&|*|+|~|`|€|→|…|—|"+
	"😀|👍🏽|👨‍👩‍👧|🇩🇪|❤️|\x00|\x01|\x1b|\x7f|�|\U000e0001|\U00010400|\U0001d400|\U00013460", "|")

func generate(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(10) {
		switch r.IntN(12) {
		case 0:
			b.WriteString(strings.Repeat(fragments[r.IntN(len(fragments))], 1+r.IntN(40)))
		case 1:
			b.WriteRune(rune(r.IntN(utf8.MaxRune)))
		case 2:
			b.WriteRune(rune(r.IntN(0x3000)))
		case 3:
			b.WriteRune(0x4E00 + rune(r.IntN(0x5200)))
		case 4:
			fmt.Fprintf(&b, "%x", r.Uint64()>>r.IntN(64))
		case 5:
			for range r.IntN(30) {
				b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ _-0123456789"[r.IntN(65)])
			}
		default:
			b.WriteString(fragments[r.IntN(len(fragments))])
		}
	}
	return b.String()
}
