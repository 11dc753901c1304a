package anthropic_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
)

func TestPeek(t *testing.T) {
	f := func(op ai.Op, body string, want ai.Request) {
		t.Helper()
		var r ai.Request
		if err := (anthropic.Dialect{}).Peek(op, []byte(body), &r); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		want.WantsUsage = true
		if !reflect.DeepEqual(r, want) {
			t.Errorf("%s: got %+v", body, r)
		}
	}
	f(ai.OpChat, ` {"model":"m","max_tokens":5,"stream":true,"metadata":{"user_id":"u\u0031"}} `,
		ai.Request{Model: "m", MaxOutput: 5, Stream: true, User: "u1"})
	f(ai.OpChat, `{"mod\u0065l":"m","max_tokens":0,"stream":null,"metadata":{"user_id":null}}`, ai.Request{Model: "m"})
	f(ai.OpCountTokens, `{"model":"m","metadata":null}`, ai.Request{Model: "m"})
}

func TestPeekRefuses(t *testing.T) {
	f := func(body, param string) {
		t.Helper()
		var r ai.Request
		err := anthropic.Dialect{}.Peek(ai.OpChat, []byte(body), &r)
		var e *ai.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != param || e.Message == "" {
			t.Errorf("%s: got %v, want an error of %q", body, err, param)
		}
	}
	f(``, "")
	f(`[]`, "")
	f(`{"model":"a","model":"b","max_tokens":1}`, "")
	f(`{"model":"a","max_tokens":1,"x":"`+"\xff"+`"}`, "")
	f(`{"max_tokens":1}`, "model")
	f(`{"model":"","max_tokens":1}`, "model")
	f(`{"model":7,"max_tokens":1}`, "model")
	f(`{"model":"m"}`, "max_tokens")
	f(`{"model":"m","max_tokens":-1}`, "max_tokens")
	f(`{"model":"m","max_tokens":1.5}`, "max_tokens")
	f(`{"model":"m","max_tokens":null}`, "max_tokens")
	f(`{"model":"m","max_tokens":1,"stream":"yes"}`, "stream")
	f(`{"model":"m","max_tokens":1,"metadata":{"user_id":7}}`, "metadata.user_id")
}

func TestDecodeChatRefuses(t *testing.T) {
	f := func(member, param string) {
		t.Helper()
		_, err := anthropic.Dialect{}.DecodeChat(ai.OpChat, []byte(`{"model":"m","max_tokens":1,`+member+`}`))
		var e *ai.Error
		if !errors.As(err, &e) || e.Status != 400 || e.Param != param || e.Message == "" {
			t.Errorf("%s: got %v, want an error of %q", member, err, param)
		}
	}
	const ok = `"messages":[{"role":"user","content":"x"}]`
	f(`"x":1`, "messages")
	f(`"messages":[]`, "messages")
	f(`"messages":{}`, "messages")
	f(`"messages":["x"]`, "messages[0]")
	f(`"messages":[{"role":"tool","content":"x"}]`, "messages[0].role")
	f(`"messages":[{"role":"user"}]`, "messages[0].content")
	f(`"messages":[{"role":"user","content":[{}]}]`, "messages[0].content[0].type")
	f(`"messages":[{"role":"user","content":["x"]}]`, "messages[0].content[0]")
	f(`"messages":[{"role":"user","content":[{"type":"text"}]}]`, "messages[0].content[0].text")
	f(`"messages":[{"role":"user","content":[{"type":"image"}]}]`, "messages[0].content[0].source")
	f(`"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]`, "messages[0].content[0].source.type")
	f(`"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url"}}]}]`, "messages[0].content[0].source.url")
	f(`"messages":[{"role":"user","content":[{"type":"tool_result"}]}]`, "messages[0].content[0].tool_use_id")
	f(`"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text"}]}]}]`,
		"messages[0].content[0].content[0].text")
	f(`"messages":[{"role":"user","content":[{"type":"tool_use","id":"a","name":"b","input":{}}]}]`, "messages[0].content[0].type")
	f(`"messages":[{"role":"assistant","content":[{"type":"tool_result","tool_use_id":"a"}]}]`, "messages[0].content[0].type")
	f(`"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"b","input":"{}"}]}]`, "messages[0].content[0].input")
	f(`"messages":[{"role":"assistant","content":[{"type":"redacted_thinking"}]}]`, "messages[0].content[0].data")
	f(ok+`,"system":7`, "system")
	f(ok+`,"system":[{"type":"text","text":1}]`, "system[0].text")
	f(ok+`,"tools":[{"description":"x"}]`, "tools[0].name")
	f(ok+`,"tools":[{"name":"x","input_schema":"y"}]`, "tools[0].input_schema")
	f(ok+`,"tool_choice":"auto"`, "tool_choice")
	f(ok+`,"tool_choice":{"type":"some"}`, "tool_choice.type")
	f(ok+`,"tool_choice":{"type":"tool"}`, "tool_choice.name")
	f(ok+`,"tool_choice":{"type":"any","disable_parallel_tool_use":1}`, "tool_choice.disable_parallel_tool_use")
	f(ok+`,"thinking":{}`, "thinking.type")
	f(ok+`,"thinking":{"type":"enabled"}`, "thinking.budget_tokens")
	f(ok+`,"output_config":{"format":{"type":"xml"}}`, "output_config.format.type")
	f(ok+`,"output_config":{"format":{"type":"json_schema"}}`, "output_config.format.schema")
	f(ok+`,"output_config":{"effort":3}`, "output_config.effort")
	f(ok+`,"temperature":1.1`, "temperature")
	f(ok+`,"temperature":"hot"`, "temperature")
	f(ok+`,"top_k":1.5`, "top_k")
	f(ok+`,"stop_sequences":["a",1]`, "stop_sequences[1]")
	f(ok+`,"metadata":{"user_id":7}`, "metadata.user_id")
	f(ok+`,"service_tier":1`, "service_tier")
}

// What has no canonical form is named as the client wrote it, so that a provider of another schema can refuse it.
func TestExtraNamesWhatIsLost(t *testing.T) {
	c, err := anthropic.Dialect{}.DecodeChat(ai.OpChat, []byte(`{"model":"m","max_tokens":1,
		"messages":[{"role":"user","content":[{"type":"text","text":"a","new":1},{"type":"tool_result","tool_use_id":"t","content":[
			{"type":"document","context":"c","source":{"type":"url","url":"u"}}]}],"new":2}],
		"tools":[{"name":"t","input_examples":[{}],"defer_loading":false,"allowed_callers":["direct"]},{"name":"u","defer_loading":true}],
		"metadata":{"user_id":"u","other":1},"output_config":{"task_budget":{}},"cache_control":{"type":"ephemeral"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range c.Extra {
		got = append(got, f.Name)
	}
	want := []string{"messages[0].new", "messages[0].content[1].content[0].context", "tools[0].input_examples", "tools[1].defer_loading", "metadata.other", "output_config.task_budget", "cache_control"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if p := c.Messages[0].Parts[0]; p.Kind != ai.PartOpaque || string(p.Raw) != `{"type":"text","text":"a","new":1}` {
		t.Errorf("a block with an unknown member is %+v, want it opaque", p)
	}
}

func TestBypass(t *testing.T) {
	raw := `{ "model" : "smart", "messages":[{"role":"user","content":"x","future":[1,2]}],  "max_tokens":1, "stream":true}`
	x := exchange(anthropic.Dialect{}, []byte(raw))
	x.Request.Beta = "files-api-2025-04-14"
	x.Dropped = []string{"of the attempt before"}
	p := anthropic.Provider{}
	var out ai.HTTPRequest
	f := func(op ai.Op, path string) {
		t.Helper()
		x.Op = op
		if !p.Speaks(ai.Anthropic, op) {
			t.Fatalf("%v is not forwarded", op)
		}
		if err := p.ForwardRequest(x, &out); err != nil {
			t.Fatal(err)
		}
		if want := strings.Replace(raw, `"smart"`, `"claude-opus-4-6"`, 1); string(out.Body) != want || out.Path != path || len(x.Dropped) > 0 {
			t.Errorf("%s %s %q", out.Path, out.Body, x.Dropped)
		}
		want := []ai.Header{{Name: "anthropic-version", Value: "2023-06-01"}, {Name: "anthropic-beta", Value: "files-api-2025-04-14"}}
		if !reflect.DeepEqual(out.Headers, want) {
			t.Errorf("headers %v", out.Headers)
		}
	}
	f(ai.OpChat, "/v1/messages")
	f(ai.OpCountTokens, "/v1/messages/count_tokens")
	if p.Speaks(ai.OpenAI, ai.OpChat) || p.Speaks(ai.Anthropic, ai.OpEmbeddings) {
		t.Error("Speaks too much")
	}
	if err := p.Scan(x, []byte(`{"input_tokens":3}`)); err != nil {
		t.Errorf("Scan of a count: %v", err)
	}
	x.Op = ai.OpChat
	if err := p.Scan(x, []byte(`{"error":1}`)); err == nil {
		t.Error("Scan took an error for a message")
	}
}

func TestAnswersOfTheDialect(t *testing.T) {
	d := anthropic.Dialect{}
	f := func(got []byte, want string) {
		t.Helper()
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(d.AppendTokenCount(nil, 42), `{"input_tokens":42}`)
	f(d.AppendModels(nil, nil), `{"data":[],"has_more":false,"first_id":null,"last_id":null}`)
	f(d.AppendModels(nil, []ai.ModelInfo{{ID: "a", Created: 1735689600, ContextWindow: 200000, MaxOutput: 64000}, {ID: "b"}}),
		`{"data":[{"type":"model","id":"a","display_name":"a","created_at":"2025-01-01T00:00:00Z","max_input_tokens":200000,"max_tokens":64000},`+
			`{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b"}`)
	e := func(status int, typ string) string {
		return string(d.AppendError(nil, &ai.Error{Status: status, Type: typ, Message: `say "x"`, Param: "p"}))
	}
	for status, typ := range map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
		422: "invalid_request_error", 429: "rate_limit_error", 500: "api_error", 502: "api_error", 504: "timeout_error", 529: "overloaded_error",
	} {
		for _, foreign := range []string{"insufficient_quota", "invalid_request_error"} { // OpenAI's words
			if status < 500 || foreign != "invalid_request_error" {
				f([]byte(e(status, foreign)), `{"type":"error","error":{"type":"`+typ+`","message":"p: say \"x\""}}`)
			}
		}
	}
	f([]byte(e(500, "overloaded_error")), `{"type":"error","error":{"type":"overloaded_error","message":"p: say \"x\""}}`)

	if n, err := (anthropic.Provider{}).DecodeTokenCount(nil, []byte(`{"input_tokens":42}`)); n != 42 || err != nil {
		t.Errorf("DecodeTokenCount: %d, %v", n, err)
	}
	if _, err := (anthropic.Provider{}).DecodeTokenCount(nil, []byte(`{"tokens":42}`)); err == nil {
		t.Error("DecodeTokenCount took an answer without a count")
	}
	var ae *ai.Error
	if _, err := d.DecodeEmbed([]byte(`{}`)); !errors.As(err, &ae) || ae.Status != 404 {
		t.Errorf("DecodeEmbed: %v", err)
	}
}

// A provider of another schema ends tool calls and refusals in its own way, and may answer with arguments cut short.
func TestAppendCompletionOfOthers(t *testing.T) {
	x := exchange(anthropic.Dialect{}, nil)
	x.Request.Model = "asked-for"
	x.Target.Provider = nil
	x.Usage = ai.Usage{Input: 10, CachedInput: 8, Output: 3, Known: true}
	f := func(choice ai.Choice, want string) {
		t.Helper()
		got, err := x.Client.AppendCompletion(nil, x, &ai.Completion{ID: "i", Choices: []ai.Choice{choice}})
		want = `{"id":"i","type":"message","role":"assistant","model":"asked-for","content":[` + want +
			`,"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":8,"output_tokens":3}}`
		if err != nil || string(got) != want {
			t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
		}
	}
	f(ai.Choice{Finish: ai.FinishStop, Parts: []ai.Part{
		{Kind: ai.PartReasoning, Text: "hm"}, {Kind: ai.PartText}, {Kind: ai.PartText, Text: "a"}, {Kind: ai.PartOpaque, Raw: []byte(`{}`)}, call("c", "f", ""),
	}}, `{"type":"thinking","thinking":"hm","signature":""},{"type":"text","text":"a"},{"type":"tool_use","id":"c","name":"f","input":{}}],"stop_reason":"tool_use","stop_sequence":null`)
	f(ai.Choice{Finish: ai.FinishLength, Parts: []ai.Part{call("c", "f", `{"a":"`)}},
		`{"type":"tool_use","id":"c","name":"f","input":{"arguments":"{\"a\":\""}}],"stop_reason":"max_tokens","stop_sequence":null`)
	f(ai.Choice{Finish: ai.FinishStop, Parts: []ai.Part{{Kind: ai.PartRefusal, Text: "no"}}},
		`{"type":"text","text":"no"}],"stop_reason":"refusal","stop_sequence":null`)
	f(ai.Choice{Finish: ai.FinishFilter}, `],"stop_reason":"refusal","stop_sequence":null`)
}
