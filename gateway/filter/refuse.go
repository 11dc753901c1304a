package filter

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/vendors"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Refuse answers an error in the form that the client understands: of gRPC, of a model API, or as plain text.
func Refuse(x *exchange.Exchange, e *ai.Error) {
	if !x.RPC() {
		if dialect, known := dialectOf(x); known {
			x.ReplyBytes(e.Status, "application/json", dialect.AppendError(nil, e))
			return
		}
	}
	x.Reply(e.Status, e.Message)
}

// ModelCall says whether a request is one to a model API.
func ModelCall(x *exchange.Exchange) bool {
	_, known := dialectOf(x)
	return known
}

func dialectOf(x *exchange.Exchange) (ai.Dialect, bool) {
	dialect, _, _, known := vendors.Detect(x.Req.Method(), x.Path, func(name string) string { return string(x.Req.Peek(name)) })
	return dialect, known
}
