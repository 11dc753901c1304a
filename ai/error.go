package ai

import (
	"fmt"
	"strings"
	"time"
)

// Error is a failure as a client may see it. It never holds credentials, internal addresses or text of a prompt.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Type, Code and Param are OpenAI's and Anthropic's own words where they were given, else empty: a dialect derives
	// its word from Status.
	Type    string
	Code    string
	Param   string
	Message string
	// RetryAfter is what the provider asked for; 0: nothing.
	RetryAfter time.Duration
	// RequestID is the provider's, for its support.
	RequestID string
	// Upstream says that the provider said so, not the gateway.
	Upstream bool
}

func (e *Error) Error() string {
	if e.Param != "" {
		return fmt.Sprintf("%d %s: %s", e.Status, e.Param, e.Message)
	}
	return fmt.Sprintf("%d: %s", e.Status, e.Message)
}

// Under says in which member or element of a body the parameter of err lies. err is an *Error as it was made, or nil;
// others are returned as they are.
func Under(err error, name string) error {
	e, ok := err.(*Error) //nolint:errorlint // these errors are never wrapped
	if !ok {
		return err
	}
	switch {
	case e.Param == "":
		e.Param = name
	case e.Param[0] == '[':
		e.Param = name + e.Param
	default:
		e.Param = name + "." + e.Param
	}
	return e
}

// Unsupported says which parameters of a client a provider cannot honour.
type Unsupported struct {
	Provider Schema
	// Params are in the client's own words: "logit_bias", "messages[2].content[0].input_audio".
	Params []string
}

func (u *Unsupported) Error() string {
	return fmt.Sprintf("%s cannot honour %s", u.Provider, strings.Join(u.Params, ", "))
}

// Inexpressible is the error of an answer of which the client's schema cannot express something. The request would fail at
// any other model of that kind as well, and was paid for: no other target is asked.
func Inexpressible(what string) *Error {
	return &Error{Status: 422, Type: "invalid_request_error", Upstream: true,
		Message: "the model answered with " + what + ", which this API has no form for"}
}
