package llm

import (
	"errors"
	"net/http"

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
		c.h.llm.estimate(&c.ax, nil)
		c.spent()
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
	if f := c.readAnswer(); f != nil {
		return f
	}
	if c.bypass != nil {
		return c.forward()
	}
	return c.translate()
}

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

// readAnswer reads a whole answer into body.
func (c *call) readAnswer() *failure {
	b, limit := &c.up.RespBody, c.h.llm.MaxAnswer
	if b.Length > limit {
		return tooLong()
	}
	if b.Stream == nil {
		c.body = append(c.body[:0], b.Bytes...)
		return nil
	}
	var err error
	c.body, err = exchange.AppendStream(c.body[:0], b, limit)
	var large *exchange.TooLargeError
	if errors.As(err, &large) {
		return tooLong()
	}
	if err != nil {
		return callFailure(err)
	}
	b.Close()
	return nil
}

func tooLong() *failure {
	return nonsense("the provider's answer is larger than the gateway takes")
}

// forward answers with the provider's own bytes.
func (c *call) forward() *failure {
	x := &c.ax
	if jsonscan.Valid(c.body) != nil || c.bypass.Scan(x, c.body) != nil {
		return nonsense("the provider's answer cannot be understood")
	}
	if x.Op == ai.OpCountTokens {
		c.told, _ = x.Target.Provider.DecodeTokenCount(x, c.body)
	} else if !x.Usage.Known {
		var done *ai.Completion
		if x.Op != ai.OpEmbeddings {
			done, _ = x.Target.Provider.DecodeCompletion(x, c.body)
		}
		c.h.llm.estimate(x, done)
	}
	out, f := c.guardAnswer(c.body)
	if f != nil {
		return f
	}
	c.succeed()
	c.reply(c.resp.StatusCode(), string(c.resp.ContentType()), out)
	return nil
}

// translate answers in the client's schema.
func (c *call) translate() *failure {
	out, err := c.appendAnswer(c.written[:0])
	if err != nil {
		return misread(err)
	}
	c.written = out
	out, f := c.guardAnswer(out)
	if f != nil {
		return f
	}
	c.succeed()
	c.reply(http.StatusOK, jsonType, out)
	return nil
}

func (c *call) appendAnswer(dst []byte) ([]byte, error) {
	x, p := &c.ax, c.ax.Target.Provider
	switch x.Op {
	case ai.OpEmbeddings:
		e, err := p.DecodeEmbeddings(x, c.body)
		if err != nil {
			return nil, err
		}
		c.h.llm.estimate(x, nil)
		return x.Client.AppendEmbeddings(dst, x, e)
	case ai.OpCountTokens:
		n, err := p.DecodeTokenCount(x, c.body)
		if err != nil {
			return nil, err
		}
		c.told = n
		return x.Client.AppendTokenCount(dst, n), nil
	}
	done, err := p.DecodeCompletion(x, c.body)
	if err != nil {
		return nil, err
	}
	c.h.llm.estimate(x, done)
	return x.Client.AppendCompletion(dst, x, done)
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
	n := c.h.llm.input(&c.ax)
	c.reply(http.StatusOK, jsonType, c.ax.Client.AppendTokenCount(nil, n))
}
