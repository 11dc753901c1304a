package simulator

import (
	"strconv"

	"github.com/valyala/fasthttp"
)

// openai is what OpenAI's operations share. Wire format: platform.openai.com/docs/api-reference; Azure's errors:
// learn.microsoft.com/azure/ai-services/openai/reference.
type openai struct{}

func (openai) mime() string              { return "application/json" }
func (openai) streamMime(c *call) string { return "text/event-stream; charset=utf-8" }
func (openai) keyHeader(c *call) string {
	if c.azure {
		return "api-key"
	}
	return ""
}

func (openai) writeHead(c *call) {
	id := c.id
	c.ctx.Response.Header.SetBytesV("x-request-id", id.appendID(append(make([]byte, 0, 28), "req_"...), 24))
}

// appendError appends {"error":{...}}. What Azure's front answers has only a code and a message.
func (o openai) appendError(dst []byte, c *call, e *apiError) []byte {
	if c.azure && azureFront(e.status) {
		dst = append(dst, `{"error":{"code":`...)
		code := e.code
		if code == "" || e.status != fasthttp.StatusNotFound {
			code = strconv.Itoa(e.status)
		}
		dst = appendString(dst, code)
		dst = append(dst, `,"message":`...)
		return append(appendString(dst, e.message), "}}"...)
	}
	kind, code := openaiKind(e)
	dst = append(dst, `{"error":{"message":`...)
	dst = appendString(dst, e.message)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, kind)
	dst = append(dst, `,"param":`...)
	dst = appendStringOrNull(dst, e.param)
	dst = append(dst, `,"code":`...)
	return append(appendStringOrNull(dst, code), "}}"...)
}

func azureFront(status int) bool {
	switch status {
	case fasthttp.StatusUnauthorized, fasthttp.StatusForbidden, fasthttp.StatusNotFound, fasthttp.StatusTooManyRequests:
		return true
	}
	return false
}

func openaiKind(e *apiError) (kind, code string) {
	kind, code = "invalid_request_error", e.code
	switch {
	case e.status == fasthttp.StatusTooManyRequests && code == "insufficient_quota":
		kind = code
	case e.status == fasthttp.StatusTooManyRequests:
		kind = "requests"
		if code == "" {
			code = "rate_limit_exceeded"
		}
	case e.status >= fasthttp.StatusInternalServerError:
		kind = "server_error"
	}
	if e.kind != "" {
		kind = e.kind
	}
	return kind, code
}

func appendStringOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

// appendStreamError appends an error event. OpenAI ends such a stream without [DONE].
func (o openai) appendStreamError(dst []byte, c *call, e *apiError) []byte {
	azure := c.azure
	c.azure = false
	dst = append(o.appendError(append(dst, "data: "...), c, e), "\n\n"...)
	c.azure = azure
	return dst
}

// appendHead appends the members that every object of an answer begins with, up to the one that holds its choices.
func (c *call) appendHead(dst []byte, idPrefix, object string) []byte {
	id := c.id
	dst = append(dst, `{"id":"`...)
	dst = append(dst, idPrefix...)
	dst = id.appendID(dst, 29)
	dst = append(dst, `","object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, c.created, 10)
	dst = append(dst, `,"model":`...)
	return appendString(dst, c.model)
}

// appendUsage appends the usage object.
func (c *call) appendUsage(dst []byte) []byte {
	u := &c.usage
	dst = append(dst, `{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.input), 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.output), 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.input+u.output), 10)
	dst = append(dst, `,"prompt_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.cached), 10)
	dst = append(dst, `,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.reasoning), 10)
	return append(dst, `,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`...)
}

func (ch *choice) openaiFinish() string {
	switch ch.finish {
	case finishLength:
		return "length"
	case finishTools:
		return "tool_calls"
	}
	return "stop"
}

// readGeneration reads a parameter that chat completions and completions share.
func (c *call) readGeneration(key []byte, v value) *apiError {
	switch string(key) {
	case "model":
		if c.pathModel == nil {
			return c.setModel(c.str(v))
		}
	case "stream":
		c.stream = v.truth()
	case "stream_options":
		c.includeUsage = v.get("include_usage").truth()
	case "max_tokens", "max_completion_tokens":
		return c.readCount(&c.maxTokens, key, v, 1, 1<<30)
	case "n":
		return c.readCount(&c.n, key, v, 1, maxChoices)
	case "stop":
		c.readStops(v)
	}
	return nil
}

// readCount reads an integer parameter within bounds; null leaves it as it is.
func (c *call) readCount(p *int, key []byte, v value, least, most int) *apiError {
	if !v.set() {
		return nil
	}
	n, ok := v.number()
	if !ok || n < least || n > most {
		return invalid(string(key), "Invalid value for '"+string(key)+"': expected an integer from "+
			strconv.Itoa(least)+" to "+strconv.Itoa(most)+".")
	}
	*p = n
	return nil
}

// readStops reads one stop sequence or a list of them.
func (c *call) readStops(v value) {
	if v.kind() == '"' {
		c.stops = append(c.stops, c.str(v))
	}
	for s := range v.items() {
		c.stops = append(c.stops, c.str(s))
	}
}

// requireModel takes the model from Azure's path, or complains that there is none.
func (c *call) requireModel() *apiError {
	if c.pathModel != nil {
		return c.setModel(c.pathModel)
	}
	if len(c.model) == 0 {
		return invalid("model", "you must provide a model parameter")
	}
	return nil
}
