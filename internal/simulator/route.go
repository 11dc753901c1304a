package simulator

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

// googleKey is Google's header for the API key, which may also be the query parameter "key".
const googleKey = "x-goog-api-key"

// route finds the operation of the request's path. Azure's paths are those under /openai.
func (c *call) route() *apiError {
	path := c.ctx.Path()
	c.proto = notFound{}
	if rest, ok := bytes.CutPrefix(path, []byte("/openai")); ok {
		path = rest
		c.azure = true
		if rest, ok := bytes.CutPrefix(path, []byte("/deployments/")); ok {
			return c.routeDeployment(rest)
		}
	}
	method := fasthttp.MethodPost
	if p := postProtocol(string(path)); p != nil {
		c.proto = p
	} else if p := c.routeGemini(path); p != nil {
		c.proto = p
	} else if p := c.routeList(path); p != nil {
		c.proto, method = p, fasthttp.MethodGet
	}
	if _, missing := c.proto.(notFound); missing {
		return &apiError{
			status:  fasthttp.StatusNotFound,
			message: "Invalid URL (" + string(c.ctx.Method()) + " " + string(c.ctx.Path()) + ")",
		}
	}
	if string(c.ctx.Method()) != method {
		return &apiError{
			status:  fasthttp.StatusMethodNotAllowed,
			message: "Not allowed to " + string(c.ctx.Method()) + " on " + string(path) + ".",
		}
	}
	return nil
}

// postProtocol returns the operation that a fixed path is posted to, nil if there is none.
func postProtocol(path string) protocol {
	switch path {
	case "/v1/chat/completions":
		return chat{}
	case "/v1/completions":
		return completions{}
	case "/v1/embeddings":
		return embeddings{}
	case "/v1/messages":
		return messages{}
	case "/v1/messages/count_tokens":
		return countTokens{}
	case "/api/chat":
		return ollamaChat{}
	case "/api/generate":
		return ollamaGenerate{}
	case "/api/embed":
		return ollamaEmbed{}
	}
	return nil
}

// routeDeployment reads the rest of Azure's path /openai/deployments/{name}/{operation}?api-version=.
func (c *call) routeDeployment(rest []byte) *apiError {
	name, operation, _ := bytes.Cut(rest, []byte("/"))
	p := postProtocol("/v1/" + string(operation))
	if p == nil || strings.HasPrefix(string(operation), "messages") || !c.ctx.QueryArgs().Has("api-version") {
		return &apiError{status: fasthttp.StatusNotFound, message: "Resource not found"}
	}
	c.proto, c.pathModel = p, name
	return nil
}

// authorize refuses a request without the key where Options.APIKey is set.
func (c *call) authorize() *apiError {
	want := c.s.opts.APIKey
	if want == "" {
		return nil
	}
	h := &c.ctx.Request.Header
	if token, ok := bytes.CutPrefix(h.Peek("Authorization"), []byte("Bearer ")); ok && string(token) == want {
		return nil
	}
	name := c.proto.keyHeader(c)
	if name != "" && string(h.Peek(name)) == want {
		return nil
	}
	if name == googleKey && string(c.ctx.QueryArgs().Peek("key")) == want {
		return nil
	}
	return &apiError{status: fasthttp.StatusUnauthorized, code: "invalid_api_key", message: "Incorrect API key provided."}
}
