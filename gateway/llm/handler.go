package llm

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/ai/vendors"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Handler serves the models of one AIProvider or AIBackend. It is immutable and safe for concurrent use.
//
// The usage in Exchange.LLM is final when the answer's body has reached io.EOF or was closed.
type Handler struct {
	llm     *LLM
	models  *models
	maxBody int64
	// guards are nil where no prompt guard applies.
	guards *guards
	limits
}

var _ exchange.Handler = (*Handler)(nil)

// Serve answers one model call.
func (h *Handler) Serve(x *exchange.Exchange) {
	c := h.newCall(x)
	whole := false
	defer func() {
		if !whole {
			c.abandon()
		}
	}()
	if err := h.serve(c); err != nil {
		c.refuse(err)
	}
	whole = true
}

// abandon ends what a call that panicked holds beyond itself: it is never released, and its reservations would be extended for
// as long as the process runs.
func (c *call) abandon() {
	c.settleAll()
	if c.answered { // else the call may still be made, by a goroutine of its own
		c.up.RespBody.Close()
	}
}

// serve takes the steps of a call, in order. Its error is for the client.
func (h *Handler) serve(c *call) *ai.Error {
	model, err := c.detect()
	if err != nil {
		return err
	}
	if h.closed != nil {
		return h.closed
	}
	switch c.ax.Op {
	case ai.OpListModels:
		return c.listModels()
	case ai.OpGetModel:
		return c.getModel(model)
	}
	if err := c.read(model); err != nil {
		return err
	}
	if err := c.resolve(); err != nil {
		return err
	}
	if err := c.guardRequest(); err != nil {
		return err
	}
	if err := c.admit(); err != nil {
		return err
	}
	if c.ax.Request.Stream && (c.ax.Op == ai.OpChat || c.ax.Op == ai.OpCompletion) {
		return c.stream()
	}
	return c.answer()
}

// detect finds the schema and the operation in the path as the route's filters left it. model is the one in the path, if
// there is one.
func (c *call) detect() (model string, _ *ai.Error) {
	x := c.x
	field := func(name string) string { return string(x.Req.Peek(name)) }
	var ok bool
	c.ax.Client, c.ax.Op, model, ok = vendors.Detect(x.Req.Method(), x.Path, field)
	if ok {
		return model, nil
	}
	for _, m := range [...]string{"POST", "GET"} {
		if _, _, _, ok := vendors.Detect([]byte(m), x.Path, field); ok {
			c.allow = m
			return "", &ai.Error{Status: http.StatusMethodNotAllowed, Message: "use " + m + " for this path"}
		}
	}
	return "", &ai.Error{Status: http.StatusNotFound, Message: "there is nothing here; there are: " + endpoints}
}

// endpoints are what a handler serves, for those who ask for something else.
const endpoints = "POST /v1/chat/completions, POST /v1/completions, POST /v1/embeddings, POST /v1/messages, " +
	"POST /v1/messages/count_tokens, GET /v1/models, GET /v1/models/{model}"

// read reads the body and what routing needs of it.
func (c *call) read(model string) *ai.Error {
	if e := c.x.Req.ContentEncoding(); len(e) > 0 && string(e) != "identity" {
		return &ai.Error{Status: http.StatusUnsupportedMediaType, Message: "send the body without a Content-Encoding"}
	}
	body, err := c.x.ReadBody(c.h.maxBody)
	if err != nil {
		return bodyError(err)
	}
	r := &c.ax.Request
	r.Raw, r.Beta = body, c.beta()
	err = c.ax.Client.Peek(c.ax.Op, body, r)
	if err != nil && !c.nameless(err) {
		return clientError(err)
	}
	r.Model = cmp.Or(r.Model, model)
	if r.Model == "" && c.x.Identity.MayUse(c.h.models.fallback) {
		r.Model = c.h.models.fallback
	}
	if r.Model == "" {
		return clientError(err)
	}
	c.x.Model.Requested, c.x.Model.Streamed = r.Model, r.Stream
	return nil
}

// beta lists the features of Anthropic's API that the client switches on, in as many fields as it likes.
func (c *call) beta() string {
	return string(bytes.Join(c.x.Req.PeekAll("Anthropic-Beta"), []byte(",")))
}

// nameless says that all that a body lacks is the name of a model, which may stand in the path or be the provider's default.
func (c *call) nameless(err error) bool {
	var e *ai.Error
	return errors.As(err, &e) && e.Param == "model" && jsonscan.Get(c.ax.Request.Raw, "model") == nil
}

// resolve finds the route of the model, and the order of its targets. A model that the caller may not use is as one that is not
// there.
func (c *call) resolve() *ai.Error {
	r, m := &c.ax.Request, c.h.models
	if c.x.Identity.MayUse(r.Model) {
		c.route, c.star = m.find(r.Model)
	}
	if c.route == nil {
		return m.unknown(r.Model, c.x.Identity)
	}
	c.order = c.h.llm.order(c.order[:0], c.route)
	return nil
}
