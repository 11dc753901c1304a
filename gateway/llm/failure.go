package llm

import (
	"errors"
	"net/http"
	"strings"

	"github.com/nantian-gw/nantian/ai"
	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// causes is a set of xdsv1.Fallback_When: when a route goes on to its next target.
type causes uint16

func causeOf(on xdsv1.Fallback_When) causes { return 1 << on }

const (
	rateLimited    = causes(1) << xdsv1.Fallback_RATE_LIMITED
	serverError    = causes(1) << xdsv1.Fallback_SERVER_ERROR
	timedOut       = causes(1) << xdsv1.Fallback_TIMEOUT
	connectFailure = causes(1) << xdsv1.Fallback_CONNECT_FAILURE
	authError      = causes(1) << xdsv1.Fallback_AUTH_ERROR
	modelNotFound  = causes(1) << xdsv1.Fallback_MODEL_NOT_FOUND

	defaultCauses = rateLimited | serverError | timedOut | connectFailure
)

// causesOf is what AIBackend's fallback.on says; nothing: what the providers' own clients would try again.
func causesOf(on []xdsv1.Fallback_When) causes {
	if len(on) == 0 {
		return defaultCauses
	}
	var c causes
	for _, o := range on {
		c |= causeOf(o)
	}
	return c
}

// failure is how an attempt failed.
type failure struct {
	// err is what the client is told if no other target helps.
	err *ai.Error
	// causes are those that it counts as; none: another target would fail as well.
	causes causes
	// outcome is the word for it in Meter.Attempt.
	outcome string
	// sick says that the target did badly, for its circuit breaker; otherwise it has shown that it lives, unless neutral.
	sick, neutral bool
	// note is the reason for the log, in the gateway's own words.
	note string
}

// aborted is the outcome of a call whose client left.
const aborted = "aborted"

// statusGone is nginx's status of a client that left before its answer; only logs see it.
const statusGone = 499

// callFailure tells why a call got no answer, in words without addresses.
func callFailure(err error) *failure {
	var ue *upstream.Error
	if !errors.As(err, &ue) {
		return broken("the connection to the provider broke", "reset")
	}
	switch ue.Reason {
	case upstream.ReasonClient:
		return gone()
	case upstream.ReasonTimeout:
		return late()
	case upstream.ReasonProtocol:
		return nonsense("the provider's answer is not HTTP that can be read")
	case upstream.ReasonReset:
		return broken("the connection to the provider broke", "reset")
	case upstream.ReasonNoHost:
		return unavailable("the provider has no endpoint that is ready", ue.Reason)
	case upstream.ReasonOverflow:
		return unavailable("too many requests to the provider are in flight", ue.Reason)
	case upstream.ReasonRefused:
		f := broken("the provider's address is not allowed", string(ue.Reason))
		f.err.Status = http.StatusBadGateway
		return f
	}
	return broken("no connection to the provider could be made", string(ue.Reason))
}

func broken(text, note string) *failure {
	return &failure{
		err:    &ai.Error{Status: http.StatusBadGateway, Message: text},
		causes: connectFailure, outcome: "connect", sick: true, note: note,
	}
}

func unavailable(text string, r upstream.Reason) *failure {
	return &failure{
		err:    &ai.Error{Status: http.StatusServiceUnavailable, Message: text},
		causes: connectFailure, outcome: "connect", neutral: true, note: string(r),
	}
}

func late() *failure {
	return &failure{
		err:    &ai.Error{Status: http.StatusGatewayTimeout, Message: "the provider did not answer in time"},
		causes: timedOut, outcome: "timeout", sick: true, note: "timeout",
	}
}

// nonsense is an answer that cannot be understood.
func nonsense(text string) *failure {
	return &failure{
		err:    &ai.Error{Status: http.StatusBadGateway, Message: text},
		causes: serverError, outcome: "server_error", sick: true, note: "protocol",
	}
}

// cutShort is a stream that ended before its end.
func cutShort() *failure {
	return broken("the provider's stream ended before the answer was complete", "reset")
}

func gone() *failure {
	return &failure{
		err:     &ai.Error{Status: statusGone, Message: "the client left"},
		outcome: aborted, neutral: true, note: "client",
	}
}

// answered is an error that the provider gave, as a status or as an event of its stream.
func answered(e *ai.Error) *failure {
	f := &failure{err: e, outcome: "refused", note: "provider"}
	switch s := e.Status; {
	case s == http.StatusTooManyRequests:
		f.causes, f.outcome = rateLimited, "rate_limited"
	case s == http.StatusRequestTimeout:
		f.causes, f.outcome, f.sick = timedOut, "timeout", true
	case s == http.StatusGatewayTimeout:
		f.causes, f.outcome, f.sick = timedOut|serverError, "timeout", true
	case s >= 500:
		f.causes, f.outcome, f.sick = serverError, "server_error", true
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		f.causes, f.outcome = authError, "auth"
	case s == http.StatusNotFound:
		f.causes, f.outcome = modelNotFound, "not_found"
	case s < 400: // a redirect, which is not followed
		e.Status, e.Message = http.StatusBadGateway, "the provider answered with a redirect"
		f.causes, f.outcome, f.sick = serverError, "server_error", true
	}
	return f
}

// spoken is an error event within a stream of status 200. One without a status is taken for the provider's own fault.
func spoken(e *ai.Error) *failure {
	if e.Status < 400 {
		e.Status = http.StatusBadGateway
	}
	return answered(e)
}

// discreet takes from a provider's error what is not for clients: the gateway's credential. The message of a 401 speaks of
// it, and vendors quote parts of it.
func (p *provider) discreet(e *ai.Error) {
	if p.secret == "" {
		return
	}
	if e.Status == http.StatusUnauthorized {
		e.Message = "the provider did not accept the gateway's credentials"
	}
	for _, s := range []*string{&e.Type, &e.Code, &e.Param, &e.Message, &e.RequestID} {
		*s = strings.ReplaceAll(*s, p.secret, "***")
	}
}

// refusal tells the client which parameters nobody can honour.
func refusal(u *ai.Unsupported) *ai.Error {
	return &ai.Error{
		Status: http.StatusBadRequest, Code: "unsupported_parameter", Param: u.Params[0],
		Message: "not supported by this model's provider: " + strings.Join(u.Params, ", "),
	}
}
