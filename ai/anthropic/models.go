package anthropic

import (
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// AppendModels appends one page that holds all models, https://platform.claude.com/docs/en/api/models-list.
func (d Dialect) AppendModels(dst []byte, ms []ai.ModelInfo) []byte {
	dst = append(dst, `{"data":[`...)
	for _, m := range ms {
		dst = d.AppendModel(jsonscan.AppendComma(dst), m)
	}
	dst = append(dst, `],"has_more":false`...)
	if len(ms) == 0 {
		return append(dst, `,"first_id":null,"last_id":null}`...)
	}
	dst = jsonscan.AppendQuoted(append(dst, `,"first_id":`...), ms[0].ID)
	dst = jsonscan.AppendQuoted(append(dst, `,"last_id":`...), ms[len(ms)-1].ID)
	return append(dst, '}')
}

// AppendModel appends one model. An unknown time of release is the epoch, as the API documents it.
func (Dialect) AppendModel(dst []byte, m ai.ModelInfo) []byte {
	dst = append(dst, `{"type":"model","id":`...)
	dst = jsonscan.AppendQuoted(dst, m.ID)
	dst = jsonscan.AppendQuoted(append(dst, `,"display_name":`...), m.ID)
	dst = append(dst, `,"created_at":"`...)
	dst = time.Unix(m.Created, 0).UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, '"')
	if m.ContextWindow > 0 {
		dst = jsonscan.AppendInt(jsonscan.AppendKey(dst, "max_input_tokens"), m.ContextWindow)
	}
	if m.MaxOutput > 0 {
		dst = jsonscan.AppendInt(jsonscan.AppendKey(dst, "max_tokens"), m.MaxOutput)
	}
	return append(dst, '}')
}
