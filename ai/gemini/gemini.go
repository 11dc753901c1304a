// Package gemini is the upstream side of the Gemini API (https://ai.google.dev/api/generate-content).
//
// It owns the translation of canonical requests to generateContent, streamGenerateContent, countTokens and
// batchEmbedContents, and of their answers back. It imports no HTTP implementation and knows no client dialect.
//
// # Signatures
//
// Gemini signs parts (thoughtSignature) and Gemini 3 refuses a conversation whose tool calls come back unsigned
// (https://ai.google.dev/gemini-api/docs/thought-signatures). No client schema has a place for a signature on a tool
// call, so it travels in a reasoning part without text that stands before the call, marked with ai.GeminiCallSignature;
// the signature of a thought or of a text travels in a reasoning part marked with ai.GeminiSignature. Reasoning without
// a mark is another vendor's and is left out: it is history, and no other model can read it. Where a client did not give
// the signature of a call back, the value that Google documents for transferred histories stands in.
package gemini

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
)

// Provider speaks with the Gemini API. Its zero value is ready.
type Provider struct{}

var _ ai.Provider = Provider{}

// Schema implements ai.Provider.
func (Provider) Schema() ai.Schema { return ai.Gemini }

// Framing implements ai.Provider.
func (Provider) Framing() ai.Framing { return ai.SSE }

// EncodeRequest implements ai.Provider.
func (Provider) EncodeRequest(x *ai.Exchange, out *ai.HTTPRequest) error {
	out.Reset()
	out.Method = "POST"
	switch x.Op {
	case ai.OpChat, ai.OpCompletion:
		return encodeChat(x, out)
	case ai.OpCountTokens:
		return encodeCount(x, out)
	case ai.OpEmbeddings:
		return encodeEmbed(x, out)
	}
	return fmt.Errorf("gemini: no call for the operation %s", x.Op)
}

func encodeChat(x *ai.Exchange, out *ai.HTTPRequest) error {
	if x.Request.Stream {
		out.Path, out.Query = urlPath(x.Target.Model, "streamGenerateContent"), "alt=sse"
	} else {
		out.Path = urlPath(x.Target.Model, "generateContent")
	}
	e, err := newEncoder(x, out.Body)
	if err != nil {
		return err
	}
	e.Open()
	if err := e.prompt(); err != nil {
		return err
	}
	e.config()
	e.serviceTier()
	e.rest()
	e.Shut()
	out.Body = e.B
	return e.gaps.Err(x, ai.Gemini)
}

// encoder writes one request.
type encoder struct {
	body.Writer
	c     *ai.Chat
	gaps  ai.Gaps
	model model
	// calls are the signatures of the calls that follow in the model's turn.
	calls []string
	// signed says that the turn's first call, which alone needs a signature, is written.
	signed bool
}

func newEncoder(x *ai.Exchange, dst []byte) (*encoder, error) {
	c, err := x.Chat()
	if err != nil {
		return nil, err
	}
	return &encoder{Writer: body.Writer{B: dst}, c: c, gaps: ai.NewGaps(x), model: parseModel(x.Target.Model)}, nil
}

// encodeCount asks for the tokens of the whole request, tools and system instruction included, which only
// generateContentRequest can say (https://ai.google.dev/api/tokens).
func encodeCount(x *ai.Exchange, out *ai.HTTPRequest) error {
	out.Path = urlPath(x.Target.Model, "countTokens")
	e, err := newEncoder(x, out.Body)
	if err != nil {
		return err
	}
	e.Open()
	e.Object("generateContentRequest")
	e.Text("model", resource(x.Target.Model))
	if err := e.prompt(); err != nil {
		return err
	}
	e.Shut()
	e.Shut()
	out.Body = e.B
	return e.gaps.Err(x, ai.Gemini)
}

// urlPath is the path of a method of a model. The model comes from the configuration; escaping keeps it one element.
func urlPath(model, method string) string {
	collection, name, _ := strings.Cut(resource(model), "/")
	return "/v1beta/" + collection + "/" + url.PathEscape(name) + ":" + method
}

// resource is the model's name as the API spells it: with its collection.
func resource(model string) string {
	if strings.HasPrefix(model, "models/") || strings.HasPrefix(model, "tunedModels/") {
		return model
	}
	return "models/" + model
}
