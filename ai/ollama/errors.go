package ollama

import (
	"strconv"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// maxMessage bounds what a message of the provider may hold, in bytes.
const maxMessage = 2048

// DecodeError implements ai.Provider. Ollama's errors are {"error":"..."} (https://docs.ollama.com/api/errors).
func (Provider) DecodeError(status int, header func(string) string, body []byte) *ai.Error {
	e := decodeError(status, body)
	e.RetryAfter = ai.RetryAfter(header, time.Now())
	return e
}

// decodeError reads an error; status 0 is one inside of a stream. A body that is not Ollama's (a proxy's page) is not
// repeated.
func decodeError(status int, body []byte) *ai.Error {
	if status == 0 {
		status = 502
	}
	e := &ai.Error{Status: status, Upstream: true}
	if jsonscan.Valid(body) == nil {
		v := jsonscan.Get(jsonscan.Trim(body), "error")
		if jsonscan.Kind(v) == jsonscan.Object {
			v = jsonscan.Get(v, "message")
		}
		msg := jsonscan.Text(v)
		e.Message = strings.ToValidUTF8(msg[:min(len(msg), maxMessage)], "")
	}
	if e.Message == "" {
		e.Message = "the provider answered " + strconv.Itoa(status) + " without a message that can be read"
	}
	return e
}
