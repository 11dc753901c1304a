package simulator

import (
	"strconv"

	"github.com/valyala/fasthttp"
)

// statusOverloaded is Anthropic's status for an overloaded service.
const statusOverloaded = 529

// anthropic is what Anthropic's operations share. Wire format: docs.anthropic.com/en/api (messages, streaming, errors).
type anthropic struct{}

func (anthropic) mime() string            { return "application/json" }
func (anthropic) streamMime(*call) string { return "text/event-stream; charset=utf-8" }
func (anthropic) keyHeader(*call) string  { return "x-api-key" }

func (anthropic) writeHead(c *call) {
	c.ctx.Response.Header.SetBytesV("request-id", c.appendRequestID(make([]byte, 0, 32)))
}

func (c *call) appendRequestID(dst []byte) []byte {
	id := c.id
	return id.appendID(append(dst, "req_01"...), 22)
}

func (anthropic) appendError(dst []byte, c *call, e *apiError) []byte {
	kind := e.kind
	if kind == "" {
		kind = anthropicKind(e.status)
	}
	message := e.message
	if e.param != "" {
		message = e.param + ": " + message
	}
	dst = append(dst, `{"type":"error","error":{"type":`...)
	dst = appendString(dst, kind)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, message)
	dst = append(dst, `},"request_id":"`...)
	return append(c.appendRequestID(dst), `"}`...)
}

func anthropicKind(status int) string {
	switch status {
	case fasthttp.StatusUnauthorized:
		return "authentication_error"
	case fasthttp.StatusForbidden:
		return "permission_error"
	case fasthttp.StatusNotFound:
		return "not_found_error"
	case fasthttp.StatusRequestEntityTooLarge:
		return "request_too_large"
	case fasthttp.StatusTooManyRequests:
		return "rate_limit_error"
	case fasthttp.StatusGatewayTimeout:
		return "timeout_error"
	case statusOverloaded:
		return "overloaded_error"
	}
	if status >= fasthttp.StatusInternalServerError {
		return "api_error"
	}
	return "invalid_request_error"
}

func (a anthropic) appendStreamError(dst []byte, c *call, e *apiError) []byte {
	dst = append(dst, "event: error\ndata: "...)
	return append(a.appendError(dst, c, e), "\n\n"...)
}

// requireVersion refuses a request without the header anthropic-version.
func (c *call) requireVersion() *apiError {
	if len(c.ctx.Request.Header.Peek("anthropic-version")) == 0 {
		return invalid("anthropic-version", "header is required")
	}
	return nil
}

// countTokens is POST /v1/messages/count_tokens.
type countTokens struct{ anthropic }

var _ protocol = countTokens{}

func (countTokens) read(c *call, body value) *apiError { return c.readMessages(body) }

func (countTokens) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"input_tokens":`...)
	return append(strconv.AppendInt(dst, int64(c.usage.input), 10), '}')
}

// anthropicModels is GET /v1/models and /v1/models/{id} with the header anthropic-version.
type anthropicModels struct{ anthropic }

var _ protocol = anthropicModels{}

func (anthropicModels) read(c *call, _ value) *apiError {
	if e := c.findListed(); e != nil {
		return &apiError{status: e.status, message: "model: " + string(c.pathModel)}
	}
	return nil
}

func (anthropicModels) appendAnswer(dst []byte, c *call) []byte {
	if len(c.model) > 0 {
		return appendAnthropicModel(dst, string(c.model))
	}
	names := c.s.opts.Models
	first, last := "", ""
	dst = append(dst, `{"data":[`...)
	for i, m := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendAnthropicModel(dst, m)
		first, last = names[0], m
	}
	dst = append(dst, `],"has_more":false,"first_id":`...)
	dst = appendStringOrNull(dst, first)
	dst = append(dst, `,"last_id":`...)
	return append(appendStringOrNull(dst, last), '}')
}

func appendAnthropicModel(dst []byte, name string) []byte {
	dst = append(dst, `{"type":"model","id":`...)
	dst = appendString(dst, name)
	dst = append(dst, `,"display_name":`...)
	dst = appendString(dst, name)
	return append(dst, `,"created_at":"2026-01-01T00:00:00Z"}`...)
}
