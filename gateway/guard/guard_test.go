package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

const (
	mail  = "jane.doe@example.org"
	token = "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
)

func policy(name string, monitor bool, rules ...*xdsv1.GuardRule) *xdsv1.Policy {
	return &xdsv1.Policy{
		Key: "policy/guard/a/" + name, Namespace: "a", Name: name,
		Kind: &xdsv1.Policy_PromptGuard{PromptGuard: &xdsv1.PromptGuard{Monitor: monitor, Rules: rules}},
	}
}

func builtin(action xdsv1.GuardAction, names ...string) *xdsv1.GuardRule {
	return &xdsv1.GuardRule{Name: strings.ToLower(names[0]), Builtin: names, Request: true, Response: true, Action: action}
}

func masking(names ...string) *xdsv1.GuardRule {
	r := builtin(xdsv1.GuardAction_MASK, names...)
	r.Restore = true
	return r
}

func noSecrets(string, string) ([]byte, bool) { return nil, false }

func stage(t testing.TB, c *Compiler, side Side, ps ...*xdsv1.Policy) *Stage {
	t.Helper()
	s, err := c.Stage(side, ps, noSecrets)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// body guards a body and gives back what goes on, or the refusal.
func body(t testing.TB, s *Session, st *Stage, client ai.Schema, in string) string {
	t.Helper()
	if err := jsonscan.Valid([]byte(in)); err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	out, err := s.Body(context.Background(), st, client, []byte(in), nil, true)
	if err != nil {
		return "refused: " + err.Error()
	}
	if err := jsonscan.Valid(out); err != nil {
		t.Errorf("%s became %s: %v", in, out, err)
	}
	return string(out)
}

func TestRequests(t *testing.T) {
	var c Compiler
	st := stage(t, &c, Request, policy("p", false, masking("Email"), builtin(xdsv1.GuardAction_BLOCK, "Secrets"),
		&xdsv1.GuardRule{Name: "card", Builtin: []string{"CreditCard"}, Request: true, Action: xdsv1.GuardAction_MASK},
		&xdsv1.GuardRule{Name: "words", Keywords: []string{"user", "content", "aurora"}, Request: true, Action: xdsv1.GuardAction_MASK}))
	for _, x := range []struct {
		client   ai.Schema
		in, want string
	}{
		{ai.OpenAI, `{"model":"m","messages":[{"role":"user","content":"hello"}]}`, ""},
		{ai.OpenAI, `{"model":"m","messages":[{"role":"user","content":"to jane.doe@example.org and jane.doe@example.org"}]}`,
			`{"model":"m","messages":[{"role":"user","content":"to [EMAIL_1] and [EMAIL_1]"}]}`},
		{ai.OpenAI, `{"messages":[{"role":"system","content":[{"type":"text","text":"b@example.org"}]},{"role":"user","content":"jane\u002edoe@example.org"}]}`,
			`{"messages":[{"role":"system","content":[{"type":"text","text":"[EMAIL_1]"}]},{"role":"user","content":"[EMAIL_2]"}]}`},
		{ai.OpenAI, `{"messages":[{"role":"user","content":"` + token + `"}]}`, `refused: the request was blocked by the rule "secrets" of a prompt guard`},
		{ai.OpenAI, `{"odd":{"` + token + `":1}}`, `refused: the request was blocked by the rule "secrets" of a prompt guard`},
		{ai.OpenAI, `{"messages":[{"role":"` + token + `"}]}`, `refused: the request was blocked by the rule "secrets" of a prompt guard`},
		{ai.OpenAI, `{"odd":[{"who":"jane.doe@example.org"},"aurora",true,null,1.5]}`, `{"odd":[{"who":"[EMAIL_1]"},"[KEYWORD_1]",true,null,1.5]}`},
		{ai.OpenAI, `{"card":4111111111111111,"seed":42}`, `{"card":"[CREDIT_CARD_1]","seed":42}`},
		// Arguments are JSON in a string, and so may be what a tool says.
		{ai.OpenAI, `{"messages":[{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"to\":\"jane\\u002edoe@example.org\",\"n\":4111111111111111}"}}]}]}`,
			`{"messages":[{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"to\":\"[EMAIL_1]\",\"n\":\"[CREDIT_CARD_1]\"}"}}]}]}`},
		{ai.OpenAI, `{"messages":[{"role":"tool","tool_call_id":"call_1","content":"{\"in\":\"{\\\"mail\\\":\\\"jane\\\\u002edoe@example.org\\\"}\"}"}]}`,
			`{"messages":[{"role":"tool","tool_call_id":"call_1","content":"{\"in\":\"{\\\"mail\\\":\\\"[EMAIL_1]\\\"}\"}"}]}`},
		// Images pass, texts in the form of files are read.
		{ai.OpenAI, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}]}`, ""},
		{ai.OpenAI, `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/plain;base64,amFuZS5kb2VAZXhhbXBsZS5vcmc="}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/plain;base64,W0VNQUlMXzFd"}}]}]}`},
		// However lenient the one is who reads the file: URL-safe, without padding, with space and percent signs in it.
		{ai.OpenAI, `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"Data:text/plain;Base64,Pz8-IGph bmUu\nZG9lQGV4%59W1wbGUub3Jn"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"Data:text/plain;Base64,Pz8-IFtFTUFJTF8xXQ=="}}]}]}`},
		{ai.Anthropic, `{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"amFuZS5kb2VAZXhhbXBsZS5vcmc"}}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"text/plain","data":"W0VNQUlMXzFd"}}]}]}`},
		{ai.OpenAI, `{"input":["jane.doe@example.org",[1,2,3]]}`, `{"input":["[EMAIL_1]",[1,2,3]]}`},
		{ai.Anthropic, `{"system":"jane.doe@example.org","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"b@example.org"}]}]}]}`,
			`{"system":"[EMAIL_1]","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"[EMAIL_2]"}]}]}]}`},
		{ai.Anthropic, `{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"` + token + `"}}]}]}`,
			`refused: the request was blocked by the rule "secrets" of a prompt guard`},
		{ai.Anthropic, `{"messages":[{"role":"user","content":[{"type":"image","source":{"data":"` + token + `","type":"base64","media_type":"image/png"}}]}]}`, ""},
		{ai.Anthropic, `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"to":"jane.doe@example.org","n":4111111111111111}}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"to":"[EMAIL_1]","n":"[CREDIT_CARD_1]"}}]}]}`},
	} {
		s := c.Session()
		if x.want == "" {
			x.want = x.in
		}
		if got := body(t, s, st, x.client, x.in); got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.in, got, x.want)
		}
		s.Release()
	}
}

func TestAnswers(t *testing.T) {
	var c Compiler
	p := policy("p", false, masking("Email"), &xdsv1.GuardRule{Name: "card", Builtin: []string{"CreditCard"}, Response: true, Action: xdsv1.GuardAction_MASK})
	request, answer := stage(t, &c, Request, p), stage(t, &c, Response, p)
	s := c.Session()
	defer s.Release()
	if got := body(t, s, request, ai.OpenAI, `{"messages":[{"role":"user","content":"jane.doe@example.org"}]}`); !strings.Contains(got, "[EMAIL_1]") {
		t.Fatal(got)
	}
	for _, x := range []struct {
		client   ai.Schema
		in, want string
	}{
		{ai.OpenAI, `{"id":"x","created":1732492800,"choices":[{"index":0,"message":{"role":"assistant","content":"I wrote to [email 1], not to b@example.org","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"to\":\"[EMAIL_1]\"}"}}]},"logprobs":{"content":[{"token":"jane"}]},"finish_reason":"stop"}]}`,
			`{"id":"x","created":1732492800,"choices":[{"index":0,"message":{"role":"assistant","content":"I wrote to jane.doe@example.org, not to [EMAIL_2]","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"to\":\"jane.doe@example.org\"}"}}]},"logprobs":null,"finish_reason":"stop"}]}`},
		{ai.Anthropic, `{"type":"message","content":[{"type":"thinking","thinking":"about [EMAIL_1]","signature":"abc"},{"type":"tool_use","id":"t","name":"f","input":{"to":"[EMAIL_1]","card":4111111111111111}}],"stop_reason":"tool_use"}`,
			`{"type":"message","content":[{"type":"thinking","thinking":"about jane.doe@example.org","signature":"abc"},{"type":"tool_use","id":"t","name":"f","input":{"to":"jane.doe@example.org","card":"[CREDIT_CARD_1]"}}],"stop_reason":"tool_use"}`},
		{ai.OpenAI, `{"data":[{"object":"embedding","index":0,"embedding":[0.123456789,4111111111111111]}]}`, ""},
	} {
		if x.want == "" {
			x.want = x.in
		}
		if got := body(t, s, answer, x.client, x.in); got != x.want {
			t.Errorf("%s\n got %s\nwant %s", x.in, got, x.want)
		}
	}
}

// TestMonitor: what is watched is counted, and changes and refuses nothing.
func TestMonitor(t *testing.T) {
	var c Compiler
	st := stage(t, &c, Request, policy("p", true, builtin(xdsv1.GuardAction_BLOCK, "Secrets"), masking("Email")))
	in := `{"messages":[{"role":"user","content":"` + token + ` ` + mail + ` ` + mail + `"}]}`
	s := c.Session()
	defer s.Release()
	if got := body(t, s, st, ai.OpenAI, in); got != in {
		t.Error(got)
	}
	if got := fmt.Sprint(s.Found()); got != "[{a/p secrets Block request true 1} {a/p email Mask request true 2}]" {
		t.Error(got)
	}
	if st.Strict() {
		t.Error("a policy that is only watched is strict")
	}
}

// TestDeepJSON: what is nested deeper than is looked at does not pass.
func TestDeepJSON(t *testing.T) {
	var c Compiler
	st := stage(t, &c, Request, policy("p", false, builtin(xdsv1.GuardAction_BLOCK, "Secrets")))
	text := `["x"]`
	for range 10 {
		text = string(append(jsonscan.AppendQuoted([]byte("["), text), ']'))
	}
	s := c.Session()
	defer s.Release()
	if got := body(t, s, st, ai.OpenAI, text); !strings.HasPrefix(got, "refused: the request cannot be checked") {
		t.Error(got)
	}
}

// TestStagesAreShared: equal policies are compiled once, also for other tables.
func TestStagesAreShared(t *testing.T) {
	var c Compiler
	one := stage(t, &c, Request, policy("p", false, masking("Email")))
	if stage(t, &c, Request, policy("p", false, masking("Email"))) != one {
		t.Error("an equal policy was compiled again")
	}
	if stage(t, &c, Request, policy("p", true, masking("Email"))) == one || stage(t, &c, Request, policy("q", false, masking("Email"))) == one {
		t.Error("another policy was taken for the same")
	}
	if stage(t, &c, Response, policy("p", false, &xdsv1.GuardRule{Name: "x", Builtin: []string{"Email"}, Request: true, Action: xdsv1.GuardAction_MASK})) != nil {
		t.Error("a rule for requests looks at answers")
	}
}

// at puts a text at a random path of a JSON value: as a value, a name, in JSON within a string.
func at(r *rand.Rand, v any, text string) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || r.IntN(4) == 0 {
			key := fmt.Sprint("odd", r.IntN(100))
			if r.IntN(3) == 0 {
				key = "see " + text
			}
			v[key] = wrapped(r, text)
			return v
		}
		n := r.IntN(len(v))
		for _, k := range sorted(v) {
			if n == 0 {
				v[k] = at(r, v[k], text)
			}
			n--
		}
		return v
	case []any:
		if len(v) == 0 || r.IntN(4) == 0 {
			return append(v, wrapped(r, text))
		}
		n := r.IntN(len(v))
		v[n] = at(r, v[n], text)
		return v
	}
	return wrapped(r, text)
}

func sorted(m map[string]any) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	for i := range keys {
		for j := i; j > 0 && keys[j] < keys[j-1]; j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
	return keys
}

func wrapped(r *rand.Rand, text string) any {
	switch r.IntN(5) {
	case 0:
		return "look: " + text + " ok"
	case 1:
		return map[string]any{"a": []any{text}}
	case 2:
		inner, _ := json.Marshal(map[string]any{"b": text, "c": []any{1}})
		return string(inner)
	case 3:
		inner, _ := json.Marshal([]any{text})
		outer, _ := json.Marshal(map[string]any{"d": string(inner)})
		return string(outer)
	}
	return text + "!"
}

var samples = map[ai.Schema][2]string{
	ai.OpenAI: {
		`{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"http://x/y"}}]},
		{"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
		{"role":"tool","tool_call_id":"c","content":"{}"}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"a":{"type":"string"}}}}}],
		"stop":["x"],"metadata":{"k":"v"},"user":"u","prediction":{"type":"content","content":"p"},"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}}}`,
		`{"id":"i","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"c","refusal":null,"reasoning_content":"r",
		"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}],"annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t"}}]},"finish_reason":"stop"}],
		"usage":{"prompt_tokens":1}}`,
	},
	ai.Anthropic: {
		`{"model":"m","system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"t"},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]},
		{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"tool_use","id":"i","name":"f","input":{"a":1}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"i","content":[{"type":"text","text":"r"}]}]}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],
		"metadata":{"user_id":"u"},"stop_sequences":["x"]}`,
		`{"id":"i","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"t","citations":[{"cited_text":"c"}]},{"type":"thinking","thinking":"t","signature":"s"},
		{"type":"tool_use","id":"i","name":"f","input":{"a":"b"}}],"stop_reason":"end_turn","usage":{"input_tokens":1}}`,
	},
}

// FuzzPath puts a secret at a random path of a body. It never leaves: it is masked, or the body is refused.
func FuzzPath(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, seed%2 == 0, seed%3 == 0)
	}
	var c Compiler
	mask := policy("p", false, masking("Secrets"))
	block := policy("p", false, builtin(xdsv1.GuardAction_BLOCK, "Secrets"))
	f.Fuzz(func(t *testing.T, seed uint64, answer, blocks bool) {
		p := mask
		if blocks {
			p = block
		}
		for client, both := range samples {
			text, st := both[0], stage(t, &c, Request, p)
			if answer {
				text, st = both[1], stage(t, &c, Response, p)
			}
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			// With a space, so that it is not in the form of an identifier or of base64.
			in, err := json.Marshal(at(rand.New(rand.NewPCG(seed, 1)), v, "key "+token))
			if err != nil {
				t.Fatal(err)
			}
			s := c.Session()
			out, err := s.Body(context.Background(), st, client, in, nil, false)
			var r *Refusal
			if blocks != errors.As(err, &r) || bytes.Contains(out, []byte(token)) || len(s.Found()) == 0 {
				t.Errorf("%s\nbecame %s, %v", in, out, err)
			}
			if err == nil && jsonscan.Valid(out) != nil {
				t.Errorf("%s\nbecame %s", in, out)
			}
			s.Release()
		}
	})
}
