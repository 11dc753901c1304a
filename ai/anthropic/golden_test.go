package anthropic_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/ai/sse"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden runs every case of testdata through what its files ask for:
//
//	request.json  of an Anthropic client -> chat.json (canonical), upstream.txt (to Anthropic by translation)
//	openai.json   of an OpenAI client    -> openai.txt (to Anthropic)
//	answer.json   of Anthropic           -> completion.json (canonical), client.json (to an Anthropic client)
//	stream.sse    of Anthropic           -> events.txt (canonical), client.sse (to an Anthropic client)
//	events.json   of another provider    -> client.sse
//	error.json    of Anthropic           -> error.txt (canonical and to an Anthropic client)
func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			for name, run := range map[string]func(*testing.T, string, []byte){
				"request.json": goldenRequest, "answer.json": goldenAnswer, "stream.sse": goldenStream,
				"events.json": goldenEvents, "openai.json": goldenOpenAI, "error.json": goldenError,
			} {
				in, err := os.ReadFile(filepath.Join(dir, name))
				if err == nil {
					run(t, dir, in)
				}
			}
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (rewrite it with -update):\n%s", path, got)
	}
}

func pretty(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// canonical is v without what was not given, so that goldens show what was.
func canonical(t *testing.T, v any) []byte {
	t.Helper()
	var tree any
	if err := json.Unmarshal(pretty(t, v), &tree); err != nil {
		t.Fatal(err)
	}
	return pretty(t, prune(tree))
}

// optional are the members whose zero value says something.
var optional = map[string]bool{
	"ParallelTools": true, "Strict": true, "Store": true, "Logprobs": true, "Temperature": true, "TopP": true, "TopK": true,
	"FrequencyPenalty": true, "PresencePenalty": true, "Seed": true, "TopLogprobs": true, "Value": true,
}

func prune(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	case map[string]any:
		for k, m := range v {
			switch k {
			case "Raw", "Schema", "CacheControl", "Annotations", "Value": // as they came
			default:
				m = prune(m)
			}
			switch {
			case m == nil:
				delete(v, k)
			case optional[k]:
			case m == "" || m == 0.0 || m == false || fmt.Sprint(m) == "map[]":
				delete(v, k)
			}
		}
	}
	return v
}

func goldenRequest(t *testing.T, dir string, in []byte) {
	x := exchange(anthropic.Dialect{}, in)
	if err := x.Client.Peek(x.Op, in, &x.Request); err != nil {
		t.Fatal(err)
	}
	c, err := x.Chat()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(dir, "chat.json"), canonical(t, c))
	golden(t, filepath.Join(dir, "upstream.txt"), encoded(t, x))
}

// goldenOpenAI shows the request as it goes out, before that what is not supported without Drop.
func goldenOpenAI(t *testing.T, dir string, in []byte) {
	x := exchange(openai.Dialect{}, in)
	if err := x.Client.Peek(x.Op, in, &x.Request); err != nil {
		t.Fatal(err)
	}
	x.Target.Model = x.Request.Model
	got := encoded(t, x)
	if bytes.HasPrefix(got, []byte("error: ")) {
		x.Target.Drop = true
		got = append(got, encoded(t, x)...)
	}
	golden(t, filepath.Join(dir, "openai.txt"), got)
}

// exchange goes from a client to Anthropic.
func exchange(d ai.Dialect, body []byte) *ai.Exchange {
	return &ai.Exchange{
		Op: ai.OpChat, Client: d, Request: ai.Request{Raw: body},
		Target: ai.Target{Provider: anthropic.Provider{}, Model: "claude-opus-4-6"},
	}
}

// encoded is the request as a text: head, what was dropped, and the body, or else the error.
func encoded(t *testing.T, x *ai.Exchange) []byte {
	t.Helper()
	var out ai.HTTPRequest
	if err := (anthropic.Provider{}).EncodeRequest(x, &out); err != nil {
		return fmt.Appendf(nil, "error: %v\n", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", out.Method, out.Path)
	for _, h := range out.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value)
	}
	for _, d := range x.Dropped {
		fmt.Fprintf(&b, "dropped: %s\n", d)
	}
	b.WriteByte('\n')
	b.Write(pretty(t, json.RawMessage(out.Body)))
	return b.Bytes()
}

func goldenAnswer(t *testing.T, dir string, in []byte) {
	x := exchange(anthropic.Dialect{}, nil)
	c, err := (anthropic.Provider{}).DecodeCompletion(x, in)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(dir, "completion.json"), canonical(t, struct {
		*ai.Completion
		Usage  ai.Usage
		Finish ai.Finish
	}{c, x.Usage, x.Finish}))
	client, err := x.Client.AppendCompletion(nil, x, c)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join(dir, "client.json"), pretty(t, json.RawMessage(client)))
	scanned := exchange(anthropic.Dialect{}, nil)
	if err := (anthropic.Provider{}).Scan(scanned, in); err != nil || scanned.Usage != x.Usage || scanned.Finish != x.Finish {
		t.Errorf("Scan: %v, %+v %q, want %+v %q", err, scanned.Usage, scanned.Finish, x.Usage, x.Finish)
	}
}

func goldenStream(t *testing.T, dir string, in []byte) {
	x := exchange(anthropic.Dialect{}, nil)
	var events, client bytes.Buffer
	enc := x.Client.NewEncoder(x)
	forwarded := eachFrame(t, x, in, func(evs []ai.Event) {
		for _, e := range evs {
			fmt.Fprintln(&events, describe(&e))
		}
		out, err := enc.AppendEvents(nil, evs)
		if err != nil {
			t.Fatal(err)
		}
		client.Write(out)
	})
	client.Write(enc.AppendEnd(nil))
	checkStream(t, client.Bytes())
	fmt.Fprintf(&events, "usage %+v\nfinish %q\n", x.Usage, x.Finish)
	golden(t, filepath.Join(dir, "events.txt"), events.Bytes())
	golden(t, filepath.Join(dir, "client.sse"), client.Bytes())
	if !bytes.Equal(forwarded, in) {
		t.Error("the bypass changed the stream")
	}
}

// eachFrame decodes a stream and gives what the bypass makes of it.
func eachFrame(t *testing.T, x *ai.Exchange, in []byte, f func([]ai.Event)) (forwarded []byte) {
	t.Helper()
	dec := x.Target.Provider.NewStream(x)
	var sc sse.Scanner
	r := bytes.NewReader(in)
	for {
		frame, err := sc.Next(r)
		if err != nil {
			return forwarded
		}
		evs, err := dec.Decode(frame, nil)
		if err != nil {
			t.Fatalf("%s: %v", frame.Data, err)
		}
		f(evs)
		forwarded = (anthropic.Provider{}).AppendFrame(forwarded, x, frame)
	}
}

// checkStream wants a stream as Anthropic's clients read it: valid events, blocks one after the other without gaps.
func checkStream(t *testing.T, stream []byte) {
	t.Helper()
	open, next := -1, 0
	for _, frame := range strings.SplitAfter(string(stream), "\n\n") {
		name, data, ok := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(frame, "\n\n"), "event: "), "\ndata: ")
		if frame == "" {
			continue
		}
		var e struct {
			Type  string
			Index int
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil || !ok || e.Type != name {
			t.Fatalf("bad frame %q: %v", frame, err)
		}
		switch e.Type {
		case "content_block_start":
			if open >= 0 || e.Index != next {
				t.Fatalf("block %d begins while %d is open and %d should be next", e.Index, open, next)
			}
			open = next
			next++
		case "content_block_delta", "content_block_stop":
			if e.Index != open {
				t.Fatalf("%s of block %d while %d is open", e.Type, e.Index, open)
			}
			if e.Type == "content_block_stop" {
				open = -1
			}
		case "message_stop", "message_delta":
			if open >= 0 {
				t.Fatalf("%s while block %d is open", e.Type, open)
			}
		}
	}
}

func describe(e *ai.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s part=%d", kindNames[e.Kind], e.Part)
	if e.Kind == ai.EventToolStart || e.Kind == ai.EventToolDelta {
		fmt.Fprintf(&b, " call=%d", e.Call)
	}
	for _, f := range []struct{ name, v string }{
		{"text", string(e.Text)}, {"id", string(e.ID)}, {"name", string(e.Name)},
		{"finish", string(e.Finish)}, {"sequence", e.StopSequence},
	} {
		if f.v != "" {
			fmt.Fprintf(&b, " %s=%q", f.name, f.v)
		}
	}
	if e.Redacted {
		b.WriteString(" redacted")
	}
	if e.Err != nil {
		fmt.Fprintf(&b, " %s %v", e.Err.Type, e.Err)
	}
	return b.String()
}

var kindNames = map[ai.EventKind]string{
	ai.EventStart: "start", ai.EventText: "text", ai.EventRefusal: "refusal", ai.EventReasoning: "reasoning",
	ai.EventSignature: "signature", ai.EventToolStart: "tool-start", ai.EventToolDelta: "tool-delta",
	ai.EventLogprobs: "logprobs", ai.EventFinish: "finish", ai.EventError: "error", ai.EventPing: "ping",
}

func goldenEvents(t *testing.T, dir string, in []byte) {
	x := exchange(anthropic.Dialect{}, nil)
	x.Request.Model = "asked-for"
	var script []struct {
		Kind, Text, ID, Name, Sequence string
		Choice, Part, Call             int
		Finish                         ai.Finish
		Redacted                       bool
		Usage                          *ai.Usage
	}
	if err := json.Unmarshal(in, &script); err != nil {
		t.Fatal(err)
	}
	enc := x.Client.NewEncoder(x)
	var out []byte
	for _, s := range script {
		if s.Usage != nil {
			x.Usage = *s.Usage
			continue
		}
		e := ai.Event{
			Text: []byte(s.Text), ID: []byte(s.ID), Name: []byte(s.Name), StopSequence: s.Sequence,
			Choice: s.Choice, Part: s.Part, Call: s.Call, Finish: s.Finish, Redacted: s.Redacted,
		}
		for k, name := range kindNames {
			if name == s.Kind {
				e.Kind = k
			}
		}
		var err error
		if out, err = enc.AppendEvents(out, []ai.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	out = enc.AppendEnd(out)
	checkStream(t, out)
	golden(t, filepath.Join(dir, "client.sse"), out)
}

func goldenError(t *testing.T, dir string, in []byte) {
	var c struct {
		Status  int
		Headers map[string]string
		Body    json.RawMessage
	}
	if err := json.Unmarshal(in, &c); err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, c.Body); err != nil {
		t.Fatal(err)
	}
	e := (anthropic.Provider{}).DecodeError(c.Status, func(name string) string {
		for k, v := range c.Headers {
			if strings.EqualFold(k, name) {
				return v
			}
		}
		return ""
	}, body.Bytes())
	golden(t, filepath.Join(dir, "error.txt"), fmt.Appendf(nil, "%+v\n%s\n", *e, anthropic.Dialect{}.AppendError(nil, e)))
}
