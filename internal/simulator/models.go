package simulator

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"
)

// modelsSince is the creation time shown for every model: 2026-01-01T00:00:00Z.
const modelsSince = 1767225600

// models is OpenAI's GET /v1/models and /v1/models/{id}.
type models struct{ openai }

var _ protocol = models{}

// routeList finds the lists of models and what else is read by GET.
func (c *call) routeList(path []byte) protocol {
	switch string(path) {
	case "/":
		return welcome{}
	case "/api/tags":
		return ollamaTags{}
	case "/api/version":
		return ollamaVersion{}
	}
	if name, ok := listed(path, "/v1beta/models"); ok {
		c.pathModel = name
		return geminiModels{}
	}
	name, ok := listed(path, "/v1/models")
	if !ok {
		return nil
	}
	c.pathModel = name
	h := &c.ctx.Request.Header
	switch { // three vendors share this path
	case len(h.Peek("anthropic-version")) > 0:
		return anthropicModels{}
	case len(h.Peek(googleKey)) > 0 || c.ctx.QueryArgs().Has("key"):
		return geminiModels{}
	}
	return models{}
}

// listed tells whether path is the list at base, or the model of that list that it names.
func listed(path []byte, base string) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(path, []byte(base))
	if !ok || len(rest) > 0 && rest[0] != '/' {
		return nil, false
	}
	return bytes.TrimPrefix(rest, []byte("/")), true
}

// read accepts the path; a model that is not listed is an error.
func (models) read(c *call, _ value) *apiError { return c.findListed() }

// findListed sets the model if the path names one.
func (c *call) findListed() *apiError {
	c.model = c.pathModel
	if len(c.model) == 0 || c.s.has(c.model) {
		return nil
	}
	return unknownModel(c.model)
}

func unknownModel(name []byte) *apiError {
	return &apiError{
		status: fasthttp.StatusNotFound, code: "model_not_found", param: "model",
		message: "The model '" + string(name) + "' does not exist",
	}
}

func (models) appendAnswer(dst []byte, c *call) []byte {
	if len(c.model) > 0 {
		return appendModel(dst, c.model)
	}
	dst = append(dst, `{"object":"list","data":[`...)
	for i, m := range c.s.opts.Models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendModel(dst, []byte(m))
	}
	return append(dst, "]}"...)
}

func appendModel(dst, name []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, name)
	dst = append(dst, `,"object":"model","created":`...)
	dst = strconv.AppendInt(dst, modelsSince, 10)
	return append(dst, `,"owned_by":"nantian-simulator"}`...)
}

// notFound answers paths that no vendor has, with OpenAI's error.
type notFound struct{ openai }

var _ protocol = notFound{}

func (notFound) read(*call, value) *apiError             { return nil }
func (notFound) appendAnswer(dst []byte, _ *call) []byte { return dst }

// welcome is GET /, for people and for probes.
type welcome struct{ openai }

var _ protocol = welcome{}

func (welcome) read(*call, value) *apiError { return nil }
func (welcome) appendAnswer(dst []byte, _ *call) []byte {
	return append(dst, `{"status":"ok","server":"nantian-simulator"}`...)
}
