package openai_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/ai/sse"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var dialect = openai.Dialect{Now: func() time.Time { return time.Unix(1700000000, 0) }}

// TestGolden runs the folders of testdata. Which of the inputs request.json, upstream_response.json and upstream_stream.sse a
// folder has says what is done; case.json says how.
func TestGolden(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*/case.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range dirs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) { newGolden(t, dir).run() })
	}
}

type golden struct {
	*testing.T
	dir string
	x   *ai.Exchange
	p   openai.Provider
}

func newGolden(t *testing.T, dir string) *golden {
	c := struct {
		Op                      string
		Model, APIVersion       string
		Azure, Drop, WantsUsage bool
	}{Op: "chat", Model: "gpt-5"}
	b, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	op := map[string]ai.Op{"chat": ai.OpChat, "completion": ai.OpCompletion, "embeddings": ai.OpEmbeddings}[c.Op]
	p := openai.Provider{Azure: c.Azure}
	x := &ai.Exchange{Op: op, Client: dialect, Target: ai.Target{Provider: p, Model: c.Model, APIVersion: c.APIVersion, Drop: c.Drop}}
	x.Request.WantsUsage = c.WantsUsage
	x.Request.Raw = []byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"input":"x"}`)
	return &golden{T: t, dir: dir, x: x, p: p}
}

func (g *golden) read(name string) []byte {
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		g.Fatal(err)
	}
	return b
}

func (g *golden) want(name string, got []byte) {
	g.Helper()
	path := filepath.Join(g.dir, name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			g.Fatal(err)
		}
		return
	}
	if want := g.read(name); !bytes.Equal(got, want) {
		g.Errorf("%s differs (run with -update to accept)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

func (g *golden) run() {
	if body := g.read("request.json"); body != nil {
		g.request(body)
	}
	if body := g.read("upstream_response.json"); body != nil {
		g.response(body)
	}
	if body := g.read("upstream_stream.sse"); body != nil {
		g.stream(body)
	}
}

// request peeks, decodes, translates and forwards.
func (g *golden) request(body []byte) {
	x := g.x
	x.Request.Raw = nil
	if err := x.Client.Peek(x.Op, body, &x.Request); err != nil {
		g.want("request.golden", pretty(g.T, err))
		return
	}
	g.want("peek.golden", pretty(g.T, x.Request))
	x.Request.Raw = body
	var decoded any
	var err error
	if x.Op == ai.OpEmbeddings {
		decoded, err = x.Embed()
	} else {
		decoded, err = x.Chat()
	}
	if err != nil {
		decoded = err
	}
	g.want("chat.golden", pretty(g.T, decoded))
	var out ai.HTTPRequest
	if err := g.p.EncodeRequest(x, &out); err != nil {
		g.want("upstream_request.json", pretty(g.T, err))
	} else {
		g.want("upstream_request.json", g.http(&out))
	}
	if err := g.p.ForwardRequest(x, &out); err != nil {
		g.Fatal(err)
	}
	valid(g.T, out.Content(x))
	g.want("forward_request.json", out.Content(x))
}

func (g *golden) http(out *ai.HTTPRequest) []byte {
	valid(g.T, out.Body)
	line := out.Method + " " + out.Path
	if out.Query != "" {
		line += "?" + out.Query
	}
	return append([]byte(line+"\n"), pretty(g.T, json.RawMessage(out.Body))...)
}

func (g *golden) response(body []byte) {
	x := g.x
	var out []byte
	if x.Op == ai.OpEmbeddings {
		e, err := g.p.DecodeEmbeddings(x, body)
		if err != nil {
			g.want("response.json", pretty(g.T, err))
			return
		}
		if out, err = x.Client.AppendEmbeddings(nil, x, e); err != nil {
			g.Fatal(err)
		}
	} else {
		c, err := g.p.DecodeCompletion(x, body)
		if err != nil {
			g.want("response.json", pretty(g.T, err))
			return
		}
		g.want("completion.golden", pretty(g.T, []any{c, x.Usage}))
		if out, err = x.Client.AppendCompletion(nil, x, c); err != nil {
			g.Fatal(err)
		}
	}
	valid(g.T, out)
	g.want("response.json", pretty(g.T, json.RawMessage(out)))
	scanned := ai.Exchange{}
	if err := g.p.Scan(&scanned, body); err != nil || scanned.Usage != x.Usage || scanned.Finish != x.Finish {
		g.Errorf("Scan: %v %+v %q, DecodeCompletion: %+v %q", err, scanned.Usage, scanned.Finish, x.Usage, x.Finish)
	}
}

// stream decodes, encodes for the client and forwards.
func (g *golden) stream(body []byte) {
	x := g.x
	x.Request.N = 0
	dec, enc := g.p.NewStream(x), x.Client.NewEncoder(x)
	var s sse.Scanner
	var evs []ai.Event
	var events, client, forwarded []byte
	for r := bytes.NewReader(body); ; {
		f, err := s.Next(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			g.Fatal(err)
		}
		if evs, err = dec.Decode(f, evs[:0]); err != nil {
			events = append(events, "error: "+err.Error()+"\n"...)
			continue
		}
		for i := range evs {
			events = append(events, eventLine(&evs[i])...)
		}
		if client, err = enc.AppendEvents(client, evs); err != nil {
			g.Fatal(err)
		}
		forwarded = g.p.AppendFrame(forwarded, x, f)
	}
	if dec.Done() || dec.(ai.Lenient).CompleteAtEOF() {
		client = enc.AppendEnd(client)
	}
	end, _ := json.Marshal(map[string]any{"done": dec.Done(), "complete": dec.(ai.Lenient).CompleteAtEOF(), "usage": x.Usage, "finish": x.Finish})
	g.want("events.golden", append(events, append(end, '\n')...))
	g.want("stream.sse", client)
	g.want("forward_stream.sse", forwarded)
	framesAreJSON(g.T, client)
	framesAreJSON(g.T, forwarded)
}

func framesAreJSON(t *testing.T, stream []byte) {
	t.Helper()
	var s sse.Scanner
	for r := bytes.NewReader(stream); ; {
		f, err := s.Next(r)
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Data) != "[DONE]" {
			valid(t, f.Data)
		}
	}
}

// eventLine writes an event for people.
func eventLine(e *ai.Event) string {
	names := [...]string{"", "start", "text", "refusal", "reasoning", "signature", "tool-start", "tool-delta", "logprobs", "finish", "error", "ping"}
	m := map[string]any{"choice": e.Choice, "part": e.Part, "call": e.Call, "text": string(e.Text), "id": callID(string(e.ID)), "name": string(e.Name),
		"redacted": e.Redacted, "custom": e.Custom, "finish": e.Finish, "stop": e.StopSequence, "raw": string(e.Raw), "err": e.Err}
	b, _ := json.Marshal(prune(reread(m)))
	return names[e.Kind] + " " + string(b) + "\n"
}

// callID hides ids that are made up by chance.
func callID(id string) string {
	if rest, ok := strings.CutPrefix(id, "call_"); ok && len(rest) == 26 {
		return "call_RANDOM"
	}
	return id
}

func valid(t *testing.T, b []byte) {
	t.Helper()
	if err := jsonscan.Valid(b); err != nil {
		t.Errorf("%v in %s", err, b)
	}
}

// pretty writes v as indented JSON without what is empty; of an error, what it is.
func pretty(t *testing.T, v any) []byte {
	t.Helper()
	raw, isRaw := v.(json.RawMessage)
	var b bytes.Buffer
	if isRaw {
		if err := json.Indent(&b, raw, "", "  "); err != nil {
			t.Fatal(err)
		}
		return append(b.Bytes(), '\n')
	}
	if err, ok := v.(error); ok {
		v = map[string]any{err.Error(): err}
	}
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(prune(reread(v))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// reread is v as maps and slices.
func reread(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var a any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&a); err != nil {
		return err.Error()
	}
	return a
}

// prune leaves out members that are empty.
func prune(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if m = prune(m); m == nil || m == "" || m == false || m == json.Number("0") {
				delete(v, k)
			} else {
				v[k] = m
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return v
}
