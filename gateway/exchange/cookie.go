package exchange

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// KeepCookie remembers the Cookie fields as the client wrote them: fasthttp takes quotes away, and loses what it cannot
// parse. The front end calls it once, before anything else looks at the fields.
func (x *Exchange) KeepCookie() {
	var raw []byte
	for _, c := range x.Req.PeekAll(fasthttp.HeaderCookie) {
		raw = appendCookie(raw, c)
	}
	if len(raw) > 0 {
		x.setCookie(raw)
	}
}

// SetCookie is KeepCookie for fields that are not in Req yet.
func (x *Exchange) SetCookie(fields []string) {
	var raw []byte
	for _, c := range fields {
		raw = appendCookie(raw, c)
	}
	x.Req.SetBytesV(fasthttp.HeaderCookie, raw)
	x.setCookie(raw)
}

func appendCookie[T string | []byte](dst []byte, c T) []byte {
	if len(dst) > 0 && len(c) > 0 {
		dst = append(dst, "; "...)
	}
	return append(dst, c...)
}

func (x *Exchange) setCookie(raw []byte) {
	for range x.Req.Cookies() { // makes fasthttp parse them
		break
	}
	if parsed := x.Req.Peek(fasthttp.HeaderCookie); !bytes.Equal(parsed, raw) {
		x.cookie, x.parsed = raw, bytes.Clone(parsed)
	}
}

// Cookie is the Cookie field as it is to be sent on: the client's own words, unless a filter has changed them. nil: what
// Req says.
func (x *Exchange) Cookie() []byte {
	if x.cookie == nil || !bytes.Equal(x.parsed, x.Req.Peek(fasthttp.HeaderCookie)) {
		return nil
	}
	return x.cookie
}
