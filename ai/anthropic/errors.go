package anthropic

import (
	"strconv"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// The types of errors, https://platform.claude.com/docs/en/api/errors.
const (
	invalidRequest = "invalid_request_error"
	apiError       = "api_error"
	overloaded     = "overloaded_error"

	// maxMessage bounds what an error message of an upstream may hold, in bytes.
	maxMessage = 2048
)

// errorTypes pairs types with statuses in both directions. 529 is Anthropic's own.
var errorTypes = [...]struct {
	status int
	name   string
}{
	{400, invalidRequest},
	{401, "authentication_error"},
	{402, "billing_error"},
	{403, "permission_error"},
	{404, "not_found_error"},
	{409, "conflict_error"},
	{413, "request_too_large"},
	{429, "rate_limit_error"},
	{500, apiError},
	{504, "timeout_error"},
	{529, overloaded},
}

// errorType is the word that e has in this dialect: its own if it is one of Anthropic's, else that of its status. OpenAI
// says invalid_request_error of any 4xx, so that a status which has a word of its own says more.
func errorType(e *ai.Error) string {
	for _, t := range errorTypes {
		if t.name == e.Type && t.name != invalidRequest {
			return e.Type
		}
	}
	for _, t := range errorTypes {
		if t.status == e.Status {
			return t.name
		}
	}
	if e.Type != invalidRequest && (e.Status >= 500 || e.Status == 0) {
		return apiError
	}
	return invalidRequest
}

func errorStatus(name string) int {
	for _, t := range errorTypes {
		if t.name == name {
			return t.status
		}
	}
	return 500
}

// AppendError appends {"type":"error","error":{"type","message"},"request_id"}. A parameter stands in front of the message,
// as in Anthropic's own errors.
func (Dialect) AppendError(dst []byte, e *ai.Error) []byte {
	dst = append(dst, `{"type":"error","error":{"type":`...)
	dst = jsonscan.AppendQuoted(dst, errorType(e))
	dst = append(dst, `,"message":"`...)
	if e.Param != "" {
		dst = append(jsonscan.AppendEscaped(dst, e.Param), ": "...)
	}
	dst = append(jsonscan.AppendEscaped(dst, e.Message), `"}`...)
	if e.RequestID != "" {
		dst = jsonscan.AppendQuoted(jsonscan.AppendKey(dst, "request_id"), e.RequestID)
	}
	return append(dst, '}')
}

// DecodeError reads an answer that is not 2xx. A body that is not Anthropic's (a proxy's page) is not repeated.
func (Provider) DecodeError(status int, header func(string) string, body []byte) *ai.Error {
	e := &ai.Error{Status: status, Upstream: true, RequestID: header("request-id")}
	e.RetryAfter = ai.RetryAfter(header, time.Now())
	if jsonscan.Valid(body) == nil {
		fillError(e, jsonscan.Trim(body))
	}
	if e.Message == "" {
		e.Message = "the provider answered " + strconv.Itoa(status) + " without a message that can be read"
	}
	return e
}

// fillError reads {"error":{"type","message"},"request_id"}.
func fillError(e *ai.Error, body []byte) {
	inner := jsonscan.Get(body, "error")
	e.Type = jsonscan.Text(jsonscan.Get(inner, "type"))
	msg := jsonscan.Text(jsonscan.Get(inner, "message"))
	e.Message = strings.ToValidUTF8(msg[:min(len(msg), maxMessage)], "")
	if id := jsonscan.Text(jsonscan.Get(body, "request_id")); id != "" {
		e.RequestID = id
	}
}
