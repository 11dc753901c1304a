package h1

import (
	"bytes"
	"iter"

	"github.com/valyala/fasthttp"
)

// Fields is what *fasthttp.RequestHeader and *fasthttp.ResponseHeader have in common.
type Fields interface {
	Peek(name string) []byte
	PeekAll(name string) [][]byte
	PeekKeys() [][]byte
	All() iter.Seq2[[]byte, []byte]
	AddBytesV(name string, value []byte)
	Del(name string)
}

// Clear makes room for a field that is to be set: fasthttp's Set replaces the first of its name and leaves the others.
func Clear(h Fields, name string) {
	if len(h.PeekAll(name)) > 1 {
		Remove(h, name)
	}
}

// Remove deletes all fields of a name, which is as fasthttp normalises it. fasthttp's own Del moves the last field to the
// place of the deleted one, so that fields of one name could change their order, which their meaning depends on (RFC 9110,
// section 5.3); they are put back in order.
func Remove(h Fields, name string) {
	if len(h.PeekAll(name)) == 0 {
		return
	}
	again := repeated(h, name)
	h.Del(name)
	for _, f := range again {
		h.Del(f.name)
	}
	for _, f := range again {
		h.AddBytesV(f.name, f.value)
	}
}

type field struct {
	name  string
	value []byte
}

// repeated copies the fields whose names are in h more than once, but for those of name. Usually there are none.
func repeated(h Fields, name string) (out []field) {
	keys := h.PeekKeys()
	var names []string
	for i, k := range keys {
		if string(k) != name && contains(keys[i+1:], k) && !contains(keys[:i], k) {
			names = append(names, string(k))
		}
	}
	for _, n := range names {
		for _, v := range h.PeekAll(n) {
			out = append(out, field{n, bytes.Clone(v)})
		}
	}
	return out
}

func contains(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// RemoveNamed deletes the fields that the Connection fields of a head name, so that they are not forwarded
// (RFC 9110, section 7.6.1).
func RemoveNamed(h Fields) {
	if len(h.Peek(fasthttp.HeaderConnection)) == 0 {
		return
	}
	var names []string
	for name, value := range h.All() {
		if string(name) == fasthttp.HeaderConnection {
			names = appendNamed(names, value)
		}
	}
	for _, name := range names {
		Remove(h, name)
	}
}

// appendNamed appends what one Connection field lists, but for the options that are no fields, and Host, without which no
// request can be.
func appendNamed(names []string, connection []byte) []string {
	for name := range bytes.SplitSeq(connection, []byte{','}) {
		name = bytes.TrimSpace(name)
		if isToken(name) && len(name) > 0 && !option(name) {
			names = append(names, string(fasthttp.AppendNormalizedHeaderKeyBytes(nil, name)))
		}
	}
	return names
}

func option(name []byte) bool {
	return equalFold(name, "close") || equalFold(name, "keep-alive") || equalFold(name, "upgrade") || equalFold(name, "host")
}
