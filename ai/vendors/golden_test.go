package vendors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/ai/vendors"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/reference/translation.md")

// golden is one case: testdata/<client>/<provider>/<name>. Given are
//
//	case.json             path, the provider's model and status, and the parameters that the case covers
//	request.json          of the client
//	upstream_response.*   of the provider: .json whole, .sse or .ndjson streamed
//
// and made by the test
//
//	upstream_request.json         what the provider is sent, and under "streamed" what differs for a stream
//	refused.json                  the 400 for what the provider cannot honour; the rest of the case is then with Drop
//	dropped.txt                   what was left out
//	response.json, response.sse   what the client gets
type golden struct {
	dir              string
	client, provider ai.Schema
	name             string
	spec             struct {
		Path   string `json:"path"`
		Model  string `json:"model"`
		Status int    `json:"status"`
		// Covers maps parameters of the table to the client's word for them; the word is empty for what is of the answer.
		Covers map[string]string `json:"covers"`
		// Notes are what the table says of a parameter in place of yes.
		Notes map[string]string `json:"notes"`
	}
	// What the run found.
	whole, streamed, forwarded bool
	refused, left              []string
}

func goldens(t *testing.T) []*golden {
	t.Helper()
	var all []*golden
	for _, client := range vendors.Dialects() {
		for _, provider := range vendors.Providers() {
			dirs, err := filepath.Glob(filepath.Join("testdata", string(client), string(provider), "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, dir := range dirs {
				g := &golden{dir: dir, client: client, provider: provider, name: filepath.Base(dir)}
				if err := json.Unmarshal(g.read(t, "case.json"), &g.spec); err != nil {
					t.Fatalf("%s: %v", dir, err)
				}
				all = append(all, g)
			}
		}
	}
	return all
}

func (g *golden) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// optional is nil for a file that the case does not have.
func (g *golden) optional(name string) []byte {
	b, err := os.ReadFile(filepath.Join(g.dir, name))
	if err != nil {
		return nil
	}
	return b
}

func (g *golden) want(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(g.dir, name)
	if *update {
		if len(got) == 0 {
			os.Remove(path)
			return
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := g.optional(name); !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", path, got, want)
	}
}

// TestTranslation runs every case, and then checks the table that is made of them.
func TestTranslation(t *testing.T) {
	all := goldens(t)
	for _, g := range all {
		t.Run(strings.TrimPrefix(g.dir, "testdata/"), g.run)
	}
	t.Run("table", func(t *testing.T) { table(t, all) })
}

func (g *golden) run(t *testing.T) {
	var whole, streamed []byte
	if body := g.optional("upstream_response.json"); body != nil {
		g.whole = true
		v := g.begin(t, false)
		whole = g.request(t, v)
		g.want(t, "response.json", pretty(t, v.answer(max(g.spec.Status, 200), body)))
	}
	for _, name := range []string{"upstream_response.sse", "upstream_response.ndjson"} {
		if body := g.optional(name); body != nil {
			g.streamed = true
			v := g.begin(t, true)
			streamed = g.request(t, v)
			g.want(t, "response.sse", v.stream(body))
		}
	}
	if !g.whole && !g.streamed {
		whole = g.request(t, g.begin(t, false))
	}
	if whole == nil {
		whole, streamed = streamed, nil
	}
	if whole != nil && streamed != nil {
		whole = jsonscan.AppendReplaced(nil, whole, "streamed", difference(whole, streamed))
	}
	if whole != nil {
		whole = pretty(t, whole)
	}
	g.want(t, "upstream_request.json", whole)
}

// difference holds the members of b that a does not have so, with their bodies looked into.
func difference(a, b []byte) []byte {
	out := []byte{'{'}
	for k, v := range jsonscan.Fields(b) {
		was := jsonscan.Get(a, string(k))
		switch {
		case bytes.Equal(was, v):
		case string(k) == "body":
			out = append(jsonscan.AppendKey(out, "body"), difference(was, v)...)
		default:
			out = append(jsonscan.AppendKey(out, string(k)), v...)
		}
	}
	return append(out, '}')
}

func (g *golden) begin(t *testing.T, stream bool) *drive {
	body := bytes.TrimSpace(g.read(t, "request.json"))
	if stream {
		body = jsonscan.AppendReplaced(nil, body, "stream", []byte("true"))
	}
	v := newDrive(t, g.spec.Path, g.provider, g.spec.Model, body)
	g.forwarded = v.bypass != nil
	if v.x.Client.Schema() != g.client {
		t.Fatalf("%s is a path of %s", g.spec.Path, v.x.Client.Schema())
	}
	return v
}

// request encodes, and where something is refused encodes once more without it. It answers nil if that does not help.
func (g *golden) request(t *testing.T, v *drive) []byte {
	err := v.encode()
	g.left = v.x.Dropped
	var u *ai.Unsupported
	var said *ai.Error
	switch {
	case errors.As(err, &u) && v.x.Op == ai.OpCountTokens:
		g.refused = u.Params // and the gateway counts
		return nil
	case errors.As(err, &u):
		g.refused = u.Params
		g.want(t, "refused.json", pretty(t, v.x.Client.AppendError(nil, refusal(u))))
		v.x.Target.Drop = true
		if err = v.encode(); errors.As(err, &u) {
			return nil
		}
	case errors.As(err, &said):
		g.want(t, "refused.json", pretty(t, v.x.Client.AppendError(nil, said)))
		return nil
	default:
		g.want(t, "refused.json", nil)
	}
	if err != nil {
		t.Fatalf("EncodeRequest: %v", err)
	}
	var dropped []byte
	for _, param := range v.x.Dropped {
		dropped = append(append(dropped, param...), '\n')
	}
	g.want(t, "dropped.txt", dropped)
	return v.call()
}

// call shows the provider's request with its head.
func (v *drive) call() []byte {
	b := append([]byte(nil), `{"call":`...)
	call := v.out.Method + " " + v.out.Path
	if v.out.Query != "" {
		call += "?" + v.out.Query
	}
	b = jsonscan.AppendQuoted(b, call)
	for _, h := range v.out.Headers {
		b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, strings.ToLower(h.Name)), h.Value)
	}
	b = append(jsonscan.AppendKey(b, "body"), v.out.Content(v.x)...)
	return append(b, '}')
}

func pretty(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}
