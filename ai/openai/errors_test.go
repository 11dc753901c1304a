package openai_test

import (
	"encoding/json"
	"errors"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/openai"
)

func TestPeekErrors(t *testing.T) {
	f := func(body, param, message string) {
		t.Helper()
		var e *ai.Error
		err := dialect.Peek(ai.OpChat, []byte(body), &ai.Request{})
		if !errors.As(err, &e) || e.Status != 400 || e.Param != param || !strings.Contains(e.Message, message) {
			t.Errorf("%s: got %v, want %q %q", body, err, param, message)
		}
	}
	f(``, "", "invalid JSON")
	f(`[]`, "", "must be a JSON object")
	f(`{}`, "model", "required")
	f(`{"model":null}`, "model", "required")
	f(`{"model":""}`, "model", "must not be empty")
	f(`{"model":["a"]}`, "model", "expected a string, got an array")
	f(`{"model":"a","model":"b"}`, "", "a key stands twice")
	f(`{"model":"a","mod\u0065l":"b"}`, "", "a key stands twice")
	f(`{"model":"a","stream":"yes"}`, "stream", "expected true or false, got a string")
	f(`{"model":"a","n":0}`, "n", "at least 1")
	f(`{"model":"a","max_tokens":1.5}`, "max_tokens", "whole number")
	f(`{"model":"a","max_completion_tokens":-1}`, "max_completion_tokens", "not negative")
	f(`{"model":"a","stream_options":1}`, "stream_options", "expected an object, got a number")
	f(`{"model":"a","stream_options":{"include_usage":1}}`, "stream_options.include_usage", "true or false")
	f(`{"model":"a","user":{}}`, "user", "expected a string")
}

func TestPeekSkipsWhatIsLeftOut(t *testing.T) {
	var r ai.Request
	body := `{"mod\u0065l":"a\u0062","stream":null,"safety_identifier":"s","max_tokens":7,"stream_options":{"include_usage":true},"n":null}`
	if err := dialect.Peek(ai.OpChat, []byte(body), &r); err != nil {
		t.Fatal(err)
	}
	if r.Model != "ab" || r.Stream || r.User != "s" || r.MaxOutput != 7 || !r.WantsUsage || r.N != 0 {
		t.Errorf("got %+v", r)
	}
}

func TestDecodeChatErrors(t *testing.T) {
	f := func(fields, param string) {
		t.Helper()
		var e *ai.Error
		_, err := dialect.DecodeChat(ai.OpChat, []byte(`{"model":"m",`+fields+`}`))
		if !errors.As(err, &e) || e.Status != 400 || e.Param != param {
			t.Errorf("%s: got %v, want %s", fields, err, param)
		}
	}
	m := `"messages":[{"role":"user","content":"x"}],`
	f(`"n":1`, "messages")
	f(`"messages":{}`, "messages")
	f(`"messages":[]`, "messages")
	f(`"messages":[1]`, "messages[0]")
	f(`"messages":[{"role":"robot","content":"x"}]`, "messages[0].role")
	f(`"messages":[{"role":"user"}]`, "messages[0].content")
	f(`"messages":[{"role":"user","content":7}]`, "messages[0].content")
	f(`"messages":[{"role":"user","content":[{"text":"x"}]}]`, "messages[0].content[0].type")
	f(`"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x"}}]}]`, "messages[0].content[0].input_audio.format")
	f(`"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"x"}}]}]`, "messages[0].content[0].file")
	f(`"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]`, "messages[0].tool_calls[0].id")
	f(`"messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]`, "messages[0].tool_calls[0].function")
	f(`"messages":[{"role":"assistant","reasoning_details":[{"type":"x"}]}]`, "messages[0].reasoning_details[0].type")
	f(`"messages":[{"role":"tool","content":"x"}]`, "messages[0].tool_call_id")
	f(`"messages":[{"role":"function","name":"f","content":"x"}]`, "messages[0].name")
	f(m+`"tools":[{"type":"function","function":{}}]`, "tools[0].function.name")
	f(m+`"tools":[{"function":{"name":"f","parameters":"x"}}]`, "tools[0].function.parameters")
	f(m+`"tools":[{"type":"function"}]`, "tools[0].function")
	f(m+`"tool_choice":"maybe"`, "tool_choice")
	f(m+`"tool_choice":{"type":"function"}`, "tool_choice.function.name")
	f(m+`"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}}`, "tool_choice.allowed_tools.tools")
	f(m+`"response_format":{"type":"xml"}`, "response_format.type")
	f(m+`"response_format":{"type":"json_schema","json_schema":{}}`, "response_format.json_schema.name")
	f(m+`"reasoning_effort":"hard"`, "reasoning_effort")
	f(m+`"temperature":"hot"`, "temperature")
	f(m+`"stop":[1]`, "stop[0]")
	f(m+`"logit_bias":[]`, "logit_bias")
	if _, err := dialect.DecodeChat(ai.OpCompletion, []byte(`{"prompt":["a","b"]}`)); err == nil || !strings.Contains(err.Error(), "prompt") {
		t.Errorf("two prompts: %v", err)
	}
}

func TestDecodeError(t *testing.T) {
	f := func(status int, body, want string) {
		t.Helper()
		got := openai.Provider{}.DecodeError(status, func(string) string { return "" }, []byte(body))
		b, _ := json.Marshal(prune(reread(got)))
		if string(b) != want {
			t.Errorf("%s: got %s, want %s", body, b, want)
		}
	}
	f(400, `{"error":{"message":"Bad","type":"invalid_request_error","param":"x","code":"c"}}`,
		`{"Code":"c","Message":"Bad","Param":"x","Status":400,"Type":"invalid_request_error","Upstream":true}`)
	f(500, `{"error":"boom"}`, `{"Message":"boom","Status":500,"Upstream":true}`)
	f(404, `{"detail":"Not Found"}`, `{"Message":"Not Found","Status":404,"Upstream":true}`)
	f(422, `{"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]}`, `{"Message":"field required","Status":422,"Upstream":true}`)
	f(401, `{"object":"error","message":"no key","type":"AuthError","code":401}`, `{"Code":"401","Message":"no key","Status":401,"Type":"AuthError","Upstream":true}`)
	f(429, `[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]`, `{"Code":"429","Message":"quota","Status":429,"Upstream":true}`)
	f(502, `<html><h1>Bad gateway at 10.0.0.7</h1></html>`, `{"Message":"the provider answered with status 502","Status":502,"Upstream":true}`)
	f(503, ``, `{"Message":"the provider answered with status 503","Status":503,"Upstream":true}`)
	f(503, "no healthy upstream\n", `{"Message":"no healthy upstream","Status":503,"Upstream":true}`)
	f(500, "\xff\xfe", `{"Message":"the provider answered with status 500","Status":500,"Upstream":true}`)
	f(500, `{"error":{"mess`, `{"Message":"the provider answered with status 500","Status":500,"Upstream":true}`)
	f(500, `"plain"`, `{"Message":"plain","Status":500,"Upstream":true}`)
	f(401, `{"error":{"message":"Incorrect API key provided: sk-proj-abc***xyz. You can find it"}}`,
		`{"Message":"Incorrect API key provided: sk-*** You can find it","Status":401,"Upstream":true}`)
	f(400, `{"message":"the task-queue has no disk-space"}`, `{"Message":"the task-queue has no disk-space","Status":400,"Upstream":true}`)
	long := openai.Provider{}.DecodeError(500, func(string) string { return "" }, []byte(strings.Repeat("ü", 100000)))
	if len(long.Message) > 2100 {
		t.Errorf("a message of %d bytes", len(long.Message))
	}
}

func TestDecodeErrorHeaders(t *testing.T) {
	h := textproto.MIMEHeader{}
	h.Set("retry-after", "7")
	h.Set("x-request-id", "req_1")
	e := openai.Provider{}.DecodeError(429, h.Get, []byte(`{}`))
	if e.RetryAfter != 7*time.Second || e.RequestID != "req_1" {
		t.Errorf("got %+v", e)
	}
}

func TestAppendError(t *testing.T) {
	f := func(e ai.Error, want string) {
		t.Helper()
		if got := string(dialect.AppendError(nil, &e)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(ai.Error{Status: 400, Message: "a \"b\"", Param: "model", Code: "c"}, `{"error":{"message":"a \"b\"","type":"invalid_request_error","param":"model","code":"c"}}`)
	f(ai.Error{Status: 429, Message: "m"}, `{"error":{"message":"m","type":"rate_limit_error","param":null,"code":null}}`)
	f(ai.Error{Status: 529, Message: "m", Type: "overloaded_error"}, `{"error":{"message":"m","type":"overloaded_error","param":null,"code":null}}`)
	f(ai.Error{Status: 502, Message: "m"}, `{"error":{"message":"m","type":"server_error","param":null,"code":null}}`)
}

func TestScan(t *testing.T) {
	f := func(body string, wantFinish ai.Finish, wantOutput int) {
		t.Helper()
		x := &ai.Exchange{}
		if err := (openai.Provider{}).Scan(x, []byte(body)); err != nil || x.Finish != wantFinish || x.Usage.Output != wantOutput {
			t.Errorf("%s: got %v %q %+v", body, err, x.Finish, x.Usage)
		}
	}
	f(`{"choices":[{"message":{"content":"x","tool_calls":[]},"finish_reason":"stop"}],"usage":{"completion_tokens":2}}`, ai.FinishStop, 2)
	f(`{"choices":[{"message":{"tool_calls":[{"id":"a"}]},"finish_reason":"stop"},{"finish_reason":"length"}],"usage":null}`, ai.FinishTools, 0)
	f(`{"data":[{"embedding":[0.123456789,1]}],"usage":{"prompt_tokens":3,"total_tokens":3}}`, "", 0)
	if err := (openai.Provider{}).Scan(&ai.Exchange{}, []byte("<html>")); err == nil {
		t.Error("a page was scanned without an error")
	}
}

func TestModels(t *testing.T) {
	got := string(dialect.AppendModels(nil, []ai.ModelInfo{{ID: "a", OwnedBy: "o", Created: 1, ContextWindow: 8, MaxOutput: 2}, {ID: "b"}}))
	want := `{"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"o","context_window":8,"max_completion_tokens":2},{"id":"b","object":"model","created":0,"owned_by":""}]}`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(dialect.AppendTokenCount(nil, 5)); got != `{"object":"response.input_tokens","input_tokens":5}` {
		t.Error(got)
	}
	var out ai.HTTPRequest
	x := &ai.Exchange{Op: ai.OpGetModel, Client: dialect, Target: ai.Target{Model: "a/b"}}
	if err := (openai.Provider{}).EncodeRequest(x, &out); err != nil || out.Method != "GET" || out.Path != "/models/a%2Fb" {
		t.Errorf("%v %+v", err, out)
	}
}
