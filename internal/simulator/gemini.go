package simulator

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// gemini is what Gemini's operations share. Wire format: ai.google.dev/api (generate-content, tokens, embeddings, models);
// errors: google.rpc.Status as JSON.
type gemini struct{}

func (gemini) mime() string           { return "application/json; charset=UTF-8" }
func (gemini) keyHeader(*call) string { return googleKey }
func (gemini) writeHead(*call)        {}

func (g gemini) streamMime(c *call) string {
	if c.sse {
		return "text/event-stream"
	}
	return g.mime()
}

// routeGemini finds "models/{model}:{method}" and the list of models under an API version.
func (c *call) routeGemini(path []byte) protocol {
	at := bytes.Index(path, []byte("/models/"))
	if at < 0 || !bytes.HasPrefix(path, []byte("/v1")) {
		return nil
	}
	name := path[at+len("/models/"):]
	colon := bytes.LastIndexByte(name, ':')
	if colon < 0 {
		return nil
	}
	c.pathModel = name[:colon]
	switch string(name[colon+1:]) {
	case "generateContent":
		return generateContent{}
	case "streamGenerateContent":
		c.stream = true
		c.sse = string(c.ctx.QueryArgs().Peek("alt")) == "sse"
		return generateContent{}
	case "countTokens":
		return geminiCount{}
	case "embedContent":
		return embedContent{}
	case "batchEmbedContents":
		return batchEmbedContents{}
	}
	return nil
}

func (gemini) appendError(dst []byte, c *call, e *apiError) []byte {
	dst = append(dst, `{"error":{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.status), 10)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.message)
	dst = append(dst, `,"status":"`...)
	dst = append(append(dst, rpcStatus(e.status)...), '"')
	if c.d.retryDelay > 0 {
		dst = append(dst, `,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"`...)
		dst = strconv.AppendFloat(dst, c.d.retryDelay.Seconds(), 'f', -1, 64)
		dst = append(dst, `s"}]`...)
	}
	return append(dst, "}}"...)
}

// rpcStatus is the google.rpc.Code that goes with an HTTP status.
func rpcStatus(status int) string {
	switch status {
	case fasthttp.StatusBadRequest:
		return "INVALID_ARGUMENT"
	case fasthttp.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case fasthttp.StatusForbidden:
		return "PERMISSION_DENIED"
	case fasthttp.StatusNotFound:
		return "NOT_FOUND"
	case fasthttp.StatusConflict:
		return "ABORTED"
	case fasthttp.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case fasthttp.StatusNotImplemented:
		return "UNIMPLEMENTED"
	case fasthttp.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case fasthttp.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	}
	if status >= fasthttp.StatusInternalServerError {
		return "INTERNAL"
	}
	return "FAILED_PRECONDITION"
}

func (g gemini) appendStreamError(dst []byte, c *call, e *apiError) []byte {
	dst = g.appendError(c.openChunk(dst), c, e)
	return c.closeChunk(dst)
}

// openChunk appends what goes before an object of a stream: the framing of a server-sent event, or of an array's element.
func (c *call) openChunk(dst []byte) []byte {
	switch {
	case c.sse:
		return append(dst, "data: "...)
	case c.pull.count == 0:
		return append(dst, '[')
	}
	return append(dst, ",\r\n"...)
}

func (c *call) closeChunk(dst []byte) []byte {
	if c.sse {
		return append(dst, "\r\n\r\n"...)
	}
	return dst
}

// setGeminiModel takes the model from the path.
func (c *call) setGeminiModel() *apiError { return c.setModel(c.pathModel) }

// either returns the member of that name, which proto JSON may also write in snake case.
func (v value) either(camel, snake string) value {
	if m := v.get(camel); len(m) > 0 {
		return m
	}
	return v.get(snake)
}

// geminiCount is :countTokens.
type geminiCount struct{ gemini }

var _ protocol = geminiCount{}

func (geminiCount) read(c *call, body value) *apiError {
	if inner := body.either("generateContentRequest", "generate_content_request"); inner.set() {
		body = inner
	}
	return generateContent{}.read(c, body)
}

func (geminiCount) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"totalTokens":`...)
	dst = strconv.AppendInt(dst, int64(c.usage.input), 10)
	dst = append(dst, `,"promptTokensDetails":[{"modality":"TEXT","tokenCount":`...)
	return append(strconv.AppendInt(dst, int64(c.usage.input), 10), "}]}"...)
}

// embedContent is :embedContent, and each request of :batchEmbedContents.
type embedContent struct{ gemini }

var _ protocol = embedContent{}

func (embedContent) read(c *call, body value) *apiError {
	c.dimensions = 3072
	key := []byte("outputDimensionality")
	if e := c.readCount(&c.dimensions, key, body.either(string(key), "output_dimensionality"), 1, maxDimensions); e != nil {
		return e
	}
	var text []byte
	for part := range body.get("content").get("parts").items() {
		text = c.join(text, c.str(part.get("text")))
	}
	c.input(text)
	return c.setGeminiModel()
}

func (embedContent) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"embedding":{"values":`...)
	return append(appendFloats(dst, embedding(c.inputs[0], c.dimensions)), "}}"...)
}

// batchEmbedContents is :batchEmbedContents.
type batchEmbedContents struct{ gemini }

var _ protocol = batchEmbedContents{}

func (batchEmbedContents) read(c *call, body value) *apiError {
	for r := range body.get("requests").items() {
		if e := (embedContent{}).read(c, r); e != nil {
			return e
		}
	}
	if len(c.inputs) == 0 {
		return invalid("requests", "requests: at least one request is required")
	}
	return nil
}

func (batchEmbedContents) appendAnswer(dst []byte, c *call) []byte {
	dst = append(dst, `{"embeddings":[`...)
	for i, text := range c.inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"values":`...)
		dst = append(appendFloats(dst, embedding(text, c.dimensions)), '}')
	}
	return append(dst, "]}"...)
}

// geminiModels is GET /v1beta/models and /v1beta/models/{model}.
type geminiModels struct{ gemini }

var _ protocol = geminiModels{}

func (geminiModels) read(c *call, _ value) *apiError { return c.findListed() }

func (geminiModels) appendAnswer(dst []byte, c *call) []byte {
	if len(c.model) > 0 {
		return appendGeminiModel(dst, string(c.model))
	}
	dst = append(dst, `{"models":[`...)
	for i, m := range c.s.opts.Models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendGeminiModel(dst, m)
	}
	return append(dst, "]}"...)
}

func appendGeminiModel(dst []byte, name string) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, "models/"+name)
	dst = append(dst, `,"version":"001","displayName":`...)
	dst = appendString(dst, name)
	return append(dst, `,"description":"A simulated model.","inputTokenLimit":1048576,"outputTokenLimit":65536,`+
		`"supportedGenerationMethods":["generateContent","countTokens","embedContent"]}`...)
}

// rfc3339 is a timestamp as Ollama writes it.
func rfc3339(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, time.RFC3339Nano) }
