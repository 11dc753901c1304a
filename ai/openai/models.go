package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// AppendModels writes a list of models.
func (d Dialect) AppendModels(dst []byte, ms []ai.ModelInfo) []byte {
	dst = append(dst, `{"object":"list","data":[`...)
	for _, m := range ms {
		dst = d.AppendModel(jsonscan.AppendComma(dst), m)
	}
	return append(dst, "]}"...)
}

// AppendModel writes one model. Its limits, which OpenAI does not tell, have the names that OpenRouter and Groq gave them.
func (Dialect) AppendModel(dst []byte, m ai.ModelInfo) []byte {
	dst = jsonscan.AppendQuoted(append(dst, `{"id":`...), m.ID)
	dst = jsonscan.AppendInt(append(dst, `,"object":"model","created":`...), m.Created)
	dst = jsonscan.AppendQuoted(append(dst, `,"owned_by":`...), m.OwnedBy)
	if m.ContextWindow > 0 {
		dst = jsonscan.AppendInt(append(dst, `,"context_window":`...), m.ContextWindow)
	}
	if m.MaxOutput > 0 {
		dst = jsonscan.AppendInt(append(dst, `,"max_completion_tokens":`...), m.MaxOutput)
	}
	return append(dst, '}')
}

// AppendTokenCount writes the answer of OpenAI's call that counts the input of a response,
// https://platform.openai.com/docs/api-reference/responses/input-tokens.
func (Dialect) AppendTokenCount(dst []byte, n int) []byte {
	dst = append(dst, `{"object":"response.input_tokens","input_tokens":`...)
	return append(jsonscan.AppendInt(dst, n), '}')
}
