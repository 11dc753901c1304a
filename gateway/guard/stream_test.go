package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func chunk(choice int, delta string) string {
	return fmt.Sprintf(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":%d,"delta":{%s},"finish_reason":null}]}`, choice, delta)
}

func stop(choice int) string {
	return fmt.Sprintf(`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":%d,"delta":{},"finish_reason":"stop"}]}`, choice)
}

// heard is what a client puts together of a stream: texts by their place.
func heard(t testing.TB, client ai.Schema, out string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, f := range strings.Split(strings.TrimSuffix(out, "\n\n"), "\n\n") {
		_, data, ok := strings.Cut("\n"+f, "\ndata: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if client == ai.Anthropic {
			if d, ok := v["delta"].(map[string]any); ok && v["type"] == "content_block_delta" {
				for k, s := range d {
					if k != "type" {
						got[fmt.Sprint(v["index"], k)] += s.(string)
					}
				}
			}
			continue
		}
		for _, c := range v["choices"].([]any) {
			c := c.(map[string]any)
			if c["finish_reason"] != nil {
				got[fmt.Sprint(c["index"], "finish")] += c["finish_reason"].(string)
			}
			collect(got, fmt.Sprint(c["index"]), c["delta"])
		}
	}
	return got
}

func collect(got map[string]string, at string, v any) {
	switch v := v.(type) {
	case string:
		got[at] += v
	case map[string]any:
		for k, m := range v {
			collect(got, at+"."+k, m)
		}
	case []any:
		for _, e := range v {
			m := e.(map[string]any)
			collect(got, fmt.Sprint(at, "[", m["index"], "]"), m)
		}
	}
}

func push(st *Stream, frames ...string) (string, error) {
	var out []byte
	for _, f := range frames {
		var err error
		if out, err = st.Push(out, []byte(f+"\n\n")); err != nil {
			return string(out), err
		}
	}
	out, err := st.End(out)
	return string(out), err
}

// begun is a session that has masked an address in its request, and its stream.
func begun(t testing.TB, c *Compiler, client ai.Schema, ps ...*xdsv1.Policy) (*Session, *Stream) {
	s := c.Session()
	in := `{"messages":[{"role":"user","content":"` + mail + `"}]}`
	if _, err := s.Body(context.Background(), stage(t, c, Request, ps...), client, []byte(in), nil, true); err != nil {
		t.Fatal(err)
	}
	return s, s.Stream(context.Background(), stage(t, c, Response, ps...), client)
}

func TestStreamOpenAI(t *testing.T) {
	var c Compiler
	p := policy("p", false, masking("Email"), builtin(xdsv1.GuardAction_BLOCK, "Secrets"))
	s, st := begun(t, &c, ai.OpenAI, p)
	defer s.Release()
	out, err := push(st,
		chunk(0, `"role":"assistant","content":""`), chunk(0, `"content":"Write to [EMA"`), chunk(1, `"content":"b@exa"`), chunk(0, `"content":"IL_1] or c@example"`),
		chunk(0, `"reasoning_content":"for [email"`), chunk(1, `"content":"mple.org"`), chunk(0, `"content":".org"`), chunk(0, `"reasoning_content":" 1]"`),
		chunk(0, `"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]`),
		chunk(0, `"tool_calls":[{"index":0,"function":{"arguments":"{\"to\":\"[EMAIL"}}]`), chunk(0, `"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"f","arguments":"{\"to\":\"d@exam"}}]`),
		chunk(0, `"tool_calls":[{"index":0,"function":{"arguments":"_1]\"}"}}]`), chunk(0, `"tool_calls":[{"index":1,"function":{"arguments":"ple.org\"}"}}]`),
		chunk(0, `"odd":{"thoughts":"e@example"`+`}`), chunk(0, `"odd":{"thoughts":".org"}`), stop(0), stop(1), "data: [DONE]")
	if err != nil {
		t.Fatal(err)
	}
	got := heard(t, ai.OpenAI, out)
	for at, want := range map[string]string{
		"0.content": "Write to " + mail + " or [EMAIL_3]", "1.content": "[EMAIL_5]", "0.reasoning_content": "for " + mail,
		"0.tool_calls[0].function.arguments": `{"to":"` + mail + `"}`, "0.tool_calls[1].function.arguments": `{"to":"[EMAIL_2]"}`,
		"0.odd.thoughts": "[EMAIL_4]", "0finish": "stop", "1finish": "stop", "0.role": "assistant", "0.tool_calls[0].function.name": "f", "0.tool_calls[1].id": "call_2",
	} {
		if got[at] != want {
			t.Errorf("%s: %q, want %q", at, got[at], want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
	if i := strings.LastIndex(out, `"stop"`); strings.Contains(out[i:], "content") {
		t.Errorf("something is said after the end: %s", out[i:])
	}
}

func TestStreamAnthropic(t *testing.T) {
	var c Compiler
	s, st := begun(t, &c, ai.Anthropic, policy("p", false, masking("Email")))
	defer s.Release()
	event := func(name, data string) string { return "event: " + name + "\ndata: " + data }
	out, err := push(st,
		event("message_start", `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":1}}}`),
		event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`), event("ping", `{"type":"ping"}`),
		event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"to [EMAIL_"}}`),
		event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"1] and b@example.org"}}`),
		event("content_block_stop", `{"type":"content_block_stop","index":0}`),
		event("content_block_start", `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}`),
		event("content_block_delta", `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\": \"[EMAIL"}}`),
		event("content_block_delta", `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"_1]\", \"b\": 1}"}}`),
		event("content_block_stop", `{"type":"content_block_stop","index":1}`),
		event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}`),
		event("message_stop", `{"type":"message_stop"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := heard(t, ai.Anthropic, out)
	if got["0text"] != "to "+mail+" and [EMAIL_2]" || got["1partial_json"] != `{"a": "`+mail+`", "b": 1}` {
		t.Errorf("%v\n%s", got, out)
	}
	if strings.Index(out, "[EMAIL_2]") > strings.Index(out, "content_block_stop") {
		t.Error("a block goes on after its end\n" + out)
	}
}

// Lines end with LF, CR LF or CR (WHATWG HTML, section 9.2).
func TestStreamLineEnds(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		var c Compiler
		s, st := begun(t, &c, ai.OpenAI, policy("p", false, masking("Email")))
		var in string
		for _, f := range []string{chunk(0, `"content":"Write to c@exam"`), ": a comment", chunk(0, `"content":"ple.org"`), stop(0), "data: [DONE]"} {
			in += strings.ReplaceAll(f, "\n", end) + end + end
		}
		out, err := st.Push(nil, []byte(in))
		if err != nil {
			t.Fatalf("%q: %v", end, err)
		}
		if got := heard(t, ai.OpenAI, string(out)); got["0.content"] != "Write to [EMAIL_2]" || !strings.HasSuffix(string(out), "data: [DONE]\n\n") {
			t.Errorf("%q: %q from %s", end, got["0.content"], out)
		}
		s.Release()
	}
}

func TestStreamBlocks(t *testing.T) {
	var c Compiler
	s, st := begun(t, &c, ai.OpenAI, policy("p", false, builtin(xdsv1.GuardAction_BLOCK, "Secrets")))
	defer s.Release()
	out, err := push(st, chunk(0, `"content":"it is `+token[:9]+`"`), chunk(0, `"content":"`+token[9:20]+`"`), chunk(0, `"content":"`+token[20:]+` indeed"`), stop(0))
	if err == nil || strings.Contains(err.Error(), token) || strings.Contains(out, token[:9]) || !strings.Contains(out, "it is ") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestStreamNotJSON(t *testing.T) {
	var c Compiler
	s, st := begun(t, &c, ai.OpenAI, policy("p", false, builtin(xdsv1.GuardAction_BLOCK, "Secrets")))
	defer s.Release()
	if out, err := push(st, "data: "+token); err == nil || strings.Contains(out, token) {
		t.Errorf("%v %s", err, out)
	}
	if out, err := push(st, ": "+token+"\nid: "+token+"\nevent: "+token+"\ndata: {}"); err != nil || strings.Contains(out, token) {
		t.Errorf("%v %s", err, out)
	}
}

// FuzzSplit: whatever the pieces that a text comes in, what a client puts together of them is what it would get of the whole.
func FuzzSplit(f *testing.F) {
	f.Add("to jane.doe@example.org and b@example.org, [EMAIL_1] [email 1] 4111 1111 1111 1111", uint64(1))
	f.Add(`{"to": "[EMAIL_1]", "n": 4111111111111111, "x\u0041": "b\u0040example.org"}`, uint64(2))
	f.Add(token+" "+token, uint64(3))
	var c Compiler
	p := policy("p", false, masking("Email"), &xdsv1.GuardRule{Name: "card", Builtin: []string{"CreditCard", "Secrets"}, Response: true, Action: xdsv1.GuardAction_MASK},
		&xdsv1.GuardRule{Name: "own", Patterns: []*xdsv1.GuardPattern{{Expression: `a.+b`}}, Keywords: []string{"and"}, Response: true, Action: xdsv1.GuardAction_HASH, HashSecret: "s", HashDataKey: "k"})
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		text = strings.ToValidUTF8(text, "?")
		run := func(pieces []string) (map[string]string, string) {
			s := c.Session()
			defer s.Release()
			request, err := c.Stage(Request, []*xdsv1.Policy{p}, keyed)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := c.Stage(Response, []*xdsv1.Policy{p}, keyed)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Body(context.Background(), request, ai.OpenAI, []byte(`{"messages":[{"content":"`+mail+`"}]}`), nil, true); err != nil {
				t.Fatal(err)
			}
			st := s.Stream(context.Background(), answer, ai.OpenAI)
			var frames []string
			for _, piece := range pieces {
				q, _ := json.Marshal(piece)
				frames = append(frames, chunk(0, `"content":`+string(q)), chunk(1, `"tool_calls":[{"index":0,"function":{"arguments":`+string(q)+`}}]`))
			}
			out, err := push(st, append(frames, stop(0), stop(1))...)
			if err != nil {
				return nil, err.Error()
			}
			return heard(t, ai.OpenAI, out), fmt.Sprint(s.Found())
		}
		want, found := run([]string{text})
		r := rand.New(rand.NewPCG(seed, 1))
		var pieces []string
		for rest := []rune(text); len(rest) > 0; {
			n := min(len(rest), 1+r.IntN(1+r.IntN(8)))
			pieces, rest = append(pieces, string(rest[:n])), rest[n:]
		}
		got, foundToo := run(pieces)
		if want["0.content"] != got["0.content"] || want["1.tool_calls[0].function.arguments"] != got["1.tool_calls[0].function.arguments"] || len(found) != len(foundToo) {
			t.Errorf("%q in pieces %q\n got %q %s\nwant %q %s", text, pieces, got, foundToo, want, found)
		}
	})
}

func keyed(string, string) ([]byte, bool) { return []byte("key"), true }

// TestLongStream: 200,000 tokens under all detectors need no more memory at the end than at the beginning.
func TestLongStream(t *testing.T) {
	var c Compiler
	all := masking("Email", "PhoneNumber", "CreditCard", "IBAN", "SSN", "IPAddress", "MACAddress", "URLPassword", "NationalID", "CryptoWallet", "Secrets", "PromptInjection", "Jailbreak")
	s, st := begun(t, &c, ai.OpenAI, policy("p", false, all))
	defer s.Release()
	tokens := []string{"The", " model", " says", " 12", "3", " things", ",", " and", " 4", " more", ".\\n", " key"}
	n, most := 200_000, 0
	if testing.Short() || raceEnabled {
		n = 20_000
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	var out []byte
	var before uint64
	for i := range n {
		f := []byte(chunk(0, `"content":"`+tokens[i%len(tokens)]+`"`) + "\n\n")
		var err error
		if out, err = st.Push(out[:0], f); err != nil {
			t.Fatal(err)
		}
		if i == n/10 {
			before = heap()
		}
		for _, k := range st.order {
			most = max(most, k.main.(interface{ Held() int }).Held())
		}
	}
	if most > 8<<10 {
		t.Errorf("%d bytes were held back", most)
	}
	if after := heap(); after > before+(4<<20) {
		t.Errorf("the heap grew from %d to %d", before, after)
	}
}

// TestNothingFoundAllocatesNothing: neither whole bodies nor the chunks of a stream.
func TestNothingFoundAllocatesNothing(t *testing.T) {
	if raceEnabled {
		return // the detector allocates
	}
	var c Compiler
	p := policy("p", false, masking("Email", "PhoneNumber", "CreditCard", "Secrets", "PromptInjection"))
	request, answer := stage(t, &c, Request, p), stage(t, &c, Response, p)
	in := []byte(samples[ai.OpenAI][0])
	s := c.Session()
	defer s.Release()
	run := func() {
		if out, err := s.Body(context.Background(), request, ai.OpenAI, in, nil, true); err != nil || &out[0] != &in[0] {
			t.Fatalf("%v %s", err, out)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 0 {
		t.Errorf("%v allocations for a body", n)
	}
	st := s.Stream(context.Background(), answer, ai.OpenAI)
	frame := []byte(chunk(0, `"content":" and so on,"`) + "\n\n")
	var out []byte
	piece := func() {
		var err error
		if out, err = st.Push(out[:0], frame); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		piece()
	}
	if n := testing.AllocsPerRun(1000, piece); n > 0 {
		t.Errorf("%v allocations for a chunk", n)
	}
	if !bytes.Contains(out, []byte("on, and so ")) {
		t.Errorf("%s", out)
	}
}
