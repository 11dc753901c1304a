package bpe

import (
	"strings"
	"testing"
)

func FuzzO200k(f *testing.F)  { fuzz(f, "o200k_base") }
func FuzzCL100k(f *testing.F) { fuzz(f, "cl100k_base") }
func FuzzP50k(f *testing.F)   { fuzz(f, "p50k_base") }
func FuzzR50k(f *testing.F)   { fuzz(f, "r50k_base") }

// fuzz compares with tiktoken-go, and the first count, which fills memos, with the second.
func fuzz(f *testing.F, name string) {
	for _, s := range fragments {
		f.Add(s)
	}
	for _, a := range adversarial() {
		f.Add(string(a.text[:200]))
	}
	e, want := mustOpen(f, name), oracle(f, name)
	f.Fuzz(func(t *testing.T, s string) {
		got := e.Count([]byte(s))
		if got > 3*len(s) || got == 0 && s != "" {
			t.Errorf("Count of %d bytes = %d", len(s), got)
		}
		if again := e.Count([]byte(s)); again != got {
			t.Errorf("Count(%q) = %d, then %d", s, got, again)
		}
		if len(s) > 400 || strings.ContainsFunc(s, newer) {
			return // tiktoken-go is quadratic, and knows Unicode 15
		}
		if want := want(s); got != want {
			t.Errorf("Count(%q) = %d, tiktoken-go %d", s, got, want)
		}
	})
}
