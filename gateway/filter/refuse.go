package filter

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/vendors"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Refuse answers an error in the form that the client understands: of gRPC, of a model API, or as plain text.
func Refuse(x *exchange.Exchange, e *ai.Error) {
	if !x.GRPC() {
		dialect, _, _, known := vendors.Detect(x.Req.Method(), x.Path, func(name string) string { return string(x.Req.Peek(name)) })
		if known {
			x.ReplyBytes(e.Status, "application/json", dialect.AppendError(nil, e))
			return
		}
	}
	x.Reply(e.Status, e.Message)
}
