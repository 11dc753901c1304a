package gemini

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
)

// encodeEmbed asks for all inputs in one call (https://ai.google.dev/api/embeddings).
func encodeEmbed(x *ai.Exchange, out *ai.HTTPRequest) error {
	req, err := x.Embed()
	if err != nil {
		return err
	}
	out.Path = urlPath(x.Target.Model, "batchEmbedContents")
	e := encoder{Writer: body.Writer{B: out.Body}, gaps: ai.NewGaps(x)}
	name := resource(x.Target.Model)
	e.Open()
	e.Array("requests")
	for i := range req.Inputs {
		e.embedding(name, req, i)
	}
	e.End()
	e.Shut()
	if req.User != "" {
		e.gaps.Leave("user")
	}
	e.gaps.Extras(req.Extra)
	out.Body = e.B
	return e.gaps.Err(x, ai.Gemini)
}

func (e *encoder) embedding(name string, req *ai.EmbedRequest, i int) {
	if len(req.Inputs[i].Tokens) > 0 {
		e.gaps.Refuse("input")
		return
	}
	e.Open()
	e.Text("model", name)
	e.Object("content")
	e.Array("parts")
	e.textPart(req.Inputs[i].Text, "")
	e.End()
	e.Shut()
	if req.Dimensions > 0 {
		e.Int("outputDimensionality", req.Dimensions)
	}
	e.Shut()
}

// DecodeEmbeddings implements ai.Provider.
func (Provider) DecodeEmbeddings(x *ai.Exchange, body []byte) (*ai.Embeddings, error) {
	var answer struct {
		Embeddings []struct{ Values []float32 }
		Usage      struct{ PromptTokenCount int } `json:"usageMetadata"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("gemini: embeddings: %w", err)
	}
	if len(answer.Embeddings) == 0 {
		return nil, errors.New("gemini: embeddings: the answer holds none")
	}
	out := &ai.Embeddings{Model: x.Target.Model}
	for _, e := range answer.Embeddings {
		out.Vectors = append(out.Vectors, e.Values)
	}
	if n := answer.Usage.PromptTokenCount; n > 0 {
		x.Usage.Input, x.Usage.Known = n, true
	}
	return out, nil
}

// DecodeTokenCount implements ai.Provider.
func (Provider) DecodeTokenCount(_ *ai.Exchange, body []byte) (int, error) {
	var answer struct{ TotalTokens *int }
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("gemini: countTokens: %w", err)
	}
	if answer.TotalTokens == nil {
		return 0, errors.New("gemini: countTokens: no totalTokens in the answer")
	}
	return *answer.TotalTokens, nil
}
