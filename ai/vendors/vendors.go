// Package vendors lists the schemas that the gateway speaks: who speaks each with clients and with providers, where a
// provider is and how it wants to be paid its credentials, and which schema a client's path belongs to.
//
// It is the only package that imports all vendors. It imports no HTTP implementation.
package vendors

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/anthropic"
	"github.com/nantian-gw/nantian/ai/gemini"
	"github.com/nantian-gw/nantian/ai/ollama"
	"github.com/nantian-gw/nantian/ai/openai"
)

// Dialects are the schemas that clients may speak, in the order of the documentation.
func Dialects() []ai.Schema { return []ai.Schema{ai.OpenAI, ai.Anthropic} }

// Providers are the schemas of upstreams, in the order of the documentation.
func Providers() []ai.Schema {
	return []ai.Schema{ai.OpenAI, ai.AzureOpenAI, ai.Anthropic, ai.Gemini, ai.Ollama}
}

// Dialect is the client side of a schema. Clients of AzureOpenAI speak OpenAI's.
func Dialect(s ai.Schema) (ai.Dialect, bool) {
	switch s {
	case ai.OpenAI, ai.AzureOpenAI:
		return openai.Dialect{}, true
	case ai.Anthropic:
		return anthropic.Dialect{}, true
	}
	return nil, false
}

// Provider is the upstream side of a schema.
func Provider(s ai.Schema) (ai.Provider, bool) {
	switch s {
	case ai.OpenAI:
		return openai.Provider{}, true
	case ai.AzureOpenAI:
		return openai.Provider{Azure: true}, true
	case ai.Anthropic:
		return anthropic.Provider{}, true
	case ai.Gemini:
		return gemini.Provider{}, true
	case ai.Ollama:
		return ollama.Provider{}, true
	}
	return nil, false
}

// BaseURL is where a vendor's public endpoint is; the paths of its HTTPRequests go behind it. It is empty for
// AzureOpenAI, where every customer has an own one.
func BaseURL(s ai.Schema) string {
	switch s {
	case ai.OpenAI:
		return "https://api.openai.com/v1"
	case ai.Anthropic:
		return "https://api.anthropic.com"
	case ai.Gemini:
		return "https://generativelanguage.googleapis.com"
	case ai.Ollama:
		return "http://localhost:11434"
	}
	return ""
}

// Credential is the header that carries a provider's API key, and what stands before the key in it.
func Credential(s ai.Schema) (header, prefix string) {
	switch s {
	case ai.AzureOpenAI:
		return "api-key", ""
	case ai.Anthropic:
		return "x-api-key", ""
	case ai.Gemini:
		return "x-goog-api-key", ""
	}
	return "Authorization", "Bearer "
}
