package exchange

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
)

// Web is how a call of gRPC-Web is written (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): the messages of gRPC, and
// the trailer as a frame behind them, so that it passes HTTP/1.1 and browsers.
type Web int

// The ways to write it.
const (
	NoWeb Web = iota
	WebBinary
	WebText // the same in base64
)

// WebTrailer is the flag of the frame that holds the trailer.
const WebTrailer = 0x80

const (
	webType     = "application/grpc-web"
	webTextType = "application/grpc-web-text"
)

// web is what is remembered of a call of gRPC-Web.
type web struct {
	// request and response may differ. begun says that the request's head has been translated.
	request, response Web
	begun             bool
	// subtype is "+proto" and the like.
	subtype string
	// status is what the trailer's frame said.
	status string
}

// Web says whether the request is a call of gRPC-Web, and how it is written.
func (x *Exchange) Web() Web {
	if x.web.begun {
		return x.web.request
	}
	way, _ := webOf(x.Req.ContentType())
	return way
}

func webOf(contentType []byte) (way Web, subtype string) {
	rest, ok := bytes.CutPrefix(contentType, []byte(webType))
	if !ok {
		return NoWeb, ""
	}
	way = WebBinary
	if text, ok := bytes.CutPrefix(rest, []byte("-text")); ok {
		way, rest = WebText, text
	}
	rest, _, _ = bytes.Cut(rest, []byte{';'})
	rest = bytes.TrimRight(rest, " \t")
	if len(rest) > 0 && rest[0] != '+' {
		return NoWeb, ""
	}
	return way, string(rest)
}

// RPC says whether the request is a call of gRPC or of gRPC-Web.
func (x *Exchange) RPC() bool { return x.GRPC() || x.Web() != NoWeb }

// BeginWeb remembers how a call of gRPC-Web is written before its head becomes that of a call of gRPC, and returns the media type
// for that.
func (x *Exchange) BeginWeb() string {
	x.readWeb()
	x.web.begun = true
	return "application/grpc" + x.web.subtype
}

// readWeb reads head and Accept: the answer is written as the client accepts it, or as the request is.
func (x *Exchange) readWeb() {
	if x.web.begun {
		return
	}
	x.web.request, x.web.subtype = webOf(x.Req.ContentType())
	x.web.response = x.web.request
	switch accept := x.Req.Peek("Accept"); {
	case bytes.Contains(accept, []byte(webTextType)):
		x.web.response = WebText
	case bytes.Contains(accept, []byte(webType)):
		x.web.response = WebBinary
	}
}

// WebAnswer makes the head of the response that of one of gRPC-Web, and says how its body is to be written.
func (x *Exchange) WebAnswer() Web {
	x.readWeb()
	t := webType
	if x.web.response == WebText {
		t = webTextType
	}
	x.Resp.SetContentType(t + x.web.subtype)
	return x.web.response
}

// WebEnd is the frame that ends a response of gRPC-Web. The trailer is in it then, and no longer behind the response.
func (x *Exchange) WebEnd(t Trailer) []byte {
	b := []byte{WebTrailer, 0, 0, 0, 0}
	for _, f := range t {
		if f.Name == "grpc-status" {
			x.web.status = f.Value
		}
		b = append(append(append(append(b, f.Name...), ':'), f.Value...), '\r', '\n')
	}
	binary.BigEndian.PutUint32(b[1:], uint32(len(b)-5))
	x.RespTrailer = x.RespTrailer[:0]
	return AppendWeb(nil, b, x.web.response)
}

// AppendWeb appends a piece of a body as it is written.
func AppendWeb(dst, b []byte, way Web) []byte {
	if way == WebText {
		return base64.StdEncoding.AppendEncode(dst, b)
	}
	return append(dst, b...)
}
