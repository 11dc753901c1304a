package auth

import (
	"net/http"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// refusal is what a client is told. It says nothing of what the gateway knows.
type refusal struct {
	status int
	// code is OpenAI's word.
	code string
	text string
}

var (
	refusals = [...]refusal{
		missing:     {401, "missing_api_key", "no API key or token was shown: send one as \"Authorization: Bearer ...\" or as your client library does"},
		unknown:     {401, "invalid_api_key", "the API key or token is not valid here"},
		expired:     {401, "token_expired", "the token has expired"},
		unavailable: {503, "", "it cannot be verified who calls, for now"},
		forbidden:   {403, "permission_denied", "the API key or token is valid, but not for this"},
	}
	unusable = refusal{503, "", "a policy of this route is not configured correctly"}
)

// retryAfter is what clients are told to wait while the keys of an issuer cannot be had.
const retryAfter = "5"

// refuse answers in the form that the client understands: of gRPC, of a model API, or as plain text.
func (g *guard) refuse(x *exchange.Exchange, p *policy, r result) filter.Verdict {
	say := &refusals[r]
	if p.invalid {
		say = &unusable
	}
	filter.Refuse(x, &ai.Error{Status: say.status, Code: say.code, Message: say.text})
	switch say.status {
	case http.StatusUnauthorized:
		x.Resp.Set("Www-Authenticate", p.challenge(r))
	case http.StatusServiceUnavailable:
		x.Resp.Set("Retry-After", retryAfter)
	}
	x.Note = "AuthPolicy " + p.name + ": " + r.String()
	if p.invalid {
		x.Note = "policy " + p.name + " is not valid"
	}
	return filter.Reply
}

// challenge says how to prove who calls (RFC 9110, section 11.6.1; RFC 6750, section 3).
func (p *policy) challenge(r result) string {
	bearer := false
	for _, f := range p.keys {
		bearer = bearer || f.bearer
	}
	for _, w := range p.ways {
		bearer = bearer || w.field.bearer
	}
	switch {
	case !bearer:
		return `ApiKey realm="nantian"`
	case r == missing:
		return `Bearer realm="nantian"`
	}
	return `Bearer realm="nantian", error="invalid_token"`
}
