package vendors_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/vendors"
)

// parameter is a row of the table: what clients may ask for, or what an answer may hold.
type parameter struct {
	name string
	// openAI and anthropic are the clients' words; empty where a schema has no such thing.
	openAI, anthropic string
	// wholeOnly and streamOnly are rows that have one form.
	wholeOnly, streamOnly bool
}

var parameters = []parameter{
	{name: "system", openAI: "role system", anthropic: "system"},
	{name: "developer", openAI: "role developer"},
	{name: "multi-turn", openAI: "messages", anthropic: "messages"},
	{name: "output limit", openAI: "max_completion_tokens", anthropic: "max_tokens"},
	{name: "temperature", openAI: "temperature", anthropic: "temperature"},
	{name: "top_p", openAI: "top_p", anthropic: "top_p"},
	{name: "top_k", anthropic: "top_k"},
	{name: "stop", openAI: "stop", anthropic: "stop_sequences"},
	{name: "seed", openAI: "seed"},
	{name: "n", openAI: "n"},
	{name: "penalties", openAI: "frequency_penalty, presence_penalty"},
	{name: "logit bias", openAI: "logit_bias"},
	{name: "logprobs", openAI: "logprobs, top_logprobs"},
	{name: "image by value", openAI: "image_url (data:)", anthropic: "image (base64)"},
	{name: "image detail", openAI: "image_url.detail"},
	{name: "image by URL", openAI: "image_url", anthropic: "image (url)"},
	{name: "audio", openAI: "input_audio"},
	{name: "file", openAI: "file", anthropic: "document"},
	{name: "tools", openAI: "tools", anthropic: "tools"},
	{name: "parallel calls", openAI: "tool_calls", anthropic: "tool_use"},
	{name: "streamed arguments", openAI: "tool_calls", anthropic: "input_json_delta", streamOnly: true},
	{name: "tool results", openAI: "role tool", anthropic: "tool_result"},
	{name: "tool choice", openAI: "tool_choice", anthropic: "tool_choice"},
	{name: "no parallel calls", openAI: "parallel_tool_calls", anthropic: "disable_parallel_tool_use"},
	{name: "strict tools", openAI: "strict", anthropic: "strict"},
	{name: "JSON mode", openAI: "response_format json_object"},
	{name: "JSON schema", openAI: "response_format json_schema", anthropic: "output_config.format"},
	{name: "reasoning", openAI: "reasoning_effort", anthropic: "thinking"},
	{name: "signatures", openAI: "reasoning_details", anthropic: "thinking.signature"},
	{name: "cache control", anthropic: "cache_control"},
	{name: "user", openAI: "user", anthropic: "metadata.user_id"},
	{name: "metadata", openAI: "metadata"},
	{name: "service tier", openAI: "service_tier", anthropic: "service_tier"},
	{name: "store", openAI: "store"},
	{name: "unknown field", openAI: "any other", anthropic: "any other"},
	{name: "usage", openAI: "usage", anthropic: "usage"},
	{name: "cached tokens", openAI: "cached_tokens", anthropic: "cache_read_input_tokens"},
	{name: "reasoning tokens", openAI: "reasoning_tokens", anthropic: "thinking_tokens"},
	{name: "finish: length", openAI: "finish_reason length", anthropic: "max_tokens"},
	{name: "finish: tools", openAI: "finish_reason tool_calls", anthropic: "tool_use"},
	{name: "finish: filter", openAI: "finish_reason content_filter", anthropic: "refusal"},
	{name: "finish: stop sequence", anthropic: "stop_sequence"},
	{name: "refusal", openAI: "refusal", anthropic: "refusal"},
	{name: "error", openAI: "error", anthropic: "error"},
	{name: "stream cut off", openAI: "error", anthropic: "error", streamOnly: true},
	{name: "legacy completion", openAI: "/completions"},
	{name: "embeddings", openAI: "/embeddings", wholeOnly: true},
	{name: "token count", anthropic: "/messages/count_tokens", wholeOnly: true},
}

func (p *parameter) word(client ai.Schema) string {
	if client == ai.OpenAI {
		return p.openAI
	}
	return p.anthropic
}

// columns are the providers of the table. AzureOpenAI is OpenAI's code with other paths, which its own goldens show.
var columns = []ai.Schema{ai.OpenAI, ai.Anthropic, ai.Gemini, ai.Ollama}

const document = "../../docs/reference/translation.md"

// table writes or checks the table, and fails for a cell without a golden.
func table(t *testing.T, all []*golden) {
	for _, g := range all {
		for name := range g.spec.Covers {
			if !slices.ContainsFunc(parameters, func(p parameter) bool { return p.name == name }) {
				t.Errorf("%s covers %q, which the table does not have", g.dir, name)
			}
		}
	}
	var b bytes.Buffer
	b.WriteString(introduction)
	for _, client := range vendors.Dialects() {
		fmt.Fprintf(&b, "\n## Clients of %s\n\n| parameter | in the client's words |", client)
		for _, p := range columns {
			fmt.Fprintf(&b, " %s |", p)
		}
		b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
		for i := range parameters {
			row(t, &b, all, client, &parameters[i])
		}
	}
	if *update {
		if err := os.MkdirAll("../../docs/reference", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(document, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(document); err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("%s is not what the goldens say (%v); run the test with -update", document, err)
	}
}

const introduction = `# What a client may ask of which provider

Written by ` + "`go test ./ai/vendors -update`" + ` from the golden cases that each cell names; without -update the test checks it. A cell
without a case fails the test.

- **yes**: translated. **forwarded**: client and provider speak the same schema, and the bytes pass as they are.
- **400**: the provider cannot honour it. The request is refused with an error that names the parameter; with
  ` + "`onUnsupported: Drop`" + ` it goes on without, and the response header ` + "`X-Nantian-Dropped-Params`" + ` lists it.
- **left out**: a hint that changes cost or book-keeping but not the answer. It is left out, and the header lists it.

What no row says:

- Thoughts of earlier turns go back to the vendor that signed them, and unsigned or foreign ones to servers that take them. Where a
  provider takes none or cannot read them, they are left out and listed, as ` + "`messages[].reasoning_content`" + ` or
  ` + "`messages[].content[].thinking`" + `: a conversation goes on after a fallback to another vendor.
- Images that Gemini's models make are in ` + "`message.images`" + ` (` + "`delta.images`" + ` in streams) of clients of OpenAI, as OpenRouter's are, and
  may be handed back. Anthropic's schema has no place for them: its clients get an error of status 422, or an error event, and
  no other target is asked. So do all clients for sound and video.
- A client of OpenAI that asks for ` + "`stream_options.include_usage`" + ` gets it, counted by the gateway where the provider sends none.
- Anthropic's server tools, and citations, can be asked for by its own clients alone. They are forwarded to Anthropic and their
  answers come back as they are; any other provider refuses them (400).

The case after each word is a folder of ` + "`ai/vendors/testdata/<client>/<provider>`" + `; it shows the requests and answers, streamed (s)
and whole (w). The provider AzureOpenAI differs from OpenAI in its paths alone.
`

func row(t *testing.T, b *bytes.Buffer, all []*golden, client ai.Schema, p *parameter) {
	word := p.word(client)
	if word == "" {
		return
	}
	fmt.Fprintf(b, "| %s | %s |", p.name, word)
	for _, provider := range columns {
		fmt.Fprintf(b, " %s |", cell(t, all, client, provider, p))
	}
	b.WriteByte('\n')
}

// cell names the first cases that show the parameter whole and streamed.
func cell(t *testing.T, all []*golden, client, provider ai.Schema, p *parameter) string {
	var whole, streamed *golden
	for _, g := range all {
		if _, covers := g.spec.Covers[p.name]; !covers || g.client != client || g.provider != provider {
			continue
		}
		if whole == nil && (g.whole || g.answerless()) {
			whole = g
		}
		if streamed == nil && (g.streamed || g.answerless()) {
			streamed = g
		}
	}
	if whole == nil && !p.streamOnly {
		t.Errorf("%s to %s: no golden shows %q", client, provider, p.name)
		return "?"
	}
	if streamed == nil && !p.wholeOnly {
		t.Errorf("%s to %s: no golden shows %q streamed", client, provider, p.name)
		return "?"
	}
	switch {
	case p.wholeOnly:
		return whole.says(p) + " `" + whole.name + "` w"
	case p.streamOnly:
		return streamed.says(p) + " `" + streamed.name + "` s"
	case whole == streamed:
		return whole.says(p) + " `" + whole.name + "` w s"
	}
	return whole.says(p) + " `" + whole.name + "` w, `" + streamed.name + "` s"
}

// answerless says that the provider is never asked: the request is refused whole.
func (g *golden) answerless() bool { return !g.whole && !g.streamed }

// says is what became of a parameter.
func (g *golden) says(p *parameter) string {
	words := g.spec.Covers[p.name]
	if words == "count_tokens" && len(g.refused) > 0 {
		return "counted by the gateway"
	}
	if words != "" {
		for word := range strings.SplitSeq(words, ", ") {
			if names(g.refused, word) {
				return "**400**"
			}
			if names(g.left, word) {
				return "left out"
			}
		}
	}
	switch note := g.spec.Notes[p.name]; {
	case g.forwarded:
		return "forwarded"
	case note != "":
		return note
	}
	return "yes"
}

// names says whether word, or a member called so, is among params.
func names(params []string, word string) bool {
	return slices.ContainsFunc(params, func(p string) bool { return p == word || strings.HasSuffix(p, "."+word) })
}
