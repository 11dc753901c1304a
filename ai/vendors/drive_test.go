package vendors_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/ndjson"
	"github.com/nantian-gw/nantian/ai/openai"
	"github.com/nantian-gw/nantian/ai/sse"
	"github.com/nantian-gw/nantian/ai/vendors"
)

// drive sends one request through a client's dialect and a provider, in the steps of package gateway/llm.
type drive struct {
	t      *testing.T
	x      *ai.Exchange
	bypass ai.Bypass
	out    ai.HTTPRequest
}

// newDrive reads a client's request as the gateway does on its arrival. The time stands still for goldens.
func newDrive(t *testing.T, path string, provider ai.Schema, model string, body []byte) *drive {
	t.Helper()
	d, op, _, ok := vendors.Detect("POST", path, none)
	if !ok {
		t.Fatalf("no operation at %s", path)
	}
	if d.Schema() == ai.OpenAI {
		d = openai.Dialect{Now: func() time.Time { return time.Unix(1767323045, 0) }}
	}
	p, ok := vendors.Provider(provider)
	if !ok {
		t.Fatalf("no provider for %s", provider)
	}
	x := &ai.Exchange{Op: op, Client: d, Target: ai.Target{Provider: p, Model: model}}
	x.Request.Raw = body
	if err := d.Peek(op, body, &x.Request); err != nil {
		t.Fatalf("Peek: %v", err)
	}
	v := &drive{t: t, x: x}
	if b, is := p.(ai.Bypass); is && b.Speaks(d.Schema(), op) {
		v.bypass = b
	}
	return v
}

// encode makes the provider's request, forwarded or translated. Its error is what the provider cannot honour.
func (v *drive) encode() error {
	if v.bypass != nil {
		return v.bypass.ForwardRequest(v.x, &v.out)
	}
	return v.x.Target.Provider.EncodeRequest(v.x, &v.out)
}

// refusal is the 400 that a client gets for what is unsupported.
func refusal(u *ai.Unsupported) *ai.Error {
	return &ai.Error{Status: 400, Type: "invalid_request_error", Code: "unsupported_parameter", Param: u.Params[0],
		Message: "not supported by this model's provider: " + strings.Join(u.Params, ", ")}
}

// answer makes the client's answer of the provider's.
func (v *drive) answer(status int, body []byte) []byte {
	p, x := v.x.Target.Provider, v.x
	if status/100 != 2 {
		return x.Client.AppendError(nil, p.DecodeError(status, none, body))
	}
	if v.bypass != nil {
		if err := v.bypass.Scan(x, body); err != nil {
			v.t.Fatalf("Scan: %v", err)
		}
		return body
	}
	var out []byte
	var err error
	switch x.Op {
	case ai.OpEmbeddings:
		var e *ai.Embeddings
		if e, err = p.DecodeEmbeddings(x, body); err == nil {
			out, err = x.Client.AppendEmbeddings(nil, x, e)
		}
	case ai.OpCountTokens:
		var n int
		if n, err = p.DecodeTokenCount(x, body); err == nil {
			out = x.Client.AppendTokenCount(nil, n)
		}
	default:
		var c *ai.Completion
		if c, err = p.DecodeCompletion(x, body); err == nil {
			out, err = x.Client.AppendCompletion(nil, x, c)
		}
	}
	var said *ai.Error
	if errors.As(err, &said) {
		return x.Client.AppendError(nil, said)
	}
	if err != nil {
		v.t.Fatalf("%s: %v", x.Op, err)
	}
	return out
}

// stream makes the client's stream of the provider's.
func (v *drive) stream(body []byte) []byte {
	next := frames(v.x.Target.Provider.Framing(), body)
	dec, enc := v.x.Target.Provider.NewStream(v.x), v.x.Client.NewEncoder(v.x)
	var out []byte
	for !dec.Done() {
		f, err := next()
		if lenient, is := dec.(ai.Lenient); errors.Is(err, io.EOF) && is && lenient.CompleteAtEOF() {
			break
		}
		if err != nil {
			return enc.AppendError(out, &ai.Error{Status: 502, Message: "the provider's stream ended before its end"})
		}
		evs, err := dec.Decode(f, nil)
		if err != nil {
			v.t.Fatalf("Decode %s: %v", f.Data, err)
		}
		for i := range evs {
			if evs[i].Kind == ai.EventError {
				return enc.AppendError(out, evs[i].Err)
			}
		}
		if v.bypass != nil {
			out = v.bypass.AppendFrame(out, v.x, f)
		} else if out, err = enc.AppendEvents(out, evs); err != nil {
			v.t.Fatalf("AppendEvents: %v", err)
		}
	}
	if v.bypass != nil {
		return out
	}
	return enc.AppendEnd(out)
}

func frames(f ai.Framing, body []byte) func() (ai.Frame, error) {
	r := bytes.NewReader(body)
	if f == ai.NDJSON {
		s := new(ndjson.Scanner)
		return func() (ai.Frame, error) { return s.Next(r) }
	}
	s := new(sse.Scanner)
	return func() (ai.Frame, error) { return s.Next(r) }
}
