// Package bpe counts the tokens of OpenAI's encodings exactly, without building them.
//
// It owns the vocabularies, which are embedded, the splitting of text into pieces, and byte pair merging. It knows no
// models (package tokenizer maps them to encodings) and imports the standard library only.
//
// A text is counted as tiktoken's encode_ordinary encodes it: what looks like a special token is ordinary text. A byte
// that is not part of a valid UTF-8 sequence counts as U+FFFD, as it would after encoding/json or a conversion to runes.
package bpe

import (
	_ "embed"
	"fmt"
	"sync"
	"unicode/utf8"
)

// An Encoding counts tokens. It may be used by many goroutines at once.
type Encoding struct {
	v       *vocab
	split   splitter
	quick   func(x uint64) int
	workers sync.Pool
}

//go:generate go run ./gen

var (
	//go:embed vocab/o200k_base.bin
	o200k string
	//go:embed vocab/cl100k_base.bin
	cl100k string
	//go:embed vocab/p50k_base.bin
	p50k string
)

// Names returns the encodings that Open knows, newest first.
func Names() []string { return []string{"o200k_base", "cl100k_base", "p50k_base", "r50k_base"} }

// Open builds the tables of an encoding: about 10 ms and 10 MB for the largest. Callers share the result.
func Open(name string) (*Encoding, error) {
	switch name {
	case "o200k_base":
		return open(o200k, 0, splitO200k, quickO200k)
	case "cl100k_base":
		return open(cl100k, 0, splitCL100k, quickCL100k)
	case "p50k_base":
		return open(p50k, 0, splitR50k, quickNone)
	case "r50k_base":
		const tokens = 50256 // p50k_base adds runs of spaces after these
		return open(p50k, tokens, splitR50k, quickNone)
	}
	return nil, fmt.Errorf("bpe: encoding %q: want one of %q", name, Names())
}

func open(file string, tokens int, split splitter, quick func(uint64) int) (*Encoding, error) {
	v, err := load(file, tokens)
	if err != nil {
		return nil, err
	}
	e := &Encoding{v: v, split: split, quick: quick}
	e.workers.New = func() any { return newWorker(e) }
	return e, nil
}

// Count returns the number of tokens of text. It takes time linear in the text, whatever it says.
func (e *Encoding) Count(text []byte) int {
	w := e.workers.Get().(*worker)
	if !utf8.Valid(text) {
		text = w.replaceInvalid(text)
	}
	n := w.text(text)
	w.release()
	e.workers.Put(w)
	return n
}
