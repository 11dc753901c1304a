package authz

import (
	"cmp"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// answer is what a server said, or that it did not.
type answer struct {
	result string
	// Where it is allowed: the changes of the request. response are those of the response, allowed or not.
	request, response []exchange.Edit
	query             []parameter
	// Where it is not: what the client gets. status 0: what fits the result.
	status int
	body   []byte
	// verbatim says that an empty body is meant.
	verbatim bool
	err      error
}

// note is the reason for the log.
func (a *answer) note() string {
	if a.err != nil && a.result == Failed {
		return a.result + ": " + a.err.Error()
	}
	return a.result
}

func (a *answer) allow(x *exchange.Exchange) {
	for i := range a.request {
		apply(&x.Req, &a.request[i])
	}
	for _, p := range a.query {
		x.Query = append(x.Query[:0], editQuery(string(x.Query), p)...)
		x.HasQuery = len(x.Query) > 0
	}
	x.Authz.Response = append(x.Authz.Response, a.response...)
}

// retryAfter is what clients are told to wait while the server cannot be asked, in seconds.
const retryAfter = "5"

// refuse answers the client. What the server wants to be said is passed on; a client of gRPC gets a status of gRPC, and one of a
// model API that would get nothing its error.
func (a *answer) refuse(x *exchange.Exchange) {
	say := sayings[a.result]
	status := cmp.Or(a.status, say.status)
	switch {
	case x.RPC():
		x.Reply(status, say.text)
	case a.result == Denied && (len(a.body) > 0 || a.verbatim && (status < 400 || !filter.ModelCall(x))):
		x.ReplyBytes(status, "", a.body)
	default:
		filter.Refuse(x, &ai.Error{Status: status, Code: say.code, Message: say.text})
	}
	if status == 503 && a.result != Denied {
		x.Resp.Set("Retry-After", retryAfter)
	}
	ours := len(x.Resp.ContentType()) > 0
	for i := range a.response {
		if e := &a.response[i]; !ours || !ofContent(e.Name) {
			apply(&x.Resp, e)
		}
	}
}

type saying struct {
	status int
	// code is OpenAI's word.
	code, text string
}

// sayings are what clients are told in the gateway's own words. They name no server.
var sayings = map[string]saying{
	Denied:   {403, "permission_denied", "the request is not allowed"},
	Failed:   {503, "", "it cannot be found out whether the request is allowed, for now"},
	Overflow: {503, "", "it cannot be found out whether the request is allowed: too many are waiting"},
	TooLarge: {413, "", "the request body is larger than what the authorization of this route may read"},
	Client:   {400, "", "the request body is malformed or did not arrive"},
}
