package filter

import (
	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/h1"
)

// requestHeaders is the RequestHeaderModifier filter.
type requestHeaders struct{ edits }

var _ Request = (*requestHeaders)(nil)

func newRequestHeaders(m *xdsv1.HeaderModifier) *requestHeaders { return &requestHeaders{newEdits(m)} }

func (f *requestHeaders) OnRequest(x *exchange.Exchange) Verdict {
	f.apply(&x.Req)
	return Continue
}

// responseHeaders is the ResponseHeaderModifier filter.
type responseHeaders struct{ edits }

var _ Response = (*responseHeaders)(nil)

func newResponseHeaders(m *xdsv1.HeaderModifier) *responseHeaders {
	return &responseHeaders{newEdits(m)}
}

func (f *responseHeaders) OnResponse(x *exchange.Exchange) { f.apply(&x.Resp) }

// edits are a HeaderModifier with canonical names: set, then add, then remove.
//
// Fields that belong to one connection (RFC 9110 section 7.6.1) and those that frame a message are left out of it: the
// gateway makes them itself on each side, and a rule that could change them could split messages. "Host" can be set,
// adding it sets it, and it cannot be removed: every request has one. "Date" of a response is what the backend said.
type edits struct {
	set, add []field
	remove   []field
}

type field struct {
	name       string
	key, value []byte
}

func newEdits(m *xdsv1.HeaderModifier) edits {
	var e edits
	for _, h := range m.GetSet() {
		e.set = appendField(e.set, h.GetName(), h.GetValue())
	}
	for _, h := range m.GetAdd() {
		e.add = appendField(e.add, h.GetName(), h.GetValue())
	}
	for _, n := range m.GetRemove() {
		e.remove = appendField(e.remove, n, "")
	}
	return e
}

func appendField(list []field, name, value string) []field {
	key := fasthttp.AppendNormalizedHeaderKey(nil, name)
	if OfConnection(string(key)) {
		return list
	}
	return append(list, field{name: string(key), key: key, value: []byte(value)})
}

// OfConnection says whether a field, as fasthttp normalises its name, belongs to one connection or frames a message: no filter
// changes those.
func OfConnection(name string) bool {
	switch name {
	case fasthttp.HeaderConnection, fasthttp.HeaderContentLength, fasthttp.HeaderTransferEncoding, fasthttp.HeaderTrailer,
		fasthttp.HeaderUpgrade, fasthttp.HeaderKeepAlive, "Te", "Proxy-Connection", "Http2-Settings":
		return true
	}
	return false
}

// Header is what *fasthttp.RequestHeader and *fasthttp.ResponseHeader have in common.
type Header interface {
	h1.Fields
	PeekTrailerKeys() [][]byte
	SetCanonical(key, value []byte)
	AddBytesKV(key, value []byte)
	DelAllCookies()
}

func (e *edits) apply(h Header) {
	forgetTrailers(h)
	for i := range e.set {
		e.set[i].set(h)
	}
	for i := range e.add {
		h.AddBytesKV(e.add[i].key, e.add[i].value)
	}
	for i := range e.remove {
		e.remove[i].remove(h)
	}
}

// set replaces all fields of the name. fasthttp's own Set replaces the first alone, and adds cookies to those there are.
func (f *field) set(h Header) {
	switch {
	case f.name == fasthttp.HeaderCookie, f.name == fasthttp.HeaderSetCookie:
		h.DelAllCookies()
	case len(h.PeekAll(f.name)) > 1:
		f.remove(h)
	}
	h.SetCanonical(f.key, f.value)
}

func (f *field) remove(h Header) {
	if f.name != fasthttp.HeaderHost {
		h1.Remove(h, f.name)
	}
}

// forgetTrailers makes a head safe to change. fasthttp keeps a field that its sender announced as a trailer among the trailers:
// ours would go there, and the sender's own field of that name would stay in the head.
func forgetTrailers(h Header) {
	if len(h.PeekTrailerKeys()) > 0 {
		h.Del(fasthttp.HeaderTrailer)
	}
}

// Set replaces all fields of a name, which is as fasthttp normalises it; Add adds one and Remove removes them, but for Host.
func Set(h Header, name, value string) {
	forgetTrailers(h)
	(&field{name: name, key: []byte(name), value: []byte(value)}).set(h)
}

// Add adds a field; see Set.
func Add(h Header, name, value string) {
	forgetTrailers(h)
	h.AddBytesKV([]byte(name), []byte(value))
}

// Remove removes all fields of a name; see Set.
func Remove(h Header, name string) {
	forgetTrailers(h)
	(&field{name: name}).remove(h)
}
