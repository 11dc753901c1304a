package openai_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/ai/sse"
)

func seeds(f *testing.F, name string) {
	paths, _ := filepath.Glob("testdata/*/" + name)
	if len(paths) == 0 {
		f.Fatal("no seeds")
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// FuzzPeek also forwards: what was accepted must stay valid, and hold the new model alone.
func FuzzPeek(f *testing.F) {
	seeds(f, "request.json")
	f.Fuzz(func(t *testing.T, body []byte) {
		x := &ai.Exchange{Op: ai.OpChat, Client: dialect, Target: ai.Target{Model: "new \"model\""}}
		if dialect.Peek(x.Op, body, &x.Request) != nil {
			return
		}
		x.Request.Raw = body
		var out ai.HTTPRequest
		if err := (openai.Provider{}).ForwardRequest(x, &out); err != nil {
			t.Fatal(err)
		}
		var r ai.Request
		if err := dialect.Peek(x.Op, out.Content(x), &r); err != nil {
			t.Fatalf("%q became %q: %v", body, out.Content(x), err)
		}
		if r.Model != x.Target.Model || r.Stream != x.Request.Stream || r.Stream && !r.WantsUsage {
			t.Fatalf("%q became %q: %+v", body, out.Content(x), r)
		}
	})
}

// FuzzDecodeChat also translates: what was accepted must give valid JSON.
func FuzzDecodeChat(f *testing.F) {
	seeds(f, "request.json")
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []ai.Op{ai.OpChat, ai.OpCompletion, ai.OpEmbeddings} {
			x := &ai.Exchange{Op: op, Client: dialect, Target: ai.Target{Model: "m", Drop: true}}
			if dialect.Peek(op, body, &x.Request) != nil {
				return
			}
			x.Request.Raw = body
			var out ai.HTTPRequest
			if (openai.Provider{}).EncodeRequest(x, &out) != nil {
				continue
			}
			if err := jsonscan.Valid(out.Body); err != nil {
				t.Fatalf("%q became %q: %v", body, out.Body, err)
			}
		}
	})
}

// FuzzDecodeStream also encodes for the client.
func FuzzDecodeStream(f *testing.F) {
	seeds(f, "upstream_stream.sse")
	f.Fuzz(func(t *testing.T, body []byte) {
		x := &ai.Exchange{Op: ai.OpChat, Client: dialect}
		x.Request.Raw = []byte(`{"messages":[{"role":"user","content":"x"}]}`)
		p := openai.Provider{}
		dec, enc := p.NewStream(x), dialect.NewEncoder(x)
		var s sse.Scanner
		var out []byte
		for r := bytes.NewReader(body); ; {
			frame, err := s.Next(r)
			if err != nil {
				break
			}
			evs, err := dec.Decode(frame, nil)
			if err != nil {
				continue
			}
			n := len(out)
			if out, err = enc.AppendEvents(out, evs); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(frame.Data, []byte("[DONE]")) && jsonscan.Valid(frame.Data) == nil {
				framesAreJSON(t, out[n:])
				framesAreJSON(t, p.AppendFrame(nil, x, frame))
			}
		}
	})
}

// FuzzDecodeCompletion also encodes for the client, and reads errors.
func FuzzDecodeCompletion(f *testing.F) {
	seeds(f, "upstream_response.json")
	f.Fuzz(func(t *testing.T, body []byte) {
		p := openai.Provider{}
		e := p.DecodeError(500, func(string) string { return "" }, body)
		valid(t, dialect.AppendError(nil, e))
		x := &ai.Exchange{Op: ai.OpChat, Client: dialect, Target: ai.Target{Provider: p}}
		x.Request.Raw = []byte(`{"messages":[{"role":"user","content":"x"}]}`)
		_ = p.Scan(x, body)
		_, _ = p.DecodeEmbeddings(x, body)
		c, err := p.DecodeCompletion(x, body)
		if err != nil {
			return
		}
		out, err := dialect.AppendCompletion(nil, x, c)
		if err != nil {
			t.Fatal(err)
		}
		valid(t, out)
	})
}
