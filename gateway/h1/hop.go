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
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length",
		"Http2-Settings":
		return true
	}
	return false
}

// Named yields the field names that a Connection field lists, but for close and keep-alive.
func Named(connection []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(connection) > 0 {
			var name []byte
			name, connection, _ = bytes.Cut(connection, []byte{','})
			name = bytes.TrimSpace(name)
			if len(name) == 0 || equalFold(name, "close") || equalFold(name, "keep-alive") || equalFold(name, "upgrade") {
				continue
			}
			if !yield(name) {
				return
			}
		}
	}
}

// RemoveNamed deletes the fields that the Connection field of h names, so that they are not forwarded.
func RemoveNamed(h *fasthttp.RequestHeader) {
	c := h.Peek(fasthttp.HeaderConnection)
	if len(c) == 0 {
		return
	}
	var names [][]byte
	for name := range Named(c) {
		names = append(names, bytes.Clone(name))
	}
	for _, name := range names {
		h.DelBytes(name)
	}
}

// RemoveNamedResponse is RemoveNamed for responses.
func RemoveNamedResponse(h *fasthttp.ResponseHeader) {
	c := h.Peek(fasthttp.HeaderConnection)
	if len(c) == 0 {
		return
	}
	var names [][]byte
	for name := range Named(c) {
		names = append(names, bytes.Clone(name))
	}
	for _, name := range names {
		h.DelBytes(name)
	}
}

// AppendField appends one header line.
func AppendField(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}
