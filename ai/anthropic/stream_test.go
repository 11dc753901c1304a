package anthropic_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/sse"
)

// said is what a stream says, however it is cut into blocks and deltas.
type said struct {
	text, thoughts string
	signatures     []string
	calls          []ai.ToolCall
	finish         ai.Finish
}

func (s *said) take(evs []ai.Event) {
	for _, e := range evs {
		switch e.Kind {
		case ai.EventText, ai.EventRefusal:
			s.text += string(e.Text)
		case ai.EventReasoning:
			s.thoughts += string(e.Text)
		case ai.EventSignature:
			s.signatures = append(s.signatures, fmt.Sprint(e.Redacted, string(e.Text)))
		case ai.EventToolStart:
			s.calls = append(s.calls, ai.ToolCall{ID: string(e.ID), Name: string(e.Name)})
		case ai.EventToolDelta:
			s.calls[e.Call].Arguments += string(e.Text)
		case ai.EventFinish:
			s.finish = e.Finish
		}
	}
	for i := range s.calls {
		if s.finish != "" {
			s.calls[i].Arguments = strings.TrimSpace(s.calls[i].Arguments)
		}
		if s.finish != "" && s.calls[i].Arguments == "" {
			s.calls[i].Arguments = "{}"
		}
	}
}

// script makes a stream as a vendor might send it: parts of all kinds, calls whose deltas interleave, some of them cut off.
func script(r *rand.Rand) []ai.Event {
	evs := []ai.Event{{Kind: ai.EventStart, ID: []byte("id"), Name: []byte("m")}}
	var rest []string // of each call's arguments
	for part := range 1 + r.IntN(12) {
		switch r.IntN(7) {
		case 0, 1:
			for range 1 + r.IntN(3) {
				evs = append(evs, ai.Event{Kind: ai.EventText, Part: part, Text: fmt.Appendf(nil, "t%d \"ü\n", part)})
			}
		case 2:
			evs = append(evs, ai.Event{Kind: ai.EventReasoning, Part: part, Text: fmt.Appendf(nil, "r%d", part)})
			if r.IntN(2) == 0 {
				evs = append(evs, ai.Event{Kind: ai.EventSignature, Part: part, Text: fmt.Appendf(nil, "s%d", part)})
			}
		case 3:
			evs = append(evs, ai.Event{Kind: ai.EventSignature, Part: part, Redacted: true, Text: fmt.Appendf(nil, "d%d", part)})
		case 4:
			evs = append(evs, ai.Event{Kind: ai.EventRefusal, Part: part, Text: []byte("no")}, ai.Event{Kind: ai.EventPing})
		default:
			args := []string{`{"a":{"b":"}\\\"{"},"c":[1,{}]}`, `{}`, ` { "x" : 1 } `, ``, `{"cut":"off`}[r.IntN(5)]
			evs = append(evs, ai.Event{Kind: ai.EventToolStart, Part: part, Call: len(rest), ID: fmt.Appendf(nil, "c%d", part), Name: []byte("f")})
			rest = append(rest, args)
		}
		for c := range rest {
			n := r.IntN(len(rest[c]) + 1)
			// Half of the time a call is finished before another begins, as most vendors do.
			if r.IntN(2) == 0 {
				n = len(rest[c])
			}
			if n > 0 {
				evs = append(evs, ai.Event{Kind: ai.EventToolDelta, Call: c, Text: []byte(rest[c][:n])})
				rest[c] = rest[c][n:]
			}
		}
	}
	for c := range rest {
		evs = append(evs, ai.Event{Kind: ai.EventToolDelta, Call: c, Text: []byte(rest[c])})
	}
	return append(evs, ai.Event{Kind: ai.EventFinish, Finish: ai.FinishLength})
}

// roundTrip encodes events in batches, and decodes what came out.
func roundTrip(t *testing.T, r *rand.Rand, evs []ai.Event) {
	t.Helper()
	x := exchange(anthropic.Dialect{}, nil)
	x.Usage = ai.Usage{Input: 30, CachedInput: 10, CacheWrite: 5, Output: 9, Reasoning: 2, Known: true}
	var want, got said
	want.take(evs)
	enc := x.Client.NewEncoder(x)
	var stream []byte
	for len(evs) > 0 {
		n := 1 + r.IntN(len(evs))
		var err error
		if stream, err = enc.AppendEvents(stream, evs[:n]); err != nil {
			t.Fatal(err)
		}
		evs = evs[n:]
	}
	stream = enc.AppendEnd(stream)
	checkStream(t, stream)
	back := exchange(anthropic.Dialect{}, nil)
	eachFrame(t, back, stream, got.take)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v\n%s", got, want, stream)
	}
	if back.Usage != x.Usage || back.Finish != want.finish {
		t.Fatalf("usage %+v finish %q", back.Usage, back.Finish)
	}
}

func TestAnyEventsSurvive(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		roundTrip(t, r, script(r))
	}
}

// A call that is complete is not held back by one that follows, and one that follows a complete call is streamed at once.
func TestSequentialCallsAreNotHeld(t *testing.T) {
	x := exchange(anthropic.Dialect{}, nil)
	enc := x.Client.NewEncoder(x)
	f := func(e ai.Event, want string) {
		t.Helper()
		out, err := enc.AppendEvents(nil, []ai.Event{e})
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("got %s, %v, want it to hold %s", out, err, want)
		}
	}
	f(ai.Event{Kind: ai.EventToolStart, ID: []byte("a")}, `"id":"a"`)
	f(ai.Event{Kind: ai.EventToolDelta, Text: []byte(`{"x"`)}, `"{\"x\""`)
	f(ai.Event{Kind: ai.EventToolDelta, Text: []byte(`:1}`)}, `":1}"`)
	f(ai.Event{Kind: ai.EventToolStart, Call: 1, ID: []byte("b")}, `"id":"b"`)
	f(ai.Event{Kind: ai.EventToolDelta, Call: 1, Text: []byte(`{`)}, `"{"`)
	if _, err := enc.AppendEvents(nil, []ai.Event{{Kind: ai.EventToolDelta, Text: []byte(`{}`)}}); err == nil {
		t.Error("a delta that can no longer be placed was lost")
	}
}

func TestHeldIsBounded(t *testing.T) {
	x := exchange(anthropic.Dialect{}, nil)
	enc := x.Client.NewEncoder(x)
	evs := []ai.Event{
		{Kind: ai.EventToolStart, ID: []byte("a")}, {Kind: ai.EventToolStart, Call: 1, ID: []byte("b")},
		{Kind: ai.EventToolDelta, Call: 1, Text: bytes.Repeat([]byte("x"), 1<<20)},
	}
	var err error
	for i := 0; err == nil; i++ {
		if _, err = enc.AppendEvents(nil, evs); i > 10 {
			t.Fatal("10 MiB were held")
		}
		evs = evs[2:]
		evs = append(evs[:0:0], evs[len(evs)-1], evs[len(evs)-1], evs[len(evs)-1])
	}
}

func TestNothingFollowsAnError(t *testing.T) {
	x := exchange(anthropic.Dialect{}, nil)
	enc := x.Client.NewEncoder(x)
	out, err := enc.AppendEvents(nil, []ai.Event{
		{Kind: ai.EventText, Text: []byte("a")},
		{Kind: ai.EventError, Err: &ai.Error{Status: 529, Message: "Overloaded"}},
		{Kind: ai.EventText, Text: []byte("b")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
	if out = enc.AppendEnd(out); !bytes.HasSuffix(out, []byte(want)) {
		t.Errorf("the stream ends with %s", out)
	}
}

func TestStreamErrors(t *testing.T) {
	const start = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	f := func(frames ...string) {
		t.Helper()
		x := exchange(anthropic.Dialect{}, nil)
		dec := anthropic.Provider{}.NewStream(x)
		for i, data := range frames {
			_, err := dec.Decode(ai.Frame{Data: []byte(data)}, nil)
			if last := i == len(frames)-1; (err != nil) != last {
				t.Errorf("%s: %v", data, err)
			}
		}
		if dec.Done() {
			t.Error("the stream is done")
		}
	}
	f(``)
	f(`{"type":"content_block_delta"`)
	f(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}`)
	f(start, `{"type":"content_block_start","index":2,"content_block":{"type":"text"}}`)
	f(start, `{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}}`)
	f(start, `{"type":"content_block_stop","index":0}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}`)
	f(start, `{"type":"content_block_stop","index":-1}`)
}

func TestDecodeCompletionRefuses(t *testing.T) {
	f := func(body string) {
		t.Helper()
		if _, err := (anthropic.Provider{}).DecodeCompletion(exchange(anthropic.Dialect{}, nil), []byte(body)); err == nil {
			t.Errorf("%s was taken for a message", body)
		}
	}
	f(``)
	f(`{"type":"message"`)
	f(`{"id":"x"}`)
	f(`[]`)
	f(`{"type":"message","content":[{"type":"text"}]}`)
	f(`{"type":"message","content":7}`)
}

func FuzzPeek(f *testing.F) {
	f.Add([]byte(`{"model":"m","max_tokens":1,"stream":true,"metadata":{"user_id":"u"}}`))
	f.Add([]byte(`{"mod\u0065l":"\ud83d","max_tokens":1e2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var r ai.Request
		if (anthropic.Dialect{}).Peek(ai.OpChat, b, &r) != nil {
			return
		}
		var want struct {
			Model  string
			Stream bool
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(b, &members); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(members["model"], &want.Model); err != nil || want.Model != r.Model {
			t.Fatalf("%q: model %q, want %q", b, r.Model, want.Model)
		}
	})
}

func FuzzDecodeChat(f *testing.F) {
	f.Add([]byte(`{"model":"m","max_tokens":1,"system":"s","messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"u"}}]}]}`))
	f.Add([]byte(`{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"x"}]}]}],"thinking":{"type":"y"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := exchange(anthropic.Dialect{}, b)
		peeked := x.Client.Peek(x.Op, b, &x.Request)
		if _, err := x.Chat(); err != nil || peeked != nil {
			return
		}
		var out ai.HTTPRequest
		if (anthropic.Provider{}).EncodeRequest(x, &out) != nil {
			return
		}
		var r ai.Request
		if err := (anthropic.Dialect{}).Peek(ai.OpChat, out.Body, &r); err != nil {
			t.Fatalf("%s: %v", out.Body, err)
		}
	})
}

func FuzzDecodeStream(f *testing.F) {
	for _, s := range []string{
		"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"input\":{\"a\":1}}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
		"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{\"explanation\":\"x\"}},\"usage\":{\"input_tokens\":1}}\n\n",
		"data: {\"type\":\"error\"}\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := exchange(anthropic.Dialect{}, nil)
		dec := anthropic.Provider{}.NewStream(x)
		enc := x.Client.NewEncoder(x)
		var sc sse.Scanner
		in := bytes.NewReader(b)
		var out []byte
		for {
			frame, err := sc.Next(in)
			if err != nil {
				break
			}
			evs, err := dec.Decode(frame, nil)
			if err != nil {
				return
			}
			if out, err = enc.AppendEvents(out, evs); err != nil {
				return
			}
		}
		checkStream(t, enc.AppendEnd(out))
	})
}
