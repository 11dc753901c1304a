package docs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/promptguard"
)

const guardIntroduction = `# Prompt guards

Written by ` + "`make generate`" + `. [How to use them](../tasks/prompt-guard.md); the fields of a policy are under [kinds](crds.md#promptguardpolicy).

## Detectors

[How good they are](prompt-guard-quality.md), measured.

| name | finds |
|---|---|
`

const guardContract = `
## Codes

| code | status | when |
|---|---|---|
| ` + "`prompt_guard_blocked`" + ` | 400 | a rule blocks what was found, or would change what cannot be changed (the name of a model) |
| ` + "`prompt_guard_unscannable`" + ` | 400 | a text cannot be looked at |
| ` + "`prompt_guard_unavailable`" + ` | 503 | a webhook gave no verdict, and its failureMode is Closed |

In Anthropic's dialect, which has no field for codes, the code stands at the end of the message; it does in OpenAI's as well.

## Webhooks

The gateway sends ` + "`POST`" + ` to the URL with ` + "`Content-Type: application/json`" + `, and ` + "`Authorization: Bearer`" + ` where an apiKey is set:

` + "```json" + `
{"role": "user", "part": "text", "partial": false, "content": "..."}
` + "```" + `

| member | meaning |
|---|---|
| ` + "`role`" + ` | who speaks: system, developer, user, assistant, tool; texts of one speaker that stand together are one question, a line each |
| ` + "`part`" + ` | text |
| ` + "`partial`" + ` | more of the same text follows in another question |
| ` + "`content`" + ` | the text, of at most 32 KiB |

The answer has status 200 and

` + "```json" + `
{"action": "Mask", "findings": [{"kind": "Name", "start": 0, "end": 4, "action": "Mask"}]}
` + "```" + `

Actions are Allow, Audit, Hash, Mask and Block. ` + "`start`" + ` and ` + "`end`" + ` are offsets in the content as UTF-8, in bytes. An action without findings is one about the whole
content. ` + "`kind`" + ` is for whoever reads the answer; metrics and logs name the rule alone. Anything else (another status, an answer of more than 1 MiB, a redirect,
a finding outside of the text) is no verdict, and so is what takes longer than the timeout, the wait for a turn included.

A webhook of the kind OpenAIModeration is sent ` + "`{\"model\": ..., \"input\": ...}`" + ` and answers as OpenAI's ` + "`POST /v1/moderations`" + ` does: what is flagged is treated by the rule's
action, Block or Audit.

## Bounds

| what | bound |
|---|---|
| match of a pattern | 8 KiB; 256 bytes where the pattern has no bound and the rule no maxLength |
| pattern | 1 KiB, and 4,096 instructions once it is compiled |
| cost of a text for patterns | 64 steps for each byte, and 1,048,576 |
| private key that is masked | 8 KiB; a longer one is blocked |
| JSON in strings of JSON | 8 deep |
| masked values of a request | 20,000, and 4 MiB; those beyond have a placeholder without a number, and do not return |
| texts open at once in a stream | 1,024, with less than 64 KiB each |
| arguments of a tool in a stream that a webhook is asked about | 256 KiB |
`

func TestGuard(t *testing.T) {
	var b strings.Builder
	b.WriteString(guardIntroduction)
	for _, name := range promptguard.Builtins() {
		what := promptguard.Describe(name)
		if what == "" {
			t.Errorf("%s has no description", name)
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, cell(what))
	}
	generated(t, "reference/prompt-guard.md", b.String()+guardContract)
}
