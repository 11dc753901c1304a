package anthropic

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// Speaks says yes to chats and token counts of Anthropic clients.
func (Provider) Speaks(s ai.Schema, op ai.Op) bool {
	return s == ai.Anthropic && (op == ai.OpChat || op == ai.OpCountTokens)
}

// ForwardRequest is the client's body with nothing changed but the model. Streams of Anthropic always carry usage.
func (Provider) ForwardRequest(x *ai.Exchange, out *ai.HTTPRequest) error {
	head(x, out)
	x.Dropped = x.Dropped[:0]
	var room [128]byte
	edits := [1]jsonscan.Edit{{Key: "model", Value: jsonscan.AppendQuoted(room[:0], x.Target.Model)}}
	out.Forward(x, edits[:])
	return nil
}

// Scan reads usage and stop reason of a message. The answer to count_tokens has neither.
func (Provider) Scan(x *ai.Exchange, body []byte) error {
	if x.Op == ai.OpCountTokens {
		return nil
	}
	if err := valid(body); err != nil {
		return err
	}
	body = jsonscan.Trim(body)
	n := counts{}
	n.read(jsonscan.Get(body, "usage"))
	n.settle(&x.Usage)
	x.Finish = finish(jsonscan.Get(body, "stop_reason"))
	return nil
}

// AppendFrame appends the frame as it came: clients of Anthropic always see usage.
func (Provider) AppendFrame(dst []byte, _ *ai.Exchange, f ai.Frame) []byte {
	return append(dst, f.Raw...)
}
