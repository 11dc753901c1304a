package simulator

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhichToolsAreCalled(t *testing.T) {
	_, url := start(t, Options{})
	f := func(text, more string, want int, directives ...string) {
		t.Helper()
		body := `{"model":"sim","messages":[{"role":"user","content":"` + text + `"}` + more + `,` + openaiTools + `}`
		r := do(t, "POST", url+chatPath, body, directives...)
		if got := strings.Count(r.body, `"id":"call_`); r.status != 200 || got != want {
			t.Errorf("%q %s: %d calls, want %d: %s", text, more, got, want, r.body)
		}
	}
	f("What is the weather?", `]`, 1)
	f("Use get_weather and get_time", `]`, 2)
	f("Use get_weather and get_time", `],"parallel_tool_calls":false`, 1)
	f("Use get_weather and get_time", `],"tool_choice":"none"`, 0)
	f("Hi", `],"tool_choice":{"type":"function","function":{"name":"get_time"}}`, 1)
	f("Hi", `]`, 0, "x-simulate-calls: 0")
	f("Hi", `]`, 5, "x-simulate-calls: 5")
	f("Hi [[simulate: calls=3]]", `]`, 3)
	const turn = `,{"role":"assistant","tool_calls":[{"id":"x","type":"function","function":{"name":"get_time","arguments":"{}"}}]},` +
		`{"role":"tool","tool_call_id":"x","content":"noon"}]`
	f("Use get_time [[simulate: calls=3]]", turn, 0)
	f("Use get_time", turn+`,"tool_choice":"required"`, 1)
}

func TestBadRequestsAreRefused(t *testing.T) {
	_, url := start(t, Options{Strict: true})
	f := func(path, body, want string) {
		t.Helper()
		r := do(t, "POST", url+path, body, version)
		if r.status < 400 || r.status > 499 || !strings.Contains(r.body, want) {
			t.Errorf("%s with %s: status %d, %s; want %q", path, body, r.status, r.body, want)
		}
	}
	f(chatPath, `{`, "not valid JSON")
	f(chatPath, `[]`, "not a JSON object")
	f(chatPath, `{"model":"sim"}`, "'messages'")
	f(chatPath, `{"messages":[]}`, "model")
	f(chatPath, `{"model":"nobody","messages":[{"role":"user","content":"x"}]}`, "model_not_found")
	f(chatPath, `{"model":"sim","messages":[{"role":"tool","content":"x"}]}`, "tool_calls")
	f(chatPath, `{"model":"sim","messages":[{"role":"robot","content":"x"}]}`, "robot")
	f(chatPath, `{"model":"sim","n":1000,"messages":[{"role":"user","content":"x"}]}`, "'n'")
	f(chatPath, `{"model":"sim","top_logprobs":2,"messages":[{"role":"user","content":"x"}]}`, "logprobs")
	f("/openai/deployments/sim/chat/completions", hello, "Resource not found")
	f("/v1/embeddings", `{"model":"sim"}`, "input")
	f("/v1/messages", `{"model":"sim","messages":[{"role":"user","content":"x"}]}`, "max_tokens: Field required")
	f("/v1/messages", `{"model":"sim","max_tokens":9,"messages":[{"role":"system","content":"x"}]}`, "messages.0.role")
	f("/v1/messages", `{"model":"sim","max_tokens":9,"thinking":{"type":"enabled","budget_tokens":9},"messages":[{"role":"user","content":"x"}]}`, "1024")
	f("/v1beta/models/sim:generateContent", `{}`, "contents")
	f("/v1beta/models/sim:generateContent", `{"generationConfig":{"thinkingConfig":{}},"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}}]}]}`, "thought_signature")
	f("/api/chat", `{"messages":[]}`, "model is required")
	f("/nowhere", `{}`, "Invalid URL")
}

func TestAnthropicChecksTheHistory(t *testing.T) {
	_, url := start(t, Options{})
	f := func(turns, want string) {
		t.Helper()
		body := `{"model":"sim","max_tokens":99,"messages":[{"role":"user","content":"x"},` + turns + `]}`
		if r := do(t, "POST", url+"/v1/messages", body, version); !strings.Contains(r.body, want) {
			t.Errorf("%s: %s; want %q", turns, r.body, want)
		}
	}
	use := `{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"n","input":{}}]},`
	result := `{"role":"user","content":[{"type":"tool_result","tool_use_id":"%s","content":"noon"}]}`
	thought := `{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"%s"}]},{"role":"user","content":"y"}`
	f(use+fmt.Sprintf(result, "a"), "noon")
	f(use+fmt.Sprintf(result, "b"), "unexpected `tool_use_id`")
	f(use+`{"role":"user","content":"y"}`, "without `tool_result`")
	f(fmt.Sprintf(thought, appendSignature(nil, []byte("hm"))), "You said")
	f(fmt.Sprintf(thought, "forged"), "Invalid `signature`")
}

func TestAnthropicCachesPrefixes(t *testing.T) {
	_, url := start(t, Options{})
	f := func(text, want string) {
		t.Helper()
		body := `{"model":"sim","max_tokens":99,"system":[{"type":"text","text":"one two three","cache_control":{"type":"ephemeral"}},` +
			`{"type":"text","text":"four five","cache_control":{"type":"ephemeral","ttl":"1h"}}],"messages":[{"role":"user","content":"` + text + `"}]}`
		if r := do(t, "POST", url+"/v1/messages", body, version); !strings.Contains(r.body, want) {
			t.Errorf("%s; want %q", r.body, want)
		}
	}
	f("a b", `"input_tokens":2,"cache_creation_input_tokens":5,"cache_read_input_tokens":0,`+
		`"cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":2}`)
	f("another text", `"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":5,`)
}
