package ai_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/openai"
)

// turn is a message in a form that can be compared.
func turn(r ai.Role, name string, texts []string) string {
	return string('0'+byte(r)) + " " + name + " " + strings.Join(texts, "|")
}

func plainTurns(p *ai.Plain) (out []string) {
	for _, m := range p.Messages {
		var texts []string
		for _, t := range m.Texts {
			texts = append(texts, string(t))
		}
		out = append(out, turn(m.Role, string(m.Name), texts))
	}
	return out
}

// decodedTurns fails for what is more than text.
func decodedTurns(t *testing.T, c *ai.Chat) (out []string) {
	if len(c.Tools) > 0 || c.Format != nil {
		t.Fatalf("not plain: %+v", c)
	}
	for _, m := range c.Messages {
		var texts []string
		for _, p := range m.Parts {
			if p.Kind != ai.PartText || p.Media != nil || p.Call != nil || p.Result != nil {
				t.Fatalf("not plain: %+v", p)
			}
			if p.Text != "" {
				texts = append(texts, p.Text)
			}
		}
		out = append(out, turn(m.Role, m.Name, texts))
	}
	return out
}

var dialects = []ai.Dialect{openai.Dialect{}, anthropic.Dialect{}}

// FuzzReadPlain: what is read as plain is what is decoded, and nothing but text.
func FuzzReadPlain(f *testing.F) {
	for _, dir := range []string{"openai", "anthropic"} {
		paths, _ := filepath.Glob(dir + "/testdata/*/request.json")
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	for _, s := range plainBodies {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, d := range dialects {
			var r ai.Request
			if d.Peek(ai.OpChat, body, &r) != nil {
				continue
			}
			var p ai.Plain
			if !d.ReadPlain(ai.OpChat, body, &p) {
				continue
			}
			if c, err := d.DecodeChat(ai.OpChat, body); err == nil {
				if got, want := plainTurns(&p), decodedTurns(t, c); !slices.Equal(got, want) {
					t.Fatalf("%s: %q of %s, decoded %q", d.Schema(), got, body, want)
				}
			}
		}
	})
}

var plainBodies = []string{
	`{"model":"m","messages":[{"role":"system","content":"Be \"brief\"\n."},{"role":"user","content":"Hi"}]}`,
	`{"model":"m","max_tokens":5,"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"type":"text","text":""}],"messages":[{"role":"user","content":[{"type":"text","text":"\u00e9"}]}]}`,
	`{"model":"m","max_tokens":5,"system":"","messages":[{"role":"assistant","content":""},{"role":"user","content":"x"}]}`,
	`{"model":"m","temperature":1,"messages":[{"role":"developer","content":"x"},{"role":"user","name":"a\tb","content":"y","tool_calls":null}]}`,
}

func TestReadPlain(t *testing.T) {
	f := func(d ai.Dialect, body string, want ...string) {
		t.Helper()
		var p ai.Plain
		if ok := d.ReadPlain(ai.OpChat, []byte(body), &p); ok != (want != nil) || ok && !slices.Equal(plainTurns(&p), want) {
			t.Errorf("%s: %v %q, want %q", body, ok, plainTurns(&p), want)
		}
	}
	o, a := dialects[0], dialects[1]
	f(o, plainBodies[0], "1  Be \"brief\"\n.", "3  Hi")
	f(o, plainBodies[3], "2  x", "3 a\tb y")
	f(a, plainBodies[1], "1  a", "3  é")
	f(a, plainBodies[2], "4  ", "3  x")
	for _, other := range []string{
		`{}`, `[]`, `{"messages":[]}`, `{"messages":{}}`, `{"messages":["x"]}`, `{"messages":[{"role":"tool","content":"x"}]}`,
		`{"messages":[{"role":"user"}]}`, `{"messages":[{"role":"user","content":null}]}`, `{"messages":[{"content":"x"}]}`,
		`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"text","text":"x","citations":[]}]}]}`,
		`{"messages":[{"role":"user","content":[{"type":"text"}]}]}`, `{"messages":[{"role":"user","content":["x"]}]}`,
		`{"messages":[{"role":"assistant","content":"x","tool_calls":[{}]}]}`, `{"messages":[{"role":"user","name":5,"content":"x"}]}`,
		`{"tools":[{}],"messages":[{"role":"user","content":"x"}]}`,
	} {
		f(o, other)
		f(a, other)
	}
	f(o, `{"response_format":{"type":"json_object"},"messages":[{"role":"user","content":"x"}]}`)
	f(a, `{"system":[{"type":"text","text":""}],"messages":[{"role":"user","content":"x"}]}`)
	f(a, `{"system":{},"messages":[{"role":"user","content":"x"}]}`)
	f(a, `{"system":"x","messages":[]}`)
}

// What was read before leaves nothing behind, and the memory is used again.
func TestPlainIsReused(t *testing.T) {
	var p ai.Plain
	read := func(body string) {
		p.Reset()
		if !dialects[0].ReadPlain(ai.OpChat, []byte(body), &p) {
			t.Fatal(body)
		}
	}
	read(plainBodies[3])
	read(plainBodies[0])
	if got := plainTurns(&p); !slices.Equal(got, []string{"1  Be \"brief\"\n.", "3  Hi"}) {
		t.Errorf("%q", got)
	}
	body := []byte(plainBodies[0])
	n := testing.AllocsPerRun(100, func() {
		p.Reset()
		dialects[0].ReadPlain(ai.OpChat, body, &p)
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
