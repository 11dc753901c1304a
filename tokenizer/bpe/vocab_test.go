package bpe

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	offline "github.com/pkoukk/tiktoken-go-loader"
)

// TestVocabularies shows that the embedded tables hold the tokens that tiktoken-go-loader carries, in the order of
// their ranks, no more and no less, and that the trie and the pairs lead to them.
func TestVocabularies(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			v, texts := mustOpen(t, name).v, ranked(t, name)
			if len(v.tokens) != len(texts) {
				t.Fatalf("%d tokens, want %d", len(v.tokens), len(texts))
			}
			for id, text := range texts {
				checkToken(t, v, texts, uint32(id), text)
			}
			if n := countPairs(v.pairs); n != len(texts)-256 {
				t.Errorf("%d pairs, want %d", n, len(texts)-256)
			}
		})
	}
}

// ranked returns the tokens of an encoding by rank. Ids leave out no rank, as p50k_base does with that of <|endoftext|>.
func ranked(tb testing.TB, name string) []string {
	tb.Helper()
	ranks, err := offline.NewOfflineLoader().LoadTiktokenBpe(name + ".tiktoken")
	if err != nil {
		tb.Fatal(err)
	}
	return slices.SortedFunc(maps.Keys(ranks), func(a, b string) int { return cmp.Compare(ranks[a], ranks[b]) })
}

func checkToken(t *testing.T, v *vocab, texts []string, id uint32, text string) {
	t.Helper()
	tok := v.tokens[id]
	if got := v.longest([]byte(text)); got != id {
		t.Errorf("longest(%q) = %d, want %d", text, got, id)
	}
	if tok.len() != len(text) {
		t.Errorf("token %d %q: length %d", id, text, tok.len())
	}
	if len(text) == 1 {
		if tok.left() != id || tok.right() != id || tok.prefix() != id {
			t.Errorf("token %d %q is a byte, its parts are not itself", id, text)
		}
		return
	}
	if got := texts[tok.left()] + texts[tok.right()]; got != text || tok.left() >= id || tok.right() >= id {
		t.Errorf("token %d %q: its halves are %d and %d, %q", id, text, tok.left(), tok.right(), got)
	}
	if m, ok := v.pairs.find(tok.left(), tok.right()); !ok || m != id {
		t.Errorf("token %d %q: its halves merge into %d, %v", id, text, m, ok)
	}
	if want := v.longest([]byte(text[:len(text)-1])); tok.prefix() != want {
		t.Errorf("token %d %q: prefix %d, want %d", id, text, tok.prefix(), want)
	}
}

func countPairs(p *pairs) (n int) {
	for _, e := range p.entries {
		if e != 0 {
			n++
		}
	}
	return n
}

func TestLoadRejects(t *testing.T) {
	for _, file := range []string{"", "BPE1", "BPE3 but too short", string(make([]byte, 1000)), o200k[:1000], o200k[:len(o200k)-1], cl100k + "\x00"} {
		if _, err := load(file, 0); err == nil {
			t.Errorf("load of %d bytes %.20q: no error", len(file), file)
		}
	}
}
