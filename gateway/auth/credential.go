package auth

import (
	"bytes"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// maxCredential is the most bytes of a key or token that are looked at.
const maxCredential = 16 << 10

// field is a header that carries a credential.
type field struct {
	name string
	// bearer: the credential must stand after "Bearer " (RFC 6750, section 2.1); otherwise it may.
	bearer bool
}

// keyFields are where the vendors' own clients put an API key: OpenAI, Anthropic, Azure, Google.
var keyFields = []field{{"Authorization", true}, {"X-Api-Key", false}, {"Api-Key", false}, {"X-Goog-Api-Key", false}}

var tokenField = field{"Authorization", true}

// fieldsOf are those that a policy names, or the ones that go without saying.
func fieldsOf(name string, otherwise ...field) []field {
	if name == "" {
		return otherwise
	}
	return []field{{name: name}}
}

// credential reads the field. Where it is there twice, nobody can say which of them was meant, and it is as none that is known.
func (f field) credential(x *exchange.Exchange) (value []byte, there bool) {
	all := x.Req.PeekAll(f.name)
	switch len(all) {
	case 0:
		return nil, false
	case 1:
		return f.value(all[0])
	}
	return nil, true
}

// value takes "Bearer " away, in whatever case (RFC 9110, section 11.1). there is false for another scheme: it is not for us.
func (f field) value(v []byte) (value []byte, there bool) {
	const scheme = "Bearer "
	v = bytes.TrimSpace(v)
	if len(v) > len(scheme) && bytes.EqualFold(v[:len(scheme)], []byte(scheme)) {
		return bytes.TrimSpace(v[len(scheme):]), true
	}
	if f.bearer || len(v) == 0 {
		return nil, false
	}
	return v, true
}
