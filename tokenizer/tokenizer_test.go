package tokenizer_test

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/nantian-gw/nantian/tokenizer"
)

func TestForModel(t *testing.T) {
	r := tokenizer.New()
	f := func(model, want string, exact bool) {
		t.Helper()
		got := r.ForModel(model)
		if got.Name() != want || got.Exact() != exact {
			t.Errorf("ForModel(%q) = %s, exact %v; want %s, %v", model, got.Name(), got.Exact(), want, exact)
		}
	}
	for _, model := range []string{
		"gpt-5", "gpt-5-mini", "gpt-5.1-codex", "gpt-5-2025-08-07", "gpt-4.5-preview", "gpt-4.1", "gpt-4.1-nano-2025-04-14",
		"gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-mini-search-preview-2025-03-11", "chatgpt-4o-latest", "o1", "o1-pro",
		"o3-mini-2025-01-31", "o4-mini", "GPT-4o", "openai/gpt-4o", "ft:gpt-4o:acme::AbC1", "ft:gpt-4.1-mini-2025-04-14:acme:n:x",
	} {
		f(model, "o200k_base", true)
	}
	f("gpt-oss-120b", "o200k_harmony", true)
	f("gpt-oss:20b", "o200k_harmony", true)
	f("openai/gpt-oss-20b", "o200k_harmony", true)
	for _, model := range []string{
		"gpt-4", "gpt-4-0613", "gpt-4-turbo-2024-04-09", "gpt-4-32k", "gpt-3.5-turbo", "gpt-3.5-turbo-0125", "gpt-35-turbo",
		"ft:gpt-3.5-turbo-0125:acme::x", "ft:gpt-4:acme", "davinci-002", "babbage-002", "ft:davinci-002:acme",
		"text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large",
	} {
		f(model, "cl100k_base", true)
	}
	for _, model := range []string{"text-davinci-003", "text-davinci-002", "code-davinci-002", "code-cushman-001", "davinci-codex"} {
		f(model, "p50k_base", true)
	}
	f("text-davinci-edit-001", "p50k_edit", true)
	for _, model := range []string{"text-davinci-001", "davinci", "davinci:ft-acme-2023", "ada", "text-search-ada-doc-001"} {
		f(model, "r50k_base", true)
	}
	f("gpt2", "gpt2", true)
	f("claude-opus-4-1-20250805", "claude", false)
	f("us.anthropic.claude-3-5-sonnet-20240620-v1:0", "claude", false)
	f("models/gemini-2.5-flash", "gemini", false)
	f("meta-llama/Llama-3.3-70B-Instruct", "llama", false)
	f("llama3.2:3b", "llama", false)
	f("mistral-large-latest", "mistral", false)
	f("a-model-of-our-own", "unknown", false)
	f("gpt", "unknown", false)
	f("", "unknown", false)
}

func TestForEncoding(t *testing.T) {
	r := tokenizer.New()
	want := map[string]int{"gpt2": 10, "r50k_base": 10, "p50k_edit": 10, "p50k_base": 10, "cl100k_base": 10, "o200k_harmony": 10, "o200k_base": 10}
	for _, name := range r.Encodings() {
		e, ok := r.ForEncoding(name)
		if !ok || e.Name() != name || !e.Exact() {
			t.Fatalf("ForEncoding(%q) = %v, %v", name, e, ok)
		}
		if got := e.Count([]byte("The quick brown fox jumps over the lazy dog.")); got != want[name] {
			t.Errorf("%s: Count = %d, want %d", name, got, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("Encodings lacks %v", want)
	}
	if e, ok := r.ForEncoding("o300k"); ok || e != nil {
		t.Errorf("ForEncoding(o300k) = %v, %v", e, ok)
	}
}

// TestModelsFile shows that every line leads to a tokenizer, and that its pattern finds that line.
func TestModelsFile(t *testing.T) {
	file, err := os.ReadFile("models.txt")
	if err != nil {
		t.Fatal(err)
	}
	r := tokenizer.New()
	for line := range strings.Lines(string(file)) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "#" {
			continue
		}
		got := r.ForModel(strings.TrimSuffix(f[0], "*"))
		if got.Name() != f[1] {
			t.Errorf("%s counts with %s, want %s", f[0], got.Name(), f[1])
		}
		if _, ok := r.ForEncoding(f[1]); ok != got.Exact() {
			t.Errorf("%s: %s is an encoding: %v, exact: %v", f[0], f[1], ok, got.Exact())
		}
	}
}

func TestConcurrent(t *testing.T) {
	r := tokenizer.New()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got := r.ForModel("gpt-4o").Count([]byte("Grüße aus 東京, world's end\n\n")); got != 9 {
					t.Errorf("Count = %d, want 9", got)
				}
			}
		})
	}
	wg.Wait()
}
