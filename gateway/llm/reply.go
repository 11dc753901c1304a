package llm

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

const (
	jsonType = "application/json"
	sseType  = "text/event-stream; charset=utf-8"

	requestID = "X-Request-Id"
	dropped   = "X-Nantian-Dropped-Params"
)

// shown are the fields of a provider's answer that clients see: what its support asks for, and how much of its limits is
// left. A name that ends in "-" stands for all that begin with it.
var shown = [...]string{
	"x-request-id", "request-id", "x-client-request-id", "x-ms-request-id", "apim-request-id", "openai-processing-ms",
	"openai-version", "openai-model", "retry-after", "retry-after-ms", "x-should-retry", "x-ratelimit-", "anthropic-ratelimit-",
}

func isShown(name []byte) bool {
	for _, s := range shown {
		if len(name) < len(s) || len(name) > len(s) && s[len(s)-1] != '-' {
			continue
		}
		if strings.EqualFold(string(name[:len(s)]), s) {
			return true
		}
	}
	return false
}

// reply answers with body, and what clients see of the provider's head.
func (c *call) reply(status int, contentType string, body []byte) {
	c.x.ReplyBytes(status, contentType, body)
	c.decorate(&c.x.Resp)
}

// decorate adds the fields that every answer of a model has.
func (c *call) decorate(h *fasthttp.ResponseHeader) {
	if c.answered {
		for name, value := range c.resp.All() {
			if isShown(name) {
				h.SetBytesKV(name, value)
			}
		}
	}
	if len(h.Peek(requestID)) == 0 {
		var room [32]byte
		h.SetBytesV(requestID, appendID(room[:0]))
	}
	c.showLimits(h)
	if len(c.ax.Dropped) > 0 {
		h.Set(dropped, fieldValue(strings.Join(c.ax.Dropped, ", ")))
	}
}

// maxValue bounds a field that a client's words are in, in bytes.
const maxValue = 1 << 10

// fieldValue makes a header value of a client's words.
func fieldValue(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), maxValue)])
}

// appendID makes an id for answers whose provider gave none. It need not be secret.
func appendID(dst []byte) []byte {
	return strconv.AppendUint(strconv.AppendUint(append(dst, "req_"...), rand.Uint64(), 36), rand.Uint64(), 36)
}

// refuse answers with an error in the client's schema.
func (c *call) refuse(e *ai.Error) {
	c.settle()
	c.reply(e.Status, jsonType, c.ax.Client.AppendError(nil, e))
	h := &c.x.Resp
	if c.allow != "" {
		h.Set("Allow", c.allow)
	}
	if e.RetryAfter > 0 && len(h.Peek("Retry-After")) == 0 {
		h.Set("Retry-After", seconds(e.RetryAfter))
	}
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(math.Ceil(d.Seconds()), 'f', 0, 64)
}

// bodyError is the error of a request body that could not be read.
func bodyError(err error) *ai.Error {
	var large *exchange.TooLargeError
	if errors.As(err, &large) {
		return &ai.Error{Status: http.StatusRequestEntityTooLarge, Message: large.Error()}
	}
	return &ai.Error{Status: http.StatusBadRequest, Message: "the request body could not be read"}
}
