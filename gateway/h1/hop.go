package h1

import (
	"bytes"
	"iter"

	"github.com/valyala/fasthttp"
)

// HopByHop says whether a field belongs to one connection alone and is not forwarded (RFC 9110, section 7.6.1), or frames
// the message, which each side does anew. name is as fasthttp normalises it: "Keep-Alive", "Te".
func HopByHop(name []byte) bool {
	switch string(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
		"Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
		"Http2-Settings":
		return true
	}
	return false
}

// head is what *fasthttp.RequestHeader and *fasthttp.ResponseHeader have in common.
type head interface {
	Peek(name string) []byte
	All() iter.Seq2[[]byte, []byte]
	DelBytes(name []byte)
}

// RemoveNamed deletes the fields that the Connection fields of a head name, so that they are not forwarded
// (RFC 9110, section 7.6.1).
func RemoveNamed[H head](h H) {
	if len(h.Peek(fasthttp.HeaderConnection)) == 0 {
		return
	}
	var names [][]byte
	for field, value := range h.All() {
		if string(field) == fasthttp.HeaderConnection {
			names = appendNamed(names, value)
		}
	}
	for _, name := range names {
		h.DelBytes(name)
	}
}

// appendNamed appends what one Connection field lists, but for the options that are no fields, and Host, without which no
// request can be.
func appendNamed(names [][]byte, connection []byte) [][]byte {
	for name := range bytes.SplitSeq(connection, []byte{','}) {
		name = bytes.TrimSpace(name)
		if len(name) > 0 && !option(name) {
			names = append(names, bytes.Clone(name))
		}
	}
	return names
}

func option(name []byte) bool {
	return equalFold(name, "close") || equalFold(name, "keep-alive") || equalFold(name, "upgrade") || equalFold(name, "host")
}

// AppendField appends one header line.
func AppendField(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}
