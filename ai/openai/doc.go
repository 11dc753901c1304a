// Package openai speaks OpenAI's schema on both sides: chat completions, legacy completions, embeddings and models
// (https://platform.openai.com/docs/api-reference). It also serves what is compatible with OpenAI, and Azure OpenAI, which
// differs in its paths alone.
//
// Reasoning. Chat completions have no field for the thoughts of other vendors' models, so the package uses those that
// compatible servers and their clients agree on. To a client a thought is message.reasoning_content (a string), and once
// more, with what its vendor needs to have back, in message.reasoning_details, as OpenRouter documents it:
//
//	[{"type":"reasoning.text","index":0,"text":"…","signature":"…"}, {"type":"reasoning.encrypted","index":1,"data":"…"}]
//
// In a stream both are in the delta; entries of one index belong together. A client hands reasoning_details back in the
// assistant's message as it came. Read are reasoning_details, thinking_blocks (LiteLLM), reasoning_content and reasoning.
//
// The package must not import an HTTP implementation, Kubernetes or a store.
package openai

import (
	"strings"
	"time"

	"github.com/nantian-gw/nantian/ai"
)

// Dialect is the client side.
type Dialect struct {
	// Now dates answers whose provider gives no date; nil is time.Now.
	Now func() time.Time
}

// Schema is ai.OpenAI.
func (Dialect) Schema() ai.Schema { return ai.OpenAI }

func (d Dialect) now() int64 {
	if d.Now == nil {
		return time.Now().Unix()
	}
	return d.Now().Unix()
}

// Provider is the upstream side.
type Provider struct {
	// Azure uses the paths of Azure OpenAI.
	Azure bool
}

// Schema is ai.OpenAI or ai.AzureOpenAI.
func (p Provider) Schema() ai.Schema {
	if p.Azure {
		return ai.AzureOpenAI
	}
	return ai.OpenAI
}

// Framing is server-sent events.
func (Provider) Framing() ai.Framing { return ai.SSE }

var (
	_ ai.Dialect  = Dialect{}
	_ ai.Provider = Provider{}
	_ ai.Bypass   = Provider{}
)

// own says whether a model is one that OpenAI itself serves. Those refuse what compatible servers accept or need
// (max_tokens, reasoning_content). Azure's deployments have free names, and run nothing else.
func (p Provider) own(model string) bool {
	model = strings.TrimPrefix(strings.TrimPrefix(model, "openai/"), "ft:")
	if p.Azure {
		return true
	}
	if strings.HasPrefix(model, "gpt-oss") {
		return false
	}
	for _, prefix := range [...]string{"gpt-", "chatgpt-", "codex-", "o1", "o3", "o4"} {
		if strings.HasPrefix(model, prefix) {
			return true
		}
	}
	return false
}
