// Package tokenizer counts the tokens of a text as a model does.
//
// It owns which model uses which encoding (models.txt). Package bpe counts exactly, package approx estimates where a
// vocabulary is not public, package chat adds what a request's framing costs. It speaks bytes and numbers: it must not
// import the packages that know requests (ai, gateway), ratelimit or promptguard.
package tokenizer

import (
	"sync"

	"github.com/nantian-gw/nantian/tokenizer/approx"
	"github.com/nantian-gw/nantian/tokenizer/bpe"
	"github.com/nantian-gw/nantian/tokenizer/chat"
)

// A Tokenizer counts tokens. It may be used by many goroutines at once.
type Tokenizer interface {
	// Name is the encoding, or the family of models that an estimate is for.
	Name() string
	// Exact says whether Count is the model's own count or an estimate of it.
	Exact() bool
	// Count returns the number of tokens of a text. Text that looks like a special token is text.
	Count(text []byte) int
}

var (
	_ Tokenizer = (*encoding)(nil)
	_ Tokenizer = (*approx.Estimator)(nil)
)

// A Registry finds the tokenizer of a model. It may be used by many goroutines at once. A vocabulary is loaded when its
// first text is counted (about 10 ms and 10 MB for the largest) and then kept as long as the Registry: a process needs one Registry.
type Registry struct {
	models    models
	encodings map[string]*encoding
	families  map[string]*approx.Estimator
}

// An encoding loads its vocabulary on first use.
type encoding struct {
	name string
	open func() *bpe.Encoding
}

func (e *encoding) Name() string          { return e.name }
func (e *encoding) Exact() bool           { return true }
func (e *encoding) Count(text []byte) int { return e.open().Count(text) }

// aliases are encodings that differ from another in their special tokens only. Those of a text count as text.
// Source: tiktoken_ext/openai_public.py.
var aliases = [][2]string{
	{"o200k_harmony", "o200k_base"},
	{"p50k_edit", "p50k_base"},
	{"gpt2", "r50k_base"},
}

// New returns a Registry of all encodings and families.
func New() *Registry {
	r := &Registry{
		models:    parseModels(modelsFile),
		encodings: make(map[string]*encoding),
		families:  make(map[string]*approx.Estimator),
	}
	for _, name := range bpe.Names() {
		r.encodings[name] = &encoding{name, sync.OnceValue(func() *bpe.Encoding {
			e, err := bpe.Open(name)
			if err != nil {
				panic(err) // the name and the embedded file come from bpe itself
			}
			return e
		})}
	}
	for _, a := range aliases {
		r.encodings[a[0]] = &encoding{a[0], r.encodings[a[1]].open}
	}
	for _, name := range approx.Families() {
		r.families[name] = approx.New(name, r.encodings["o200k_base"].Count)
	}
	return r
}

// ForModel returns the tokenizer of a model as its vendor names it, in any case, dated, fine-tuned ("ft:gpt-4o:org::id")
// or with a provider before a slash. It never returns nil: for a model that it does not know, it is an estimator.
func (r *Registry) ForModel(model string) Tokenizer {
	name := r.models.find(model).name
	if e, ok := r.encodings[name]; ok {
		return e
	}
	if f, ok := r.families[name]; ok {
		return f
	}
	return r.families[approx.Unknown]
}

// Rules returns the numbers with which package chat counts the requests for a model, names as in ForModel.
func (r *Registry) Rules(model string) chat.Rules { return r.models.find(model).rules }

// ForEncoding returns the exact tokenizer of an encoding.
func (r *Registry) ForEncoding(name string) (Tokenizer, bool) {
	e, ok := r.encodings[name]
	if !ok {
		return nil, false
	}
	return e, true
}

// Encodings returns the names that ForEncoding knows, newest first.
func (r *Registry) Encodings() []string {
	return []string{"o200k_base", "o200k_harmony", "cl100k_base", "p50k_base", "p50k_edit", "r50k_base", "gpt2"}
}
