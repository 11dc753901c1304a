package simulator

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

// TestGolden shows each protocol's answers byte for byte: testdata/<name>.http holds the request and the response.
func TestGolden(t *testing.T) {
	_, url := start(t, Options{Now: func() time.Time { return time.Unix(1767225600, 0) }})
	f := func(name, method, path, body string, headers ...string) {
		t.Helper()
		r := do(t, method, url+path, body, headers...)
		got := fmt.Sprintf("%s %s\n%s\n\n%s\n\n---\n%d %s\n\n%s\n",
			method, path, strings.Join(headers, "\n"), body, r.status, r.header.Get("Content-Type"), r.body)
		file := filepath.Join("testdata", name+".http")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		}
	}
	goldenOpenAI(f)
	goldenAnthropic(f)
	goldenGemini(f)
	goldenOllama(f)
}

type golden func(name, method, path, body string, headers ...string)

const (
	openaiTools = `"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object",` +
		`"properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":7}}}}},` +
		`{"type":"function","function":{"name":"get_time","parameters":{"type":"object","properties":{"zone":{"enum":["UTC"]}}}}}]`
	askBoth = `"messages":[{"role":"user","content":"Use get_weather and get_time"}]`
	version = "anthropic-version: 2023-06-01"
)

func goldenOpenAI(f golden) {
	const path = "/v1/chat/completions"
	hi := strings.TrimPrefix(hello, "{")
	f("openai_chat", "POST", path, hello)
	f("openai_chat_stream", "POST", path, `{"stream":true,"stream_options":{"include_usage":true},`+hi)
	f("openai_chat_tools", "POST", path, `{"model":"sim",`+askBoth+`,`+openaiTools+`}`)
	f("openai_chat_tools_stream", "POST", path, `{"model":"sim","stream":true,`+askBoth+`,`+openaiTools+`}`)
	f("openai_chat_schema", "POST", path, `{"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object",`+
		`"properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0},"tags":{"type":"array","items":{"enum":["a","b"]}}}}}},`+hi)
	f("openai_chat_full", "POST", path, `{"n":2,"max_completion_tokens":12,"reasoning_effort":"low","logprobs":true,"top_logprobs":2,`+hi)
	f("openai_chat_refusal_stream", "POST", path, `{"stream":true,`+hi, "x-simulate-refuse: true")
	f("openai_chat_error", "POST", path, hello, "x-simulate-status: 429")
	f("openai_chat_error_event", "POST", path, `{"stream":true,`+hi, "x-simulate-error-after: 2")
	f("openai_chat_malformed_event", "POST", path, `{"stream":true,`+hi, "x-simulate-malformed-after: 2")
	f("azure_chat", "POST", "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", hello)
	f("azure_chat_stream", "POST", "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", `{"stream":true,`+hi)
	f("azure_error", "POST", "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21", hello, "x-simulate-status: 429")
	f("openai_completions", "POST", "/v1/completions", `{"model":"sim","prompt":"Once upon","echo":true}`)
	f("openai_completions_stream", "POST", "/v1/completions", `{"model":"sim","prompt":"Once upon","stream":true}`)
	f("openai_embeddings", "POST", "/v1/embeddings", `{"model":"sim-embed","input":["a cat","a dog"],"dimensions":4}`)
	f("openai_embeddings_base64", "POST", "/v1/embeddings", `{"model":"sim-embed","input":"a cat","dimensions":4,"encoding_format":"base64"}`)
	f("openai_models", "GET", "/v1/models", "")
	f("openai_model_unknown", "GET", "/v1/models/nobody", "")
}

func goldenAnthropic(f golden) {
	const path = "/v1/messages"
	hi := `{"max_tokens":2000,` + strings.TrimPrefix(hello, "{")
	tools := `"tools":[{"name":"get_weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}},` +
		`{"name":"get_time","input_schema":{"type":"object"}}]`
	thinking := `"thinking":{"type":"enabled","budget_tokens":1024}`
	full := `{"model":"sim","max_tokens":2000,` + askBoth + `,` + tools + `,` + thinking
	f("anthropic_message", "POST", path, hi, version)
	f("anthropic_message_stream", "POST", path, strings.Replace(hi, "{", `{"stream":true,`, 1), version)
	f("anthropic_full", "POST", path, full+`}`, version)
	f("anthropic_full_stream", "POST", path, full+`,"stream":true}`, version)
	f("anthropic_stop_sequence", "POST", path, strings.Replace(hi, "{", `{"stop_sequences":["simulated"],`, 1), version)
	f("anthropic_overloaded", "POST", path, hi, version, "x-simulate-status: 529")
	f("anthropic_overloaded_event", "POST", path, strings.Replace(hi, "{", `{"stream":true,`, 1), version,
		"x-simulate-error-after: 4", "x-simulate-error-status: 529")
	f("anthropic_no_version", "POST", path, hi)
	f("anthropic_count", "POST", "/v1/messages/count_tokens", hello, version)
	f("anthropic_models", "GET", "/v1/models", "", version)
}

func goldenGemini(f golden) {
	const path, stream = "/v1beta/models/sim:generateContent", "/v1beta/models/sim:streamGenerateContent"
	hi := `{"contents":[{"role":"user","parts":[{"text":"Hi there"}]}]}`
	full := `{"contents":[{"role":"user","parts":[{"text":"Use get_weather"}]}],"tools":[{"functionDeclarations":[` +
		`{"name":"get_weather","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"}}}}]}],` +
		`"generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":8}}}`
	f("gemini_generate", "POST", path, hi)
	f("gemini_generate_stream", "POST", stream+"?alt=sse", hi)
	f("gemini_generate_array", "POST", stream, hi)
	f("gemini_full", "POST", path, full)
	f("gemini_full_stream", "POST", stream+"?alt=sse", full)
	f("gemini_safety", "POST", path, hi, "x-simulate-refuse: true")
	f("gemini_error", "POST", path, hi, "x-simulate-status: 429", "x-simulate-retry-delay: 2500ms")
	f("gemini_error_event", "POST", stream+"?alt=sse", hi, "x-simulate-error-after: 2")
	f("gemini_count", "POST", "/v1beta/models/sim:countTokens", hi)
	f("gemini_embed", "POST", "/v1beta/models/sim-embed:embedContent", `{"content":{"parts":[{"text":"a cat"}]},"outputDimensionality":4}`)
	f("gemini_embed_batch", "POST", "/v1beta/models/sim-embed:batchEmbedContents",
		`{"requests":[{"content":{"parts":[{"text":"a cat"}]},"outputDimensionality":4}]}`)
	f("gemini_models", "GET", "/v1beta/models", "")
}

func goldenOllama(f golden) {
	f("ollama_chat", "POST", "/api/chat", `{"stream":false,`+strings.TrimPrefix(hello, "{"))
	f("ollama_chat_stream", "POST", "/api/chat", hello)
	f("ollama_full_stream", "POST", "/api/chat", `{"model":"sim","think":"low",`+askBoth+`,`+openaiTools+`}`)
	f("ollama_full", "POST", "/api/chat", `{"model":"sim","stream":false,"think":"low",`+askBoth+`,`+openaiTools+`}`)
	f("ollama_generate_stream", "POST", "/api/generate", `{"model":"sim","prompt":"Hi","options":{"num_predict":5}}`)
	f("ollama_error", "POST", "/api/chat", hello, "x-simulate-status: 503")
	f("ollama_embed", "POST", "/api/embed", `{"model":"sim-embed","input":["a cat"],"dimensions":4}`)
	f("ollama_tags", "GET", "/api/tags", "")
	f("ollama_version", "GET", "/api/version", "")
}
