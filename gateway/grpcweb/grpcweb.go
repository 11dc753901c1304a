// Package grpcweb makes calls of gRPC-Web, which browsers can make, calls of gRPC, and their answers those of gRPC-Web
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): unary calls and streams of the server, over HTTP/1.1 and HTTP/2.
//
// It is a filter in front of backends that speak gRPC. Messages are passed on as they come; only where a body is base64 are they
// looked into.
package grpcweb

import (
	"errors"
	"io"
	"strings"

	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Filter translates calls of gRPC-Web and leaves all else alone. It has no state.
type Filter struct{}

var (
	_ filter.Request  = Filter{}
	_ filter.Response = Filter{}
)

// OnRequest makes the request one of gRPC.
func (Filter) OnRequest(x *exchange.Exchange) filter.Verdict {
	way := x.Web()
	if way == exchange.NoWeb {
		return filter.Continue
	}
	x.Req.SetContentType(x.BeginWeb())
	filter.Remove(&x.Req, "X-Grpc-Web")
	x.Req.Set("Te", "trailers") // a server of gRPC may insist on it
	if way != exchange.WebText {
		return filter.Continue
	}
	if x.ReqBody.Stream != nil {
		x.ReqBody = exchange.StreamBody(&decoder{Stream: x.ReqBody.Stream}, -1)
		return filter.Continue
	}
	b, err := decode(x.ReqBody.Bytes)
	if err != nil {
		x.Note = "gRPC-Web: " + err.Error()
		x.Reply(400, "the request body is not base64")
		return filter.Reply
	}
	x.ReqBody = exchange.BytesBody(b)
	return filter.Continue
}

// OnResponse makes the answer one of gRPC-Web. One that is not of gRPC stays as it is: its status says enough.
func (Filter) OnResponse(x *exchange.Exchange) {
	if x.Web() == exchange.NoWeb || !exchange.IsGRPC(x.Resp.ContentType()) {
		return
	}
	way, early := x.WebAnswer(), headTrailer(x)
	if x.RespBody.Stream == nil {
		// Trailers-Only: the status is in the head, which pages of other origins may not read.
		end := x.WebEnd(append(early, x.RespTrailer...))
		x.RespBody = exchange.BytesBody(append(exchange.AppendWeb(nil, x.RespBody.Bytes, way), end...))
		return
	}
	x.RespBody = exchange.StreamBody(&answer{Stream: x.RespBody.Stream, x: x, way: way, early: early}, -1)
}

// headTrailer takes what is of the trailer out of the head.
func headTrailer(x *exchange.Exchange) exchange.Trailer {
	var out exchange.Trailer
	for _, name := range [...]string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"} {
		if v := x.Resp.Peek(name); len(v) > 0 {
			out = append(out, exchange.Field{Name: strings.ToLower(name), Value: string(v)})
			filter.Remove(&x.Resp, name)
		}
	}
	return out
}

// answer is the body of a response: the backend's, and then the trailer.
type answer struct {
	exchange.Stream
	x       *exchange.Exchange
	early   exchange.Trailer // what the head said
	way     exchange.Web
	frames  frames
	encoded []byte
	ended   bool
}

var _ exchange.Stream = (*answer)(nil)

// Next implements exchange.Stream.
func (a *answer) Next() ([]byte, error) {
	if a.ended {
		return nil, io.EOF
	}
	p, err := a.Stream.Next()
	switch {
	case errors.Is(err, io.EOF):
		a.ended = true
		return a.x.WebEnd(append(a.early, a.x.RespTrailer...)), nil
	case err != nil:
		return a.broken(err)
	}
	a.frames.add(p)
	if a.way != exchange.WebText {
		return p, nil
	}
	a.encoded = exchange.AppendWeb(a.encoded[:0], p, a.way)
	return a.encoded, nil
}

// broken ends an answer that the backend broke off between two messages with a status; within one there is no place for it. The
// stream has been given up already.
func (a *answer) broken(err error) ([]byte, error) {
	var ue *upstream.Error
	if !errors.As(err, &ue) || ue.Reason == upstream.ReasonClient || !a.frames.whole() {
		return nil, err
	}
	code, text := "14", "the backend broke off"
	if ue.Reason == upstream.ReasonTimeout || ue.Reason == upstream.ReasonReset && a.x.OutOfTime() {
		code, text = "4", "the backend did not answer in time"
	}
	a.ended = true
	a.x.Note = "upstream: " + text
	return a.x.WebEnd(exchange.Trailer{{Name: "grpc-status", Value: code}, {Name: "grpc-message", Value: text}}), nil
}
