package bpe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCount(t *testing.T) {
	f := func(text string, o200k, cl100k, p50k, r50k int) {
		t.Helper()
		for name, want := range map[string]int{"o200k_base": o200k, "cl100k_base": cl100k, "p50k_base": p50k, "r50k_base": r50k} {
			if got := mustOpen(t, name).Count([]byte(text)); got != want {
				t.Errorf("%s: Count(%q) = %d, want %d", name, text, got, want)
			}
		}
	}
	f("", 0, 0, 0, 0)
	f("hello world", 2, 2, 2, 2)
	f("<|endoftext|>", 7, 7, 7, 7)
	f("            return", 2, 2, 2, 12)
}

// TestCorpus pins the counts of the corpus, which the oracle test of package tokenizer compares with tiktoken's own.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/corpus/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s", "")
	for _, name := range Names() {
		fmt.Fprintf(&b, " %11s", name)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n%-18s", filepath.Base(file))
		for _, name := range Names() {
			fmt.Fprintf(&b, " %11d", mustOpen(t, name).Count(text))
		}
	}
	golden(t, "testdata/counts.txt", b.String()+"\n")
}

func TestOpenUnknown(t *testing.T) {
	if _, err := Open("o300k_base"); err == nil || !strings.Contains(err.Error(), "o300k_base") {
		t.Errorf("Open(o300k_base): %v, want an error that names it", err)
	}
}

// TestInvalidUTF8 shows that each byte that is not part of a valid sequence counts as U+FFFD, and that the text that was
// passed stays as it is.
func TestInvalidUTF8(t *testing.T) {
	text, err := os.ReadFile("testdata/corpus/invalid.txt")
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(text)
	for _, name := range Names() {
		e := mustOpen(t, name)
		if got, want := e.Count(text), e.Count([]byte(string([]rune(string(text))))); got != want {
			t.Errorf("%s: Count = %d, with U+FFFD %d", name, got, want)
		}
	}
	if !bytes.Equal(text, before) {
		t.Error("Count changed its argument")
	}
}

// TestMerge compares the backtracker with merging by rank, step by step, on pieces of any bytes.
func TestMerge(t *testing.T) {
	for _, name := range Names() {
		e, ids := mustOpen(t, name), make(map[string]int)
		for id, text := range ranked(t, name) {
			ids[text] = id
		}
		w := e.workers.New().(*worker)
		r := rand.New(rand.NewPCG(9, 9))
		for range 1000 {
			piece := randomPiece(r)
			if got, want := w.count(piece), mergeByRank(piece, ids); got != want {
				t.Errorf("%s: count(%q) = %d, merging by rank %d", name, piece, got, want)
			}
		}
	}
}

// TestSlide compares the slider and the merger with the backtracker on long pieces of each adversarial text, cut at random.
func TestSlide(t *testing.T) {
	for _, name := range Names() {
		w := mustOpen(t, name).workers.New().(*worker)
		r := rand.New(rand.NewPCG(2, 8))
		f := func(kind string, piece []byte) {
			t.Helper()
			want := w.long.count(piece)
			if got := w.slide.count(piece); got != want {
				t.Errorf("%s: %s: slide.count(%d bytes, %.60q) = %d, backtracker %d", name, kind, len(piece), piece, got, want)
			}
			if len(piece) > maxMerged {
				piece = piece[:maxMerged]
				want = w.long.count(piece)
			}
			if got := w.slide.merger.count(w.long.v, piece); got != want {
				t.Errorf("%s: %s: merger.count(%q) = %d, backtracker %d", name, kind, piece, got, want)
			}
		}
		for _, a := range adversarial() {
			f(a.name, a.text)
			for range 50 {
				i := r.IntN(len(a.text) - 1)
				f(a.name, a.text[i:min(len(a.text), i+1+r.IntN(2000))])
			}
		}
	}
}

func randomPiece(r *rand.Rand) []byte {
	alphabets := []string{"ab", "etaoin", "abcdefghijklmnopqrstuvwxyz", "-", "-=", "=*/#", " ", " \n", "\x00\xff\xe4\xb8\xad", "中文的是", "!?.,;:()"}
	alphabet := alphabets[r.IntN(len(alphabets))]
	piece := make([]byte, 1+r.IntN(300))
	for i := range piece {
		piece[i] = alphabet[r.IntN(len(alphabet))]
	}
	return piece
}

// mergeByRank is byte pair encoding as it is defined.
func mergeByRank(piece []byte, ids map[string]int) int {
	if _, ok := ids[string(piece)]; ok {
		return 1
	}
	var parts []string
	for _, c := range piece {
		parts = append(parts, string([]byte{c}))
	}
	for {
		at, best := -1, len(ids)
		for i := range len(parts) - 1 {
			if id, ok := ids[parts[i]+parts[i+1]]; ok && id < best {
				at, best = i, id
			}
		}
		if at < 0 {
			return len(parts)
		}
		parts[at] += parts[at+1]
		parts = slices.Delete(parts, at+1, at+2)
	}
}

// TestQuick shows that what the quick functions decide, the splitters decide too.
func TestQuick(t *testing.T) {
	f := func(e *Encoding, x [8]byte, rest string) {
		t.Helper()
		n := e.quick(load8(x[:], 0))
		if n == 0 {
			return
		}
		if want := e.split(append(x[:], rest...), 0); n != want {
			t.Errorf("quick(%q) = %d, split with %q after it %d", x, n, rest, want)
		}
	}
	const alphabet = "aZbz AB  \n\r\t'sS019!-/_.{\"\x00\x7f"
	o200k, cl100k := mustOpen(t, "o200k_base"), mustOpen(t, "cl100k_base")
	r := rand.New(rand.NewPCG(4, 4))
	for range 300_000 {
		var x [8]byte
		for i := range x {
			x[i] = alphabet[r.IntN(len(alphabet))]
		}
		rest := fragments[r.IntN(len(fragments))]
		if rest != strings.ToValidUTF8(rest, "") {
			continue
		}
		f(o200k, x, rest)
		f(cl100k, x, rest)
	}
}

// TestLinear counts a megabyte of each adversarial text. A quadratic count would take minutes.
func TestLinear(t *testing.T) {
	const limit = 3 * time.Second // a hundredth of that is usual
	for _, name := range Names() {
		e := mustOpen(t, name)
		for _, a := range adversarial() {
			text := bytes.Repeat(a.text, 10)
			start := time.Now()
			e.Count(text)
			if took := time.Since(start); took > limit {
				t.Errorf("%s: %s: %v for %d bytes, want at most %v", name, a.name, took, len(text), limit)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	e := mustOpen(t, "o200k_base")
	texts := make([][]byte, 0, len(kinds))
	want := make([]int, 0, len(kinds))
	for _, kind := range kinds {
		texts = append(texts, megabyte(t, kind)[:1<<14])
		want = append(want, mustOpen(t, "o200k_base").Count(texts[len(texts)-1]))
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				k := (g + i) % len(texts)
				if got := e.Count(texts[k]); got != want[k] {
					t.Errorf("%s: %d, want %d", kinds[k], got, want[k])
				}
			}
		})
	}
	wg.Wait()
}
