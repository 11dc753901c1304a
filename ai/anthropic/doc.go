// Package anthropic speaks Anthropic's Messages API on both sides: a Dialect for clients that send it and a Provider for
// upstreams that answer it, with count_tokens and the list of models. Its reference is
// https://platform.claude.com/docs/en/api/messages and the request types of Anthropic's own SDKs.
//
// Where client and provider both speak it, Provider forwards the bytes (see ai.Bypass): blocks of server tools, thinking
// with its signatures and everything newer than this package pass unchanged. What is translated passes through the
// canonical model of package ai; a block without a canonical form is an ai.PartOpaque.
//
// The package knows bytes alone: no HTTP implementation, no credentials.
package anthropic

import "github.com/nantian-gw/nantian/ai"

// Version is the anthropic-version header of every request.
const Version = "2023-06-01"

// Dialect is the client side. It has no state and is safe for concurrent use.
type Dialect struct{}

// Provider is the upstream side. It has no state and is safe for concurrent use.
//
// Paths are relative to https://api.anthropic.com. Anthropic demands max_tokens: a client that gives none gets
// ai.Target.MaxOutput, or 4096.
type Provider struct{}

var (
	_ ai.Dialect  = Dialect{}
	_ ai.Provider = Provider{}
	_ ai.Bypass   = Provider{}
)

// Schema is ai.Anthropic.
func (Dialect) Schema() ai.Schema { return ai.Anthropic }

// Schema is ai.Anthropic.
func (Provider) Schema() ai.Schema { return ai.Anthropic }

// Framing is ai.SSE.
func (Provider) Framing() ai.Framing { return ai.SSE }
