package ollama

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
)

// encodeEmbed asks for all inputs in one call (https://docs.ollama.com/api/embed).
func encodeEmbed(x *ai.Exchange, out *ai.HTTPRequest) error {
	req, err := x.Embed()
	if err != nil {
		return err
	}
	out.Path = "/api/embed"
	e := encoder{Writer: body.Writer{B: out.Body}, gaps: ai.NewGaps(x)}
	e.Open()
	e.Text("model", x.Target.Model)
	e.Array("input")
	for i := range req.Inputs {
		if len(req.Inputs[i].Tokens) > 0 {
			e.gaps.Refuse("input")
			continue
		}
		e.Element(req.Inputs[i].Text)
	}
	e.End()
	if req.Dimensions > 0 {
		e.Int("dimensions", req.Dimensions)
	}
	e.Shut()
	if req.User != "" {
		e.gaps.Leave("user")
	}
	e.gaps.Extras(req.Extra)
	out.Body = e.B
	return e.gaps.Err(x, ai.Ollama)
}

// DecodeEmbeddings implements ai.Provider.
func (Provider) DecodeEmbeddings(x *ai.Exchange, body []byte) (*ai.Embeddings, error) {
	var answer struct {
		Model           string      `json:"model"`
		Embeddings      [][]float32 `json:"embeddings"`
		PromptEvalCount *int        `json:"prompt_eval_count"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("ollama: embeddings: %w", err)
	}
	if len(answer.Embeddings) == 0 {
		return nil, errors.New("ollama: embeddings: the answer holds none")
	}
	if n := answer.PromptEvalCount; n != nil {
		x.Usage.Input, x.Usage.Known = max(*n, 0), true
	}
	return &ai.Embeddings{Model: answer.Model, Vectors: answer.Embeddings}, nil
}

// DecodeTokenCount implements ai.Provider. Ollama has no such call, and EncodeRequest says so.
func (Provider) DecodeTokenCount(*ai.Exchange, []byte) (int, error) {
	return 0, errors.New("ollama: no call counts tokens")
}
