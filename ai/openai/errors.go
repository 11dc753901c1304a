package openai

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// AppendError writes an error body.
func (Dialect) AppendError(dst []byte, e *ai.Error) []byte {
	typ := e.Type
	if typ == "" {
		typ = errorType(e.Status)
	}
	dst = jsonscan.AppendQuoted(append(dst, `{"error":{"message":`...), e.Message)
	dst = jsonscan.AppendQuoted(append(dst, `,"type":`...), typ)
	dst = appendOrNull(append(dst, `,"param":`...), e.Param)
	dst = appendOrNull(append(dst, `,"code":`...), e.Code)
	return append(dst, "}}"...)
}

func appendOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return jsonscan.AppendQuoted(dst, s)
}

// errorType is OpenAI's word for a status, https://platform.openai.com/docs/guides/error-codes.
func errorType(status int) string {
	switch {
	case status == 401:
		return "authentication_error"
	case status == 403:
		return "permission_error"
	case status == 429:
		return "rate_limit_error"
	case status >= 400 && status < 500:
		return invalidRequest
	}
	return "server_error"
}

// DecodeError reads the forms that servers of this schema give errors: an object or a string in "error", FastAPI's "detail", a
// "message", plain text. Of a page of HTML nothing is shown.
func (Provider) DecodeError(status int, header func(name string) string, body []byte) *ai.Error {
	e := readError(status, body)
	e.RetryAfter = ai.RetryAfter(header, time.Now())
	for _, name := range [...]string{"X-Request-Id", "Apim-Request-Id", "Request-Id"} {
		if e.RequestID == "" {
			e.RequestID = header(name)
		}
	}
	return e
}

// readError reads an error body. A status of 0 is derived from what it says.
func readError(status int, body []byte) *ai.Error {
	e := &ai.Error{Status: status, Upstream: true}
	body = jsonscan.Trim(body)
	switch jsonscan.Kind(body) {
	case jsonscan.Object:
		readErrorObject(e, body)
	case jsonscan.Array: // Google's endpoint for clients of OpenAI
		for v := range jsonscan.Elems(body) {
			readErrorObject(e, v)
			break
		}
	case jsonscan.String:
		e.Message = jsonscan.Text(body)
	default:
		if !bytes.HasPrefix(body, []byte("<")) && utf8.Valid(body) {
			e.Message = string(body[:min(len(body), 4*maxMessage)])
		}
	}
	if e.Status == 0 {
		e.Status = statusOf(e)
	}
	e.Message = clean(e.Message)
	if e.Message == "" {
		e.Message = "the provider answered with status " + strconv.Itoa(e.Status)
	}
	return e
}

func readErrorObject(e *ai.Error, v []byte) {
	switch in := member(v, "error"); jsonscan.Kind(in) {
	case jsonscan.Object:
		v = in
	case jsonscan.String:
		e.Message = jsonscan.Text(in)
	}
	for _, name := range [...]string{"message", "detail", "msg", "error_description", "error"} {
		if e.Message == "" {
			e.Message = errorText(jsonscan.Get(v, name))
		}
	}
	e.Type = jsonscan.Text(jsonscan.Get(v, "type"))
	if e.Type == "" { // Hugging Face's text-generation-inference
		e.Type = jsonscan.Text(jsonscan.Get(v, "error_type"))
	}
	e.Param = jsonscan.Text(jsonscan.Get(v, "param"))
	switch code := member(v, "code"); jsonscan.Kind(code) {
	case jsonscan.String:
		e.Code = jsonscan.Text(code)
	case jsonscan.Number:
		if n := tokens(code); e.Status == 0 && n >= 400 && n < 600 {
			e.Status = n
		}
		e.Code = string(code)
	}
}

// errorText is the text of a message: a string, or the first of FastAPI's list of {"msg": ...}.
func errorText(v []byte) string {
	for e := range jsonscan.Elems(v) {
		return errorText(jsonscan.Get(e, "msg"))
	}
	if jsonscan.Kind(v) == jsonscan.Object {
		return errorText(jsonscan.Get(v, "message"))
	}
	return jsonscan.Text(v)
}

// statusOf derives a status from the words of an error inside a stream or an answer of status 200.
func statusOf(e *ai.Error) int {
	words := strings.ToLower(e.Type + " " + e.Code)
	for _, k := range [...]struct {
		word   string
		status int
	}{
		{"rate_limit", 429}, {"insufficient_quota", 429}, {"too_many", 429}, {"overloaded", 503},
		{"authentication", 401}, {"invalid_api_key", 401}, {"permission", 403}, {"not_found", 404},
		{"invalid_request", 400}, {"badrequest", 400}, {"context_length", 400}, {"timeout", 504},
	} {
		if strings.Contains(words, k.word) {
			return k.status
		}
	}
	return 502
}

// maxMessage is how long, in bytes, a provider's message may be.
const maxMessage = 2000

// keys finds keys of OpenAI's form, also such as have been shortened by stars.
var keys = regexp.MustCompile(`(^|[^A-Za-z0-9])sk-[A-Za-z0-9_*.-]+`)

// clean shortens a message and hides keys of OpenAI's form, of which the provider repeats parts when it refuses one.
func clean(s string) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
	s = keys.ReplaceAllString(s, "${1}sk-***")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}
