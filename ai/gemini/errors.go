package gemini

import (
	"strconv"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// maxMessage bounds what a message of the provider may hold, in bytes.
const maxMessage = 2048

func noHeader(string) string { return "" }

// DecodeError implements ai.Provider. Errors are google.rpc.Status in an object, or in an array of one when the call was
// for a stream (https://cloud.google.com/apis/design/errors).
func (Provider) DecodeError(status int, header func(string) string, body []byte) *ai.Error {
	return decodeError(status, header, body)
}

// decodeError reads an error; status 0 stands for the code that the body names. A body that is not Gemini's (a proxy's
// page) is not repeated.
func decodeError(status int, header func(string) string, body []byte) *ai.Error {
	e := &ai.Error{Status: status, Upstream: true, RetryAfter: ai.RetryAfter(header, time.Now())}
	if jsonscan.Valid(body) == nil {
		fillError(e, jsonscan.Trim(body))
	}
	if e.Status == 0 {
		e.Status = 502
	}
	if e.Message == "" {
		e.Message = "the provider answered " + strconv.Itoa(e.Status) + " without a message that can be read"
	}
	return e
}

func fillError(e *ai.Error, body []byte) {
	for first := range jsonscan.Elems(body) {
		body = first
		break
	}
	s := jsonscan.Get(body, "error")
	msg := jsonscan.Text(jsonscan.Get(s, "message"))
	e.Message = strings.ToValidUTF8(msg[:min(len(msg), maxMessage)], "")
	e.Code = jsonscan.Text(jsonscan.Get(s, "status"))
	if n, _ := jsonscan.Int(jsonscan.Get(s, "code")); e.Status == 0 && n >= 400 && n <= 599 {
		e.Status = int(n)
	}
	for d := range jsonscan.Elems(jsonscan.Get(s, "details")) {
		if delay := retryDelay(d); delay > 0 && e.RetryAfter == 0 {
			e.RetryAfter = delay
		}
	}
}

// retryDelay reads a google.rpc.RetryInfo: {"@type": "...RetryInfo", "retryDelay": "34.07s"}. It is a duration as
// Retry-After may be one.
func retryDelay(detail []byte) time.Duration {
	if !strings.HasSuffix(jsonscan.Text(jsonscan.Get(detail, "@type")), "google.rpc.RetryInfo") {
		return 0
	}
	return ai.RetryAfter(func(name string) string {
		if name != "Retry-After" {
			return ""
		}
		return jsonscan.Text(jsonscan.Get(detail, "retryDelay"))
	}, time.Now())
}
