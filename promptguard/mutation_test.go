package promptguard_test

import (
	"math/rand/v2"
	"testing"

	"github.com/nantian-gw/nantian/promptguard"
)

// mutate changes, repeats, cuts and moves parts of a text.
func mutate(r *rand.Rand, b []byte) []byte {
	for range r.IntN(8) {
		if len(b) == 0 {
			break
		}
		i := r.IntN(len(b))
		switch r.IntN(5) {
		case 0:
			b[i] = byte(r.IntN(256))
		case 1:
			b = append(b[:i:i], append([]byte(string(b[i:])), b[i:]...)...)
		case 2:
			b = b[i:]
		case 3:
			b = append(b, b[i:]...)
		case 4:
			b[i] = " -.@:+1I"[r.IntN(8)]
		}
	}
	return b
}

// TestMutations breaks the texts of the corpus in random ways: nothing crashes, and streams agree with whole texts.
func TestMutations(t *testing.T) {
	s := mixed(t)
	var texts []string
	for _, name := range promptguard.Builtins() {
		for _, l := range readCorpus(t, "tune", name) {
			texts = append(texts, l.Text)
		}
	}
	r := rand.New(rand.NewPCG(11, 12))
	rounds := uint64(4000)
	if raceEnabled {
		rounds = 200
	}
	for n := range rounds {
		text := mutate(r, []byte(texts[r.IntN(len(texts))]+texts[r.IntN(len(texts))]))
		if len(text) > 4096 {
			continue
		}
		want := outcome(s, [][]byte{text})
		if got := outcome(s, split(text, n)); got != want {
			t.Fatalf("%q in chunks\n got %s\nwant %s", text, got, want)
		}
	}
}
