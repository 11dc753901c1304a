package vendors_test

import (
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/vendors"
)

func none(string) string { return "" }

func version(name string) string {
	if strings.EqualFold(name, "anthropic-version") {
		return "2023-06-01"
	}
	return ""
}

func TestDetect(t *testing.T) {
	f := func(method, path string, header func(string) string, schema ai.Schema, op ai.Op, model string) {
		t.Helper()
		d, gotOp, gotModel, ok := vendors.Detect(method, path, header)
		if d.Schema() != schema || gotOp != op || gotModel != model || ok != (op != ai.OpNone) {
			t.Errorf("%s %s: %s %s %q %v, want %s %s %q", method, path, d.Schema(), gotOp, gotModel, ok, schema, op, model)
		}
		b, opOfBytes, _, _ := vendors.Detect([]byte(method), []byte(path), header)
		if b.Schema() != schema || opOfBytes != op {
			t.Errorf("%s %s: bytes are read otherwise than the string", method, path)
		}
	}
	f("POST", "/v1/chat/completions", none, ai.OpenAI, ai.OpChat, "")
	f("POST", "/chat/completions", none, ai.OpenAI, ai.OpChat, "")
	f("POST", "/team-a/v1/chat/completions/", none, ai.OpenAI, ai.OpChat, "")
	f("POST", "/v1/completions", none, ai.OpenAI, ai.OpCompletion, "")
	f("POST", "/v1/embeddings", none, ai.OpenAI, ai.OpEmbeddings, "")
	f("POST", "/v1/messages", version, ai.Anthropic, ai.OpChat, "")
	f("POST", "/anthropic/v1/messages", none, ai.Anthropic, ai.OpChat, "")
	f("POST", "/v1/messages/count_tokens", version, ai.Anthropic, ai.OpCountTokens, "")
	f("GET", "/v1/models", none, ai.OpenAI, ai.OpListModels, "")
	f("GET", "/v1/models", version, ai.Anthropic, ai.OpListModels, "")
	f("GET", "/v1/models/gpt-5", none, ai.OpenAI, ai.OpGetModel, "gpt-5")
	f("GET", "/v1/models/meta-llama/Llama-4", none, ai.OpenAI, ai.OpGetModel, "meta-llama/Llama-4")
	f("GET", "/v1/models/meta-llama%2FLlama-4", version, ai.Anthropic, ai.OpGetModel, "meta-llama/Llama-4")
	f("POST", "/openai/deployments/gpt%205/chat/completions", none, ai.OpenAI, ai.OpChat, "gpt 5")
	f("POST", "/x/openai/deployments/e/embeddings", none, ai.OpenAI, ai.OpEmbeddings, "e")
	f("POST", "/openai/deployments/a/b/completions", none, ai.OpenAI, ai.OpCompletion, "")
	f("POST", "/openai/v1/chat/completions", none, ai.OpenAI, ai.OpChat, "")

	f("GET", "/v1/chat/completions", none, ai.OpenAI, ai.OpNone, "")
	f("POST", "/v1/models", none, ai.OpenAI, ai.OpNone, "")
	f("DELETE", "/v1/models/x", none, ai.OpenAI, ai.OpNone, "")
	f("POST", "/v1/threads/t/messages", none, ai.OpenAI, ai.OpNone, "")
	f("POST", "/v1/messages/batches", version, ai.Anthropic, ai.OpNone, "")
	f("POST", "/v1/xchat", none, ai.OpenAI, ai.OpNone, "")
	f("POST", "", none, ai.OpenAI, ai.OpNone, "")
}

func TestDetectDoesNotAllocate(t *testing.T) {
	f := func(method, path string) {
		t.Helper()
		m, p := []byte(method), []byte(path)
		if n := testing.AllocsPerRun(100, func() { vendors.Detect(m, p, none) }); n > 0 {
			t.Errorf("%s %s: %v allocations", method, path, n)
		}
	}
	f("POST", "/a/rather/long/prefix/of/a/route/v1/chat/completions")
	f("POST", "/v1/messages")
	f("POST", "/v1/embeddings")
	f("GET", "/v1/models")
}

func FuzzDetect(f *testing.F) {
	f.Add("POST", "/openai/deployments/%zz/chat/completions")
	f.Add("GET", "/v1/models/%2F/")
	f.Fuzz(func(t *testing.T, method, path string) {
		d, op, model, ok := vendors.Detect(method, path, version)
		if d == nil || ok != (op != ai.OpNone) || !ok && model != "" {
			t.Errorf("%q %q: %v %s %q %v", method, path, d, op, model, ok)
		}
	})
}

func BenchmarkDetect(b *testing.B) {
	m, p := []byte("POST"), []byte("/v1/chat/completions")
	b.ReportAllocs()
	for b.Loop() {
		vendors.Detect(m, p, none)
	}
}

func TestEverySchemaHasASide(t *testing.T) {
	for _, s := range vendors.Providers() {
		p, ok := vendors.Provider(s)
		if !ok || p.Schema() != s {
			t.Errorf("%s: provider %v", s, p)
		}
		if header, _ := vendors.Credential(s); header == "" {
			t.Errorf("%s has no header for credentials", s)
		}
		if (vendors.BaseURL(s) == "") != (s == ai.AzureOpenAI) {
			t.Errorf("%s: base URL %q", s, vendors.BaseURL(s))
		}
	}
	for _, s := range vendors.Dialects() {
		if d, ok := vendors.Dialect(s); !ok || d.Schema() != s {
			t.Errorf("%s: dialect %v", s, d)
		}
	}
	if _, ok := vendors.Provider("Nobody"); ok {
		t.Error("a provider for a schema that does not exist")
	}
}
