package llm

import (
	"errors"
	"net/http"
	"sync"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// maxErrorBody bounds what is read of a provider's error.
const maxErrorBody = 1 << 20

// answer makes a call whose answer is not streamed.
func (c *call) answer() *ai.Error {
	for c.next() {
		f := c.attempt()
		if f == nil {
			return nil
		}
		if !c.fail(f) {
			break
		}
	}
	switch {
	case c.x.Model.Aborted:
		c.h.llm.estimate(c.ax, nil)
		c.target.meter.Tokens(&c.ax.Usage)
	case c.local:
		c.countHere()
		return nil
	}
	return c.verdict()
}

// attempt asks one target and answers the client, unless it fails.
func (c *call) attempt() *failure {
	c.build()
	err := c.target.provider.cluster.Do(c.x, &c.up)
	if f := c.judge(err); f != nil {
		return f
	}
	if c.bypass != nil {
		return c.forward()
	}
	buf := raws.Get().(*[]byte)
	body, f := c.readAnswer((*buf)[:0])
	if f == nil {
		f = c.translate(body)
	}
	if cap(body) <= keptBody {
		*buf = body[:0]
		raws.Put(buf)
	}
	return f
}

// raws are buffers of answers that are translated.
var raws = sync.Pool{New: func() any { return new([]byte) }}

// judge looks at the outcome of a call: an error, a status other than 2xx, or an answer that cannot be read.
func (c *call) judge(err error) *failure {
	if err != nil {
		return callFailure(err)
	}
	c.answered = true
	status := c.resp.StatusCode()
	if status/100 != 2 {
		return c.errorAnswer(status)
	}
	if e := c.resp.ContentEncoding(); len(e) > 0 && string(e) != "identity" {
		return nonsense("the provider compressed its answer although it was asked not to")
	}
	return nil
}

// errorAnswer decodes an error answer. A body that breaks or is too long is an error without a message.
func (c *call) errorAnswer(status int) *failure {
	body := c.up.RespBody.Bytes
	if c.up.RespBody.Stream != nil {
		var err error
		if body, err = exchange.AppendStream(nil, &c.up.RespBody, maxErrorBody); err != nil {
			body = nil
		}
	}
	return answered(c.ax.Target.Provider.DecodeError(status, c.field, body))
}

// field looks up a field of the answer's head.
func (c *call) field(name string) string { return string(c.resp.Peek(name)) }

// readAnswer reads a whole answer behind dst.
func (c *call) readAnswer(dst []byte) ([]byte, *failure) {
	b, limit := &c.up.RespBody, c.h.llm.MaxAnswer
	if b.Length > limit {
		return dst, tooLong()
	}
	if b.Stream == nil {
		return append(dst, b.Bytes...), nil
	}
	dst, err := exchange.AppendStream(dst, b, limit)
	var large *exchange.TooLargeError
	if errors.As(err, &large) {
		return dst, tooLong()
	}
	if err != nil {
		return dst, callFailure(err)
	}
	b.Close()
	return dst, nil
}

func tooLong() *failure {
	return nonsense("the provider's answer is larger than the gateway takes")
}

// forward answers with the provider's own bytes.
func (c *call) forward() *failure {
	body, f := c.readAnswer(nil)
	if f != nil {
		return f
	}
	if jsonscan.Valid(body) != nil || c.bypass.Scan(c.ax, body) != nil {
		return nonsense("the provider's answer cannot be understood")
	}
	if !c.ax.Usage.Known && c.ax.Op != ai.OpCountTokens {
		c.measure(body)
	}
	c.succeed()
	c.reply(c.resp.StatusCode(), string(c.resp.ContentType()), body)
	return nil
}

// measure estimates the usage of an answer that is forwarded.
func (c *call) measure(body []byte) {
	var done *ai.Completion
	if c.ax.Op != ai.OpEmbeddings {
		done, _ = c.ax.Target.Provider.DecodeCompletion(c.ax, body)
	}
	c.h.llm.estimate(c.ax, done)
}

// translate answers in the client's schema.
func (c *call) translate(body []byte) *failure {
	var (
		x   = c.ax
		out []byte
		err error
	)
	switch x.Op {
	case ai.OpEmbeddings:
		var e *ai.Embeddings
		if e, err = x.Target.Provider.DecodeEmbeddings(x, body); err == nil {
			c.h.llm.estimate(x, nil)
			out, err = x.Client.AppendEmbeddings(nil, x, e)
		}
	case ai.OpCountTokens:
		var n int
		if n, err = x.Target.Provider.DecodeTokenCount(x, body); err == nil {
			out = x.Client.AppendTokenCount(nil, n)
		}
	default:
		var done *ai.Completion
		if done, err = x.Target.Provider.DecodeCompletion(x, body); err == nil {
			c.h.llm.estimate(x, done)
			out, err = x.Client.AppendCompletion(nil, x, done)
		}
	}
	if err != nil {
		return misread(err)
	}
	c.succeed()
	c.reply(http.StatusOK, jsonType, out)
	return nil
}

// misread is an answer of status 200 that could not be decoded, or that turned out to be an error.
func misread(err error) *failure {
	var e *ai.Error
	if errors.As(err, &e) {
		return spoken(e)
	}
	return nonsense("the provider's answer cannot be understood")
}

// countHere counts the tokens of the request where the provider has no call for it.
func (c *call) countHere() {
	n := c.h.llm.input(c.ax)
	c.reply(http.StatusOK, jsonType, c.ax.Client.AppendTokenCount(nil, n))
}
