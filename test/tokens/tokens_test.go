package tokens

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/tokenizer"
)

// perEncoding is how many generated texts are compared in each encoding.
const perEncoding = 1_000_000

// maxReported is how many differences of an encoding are told in full.
const maxReported = 20

// encodings are all with an oracle of their own; p50k_edit and gpt2 are p50k_base and r50k_base but for special tokens.
var encodings = []string{"o200k_base", "o200k_harmony", "cl100k_base", "p50k_base", "r50k_base"}

// TestSameAsTiktoken compares a million generated texts in each encoding, every code point in context, and the corpus with
// every difference ever found. A difference that it finds belongs into tokenizer/bpe/testdata/corpus/differences.txt.
func TestSameAsTiktoken(t *testing.T) {
	dir, registry := install(t), tokenizer.New()
	files := corpus(t)
	for i, name := range encodings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, ok := registry.ForEncoding(name)
			if !ok {
				t.Fatalf("there is no %s", name)
			}
			c := comparison{t: t, count: e.Count, oracle: startOracle(t, dir, name)}
			for _, text := range files {
				c.add(text)
			}
			codePoints(c.add)
			g := generator{rand.New(rand.NewPCG(3, uint64(i))), files}
			for range perEncoding {
				c.add(g.text())
			}
			c.flush()
			c.oracle.close(t)
			t.Logf("%d texts, %d bytes, %d differences", c.texts, c.bytes, c.differences)
		})
	}
}

// comparison counts texts while the oracle does.
type comparison struct {
	t                         *testing.T
	count                     func([]byte) int
	oracle                    *oracle
	batch                     []string
	texts, bytes, differences int
}

const batchSize = 4096

func (c *comparison) add(text string) {
	c.texts, c.bytes = c.texts+1, c.bytes+len(text)
	if c.batch = append(c.batch, text); len(c.batch) == batchSize {
		c.flush()
	}
}

func (c *comparison) flush() {
	if len(c.batch) == 0 {
		return
	}
	c.oracle.send(c.t, c.batch)
	got := make([]int, len(c.batch))
	for i, text := range c.batch {
		got[i] = c.count([]byte(text))
	}
	for i, want := range c.oracle.receive(c.t, len(c.batch)) {
		if got[i] == want {
			continue
		}
		if c.differences++; c.differences <= maxReported {
			c.t.Errorf("Count(%q) = %d, tiktoken %d", c.batch[i], got[i], want)
		}
	}
	c.batch = c.batch[:0]
}

// corpus returns the files of the corpus, and their lines.
func corpus(t *testing.T) []string {
	t.Helper()
	var texts []string
	err := filepath.WalkDir("../../tokenizer/bpe/testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		texts = append(append(texts, string(b)), strings.SplitAfter(string(b), "\n")...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestOracle shows that the comparison can fail.
func TestOracle(t *testing.T) {
	o := startOracle(t, install(t), "cl100k_base")
	texts := []string{"hello world", "", "<|endoftext|>", "\xff\xfe", strings.Repeat("a", 64)}
	o.send(t, texts)
	want := []int{2, 0, 7, 1, 8}
	for i, n := range o.receive(t, len(texts)) {
		if n != want[i] {
			t.Errorf("tiktoken counts %q as %d, want %d", texts[i], n, want[i])
		}
	}
	o.close(t)
}
