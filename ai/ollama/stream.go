package ollama

import (
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/body"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// decoder reads the lines of a stream, and a whole answer as one line of it.
type decoder struct {
	x *ai.Exchange
	// text holds what had to be unescaped of the present line.
	text []byte
	// id is of the answer, which Ollama gives none, and is in those of calls that came without one.
	id            string
	started, done bool
	// kind is of the open part, 0 before the first; part numbers it.
	kind  ai.PartKind
	part  int
	calls int
	// hide leaves the thoughts out.
	hide    bool
	created int64
}

var _ ai.StreamDecoder = (*decoder)(nil)

// NewStream implements ai.Provider.
func (Provider) NewStream(x *ai.Exchange) ai.StreamDecoder { return newDecoder(x) }

func newDecoder(x *ai.Exchange) *decoder {
	d := &decoder{x: x}
	if c, err := x.Chat(); err == nil && c.Reasoning != nil {
		d.hide = c.Reasoning.Hide
	}
	return d
}

// DecodeCompletion implements ai.Provider. A whole answer has the form of a stream's line.
func (Provider) DecodeCompletion(x *ai.Exchange, body []byte) (*ai.Completion, error) {
	d := newDecoder(x)
	evs, err := d.Decode(ai.Frame{Data: body}, nil)
	if err != nil {
		return nil, err
	}
	c, err := ai.Collect(evs)
	switch {
	case err != nil:
		return nil, err
	case !d.done:
		return nil, errors.New("ollama: the answer is not done")
	}
	c.Created = d.created
	return c, nil
}

// Done implements ai.StreamDecoder.
func (d *decoder) Done() bool { return d.done }

// Decode implements ai.StreamDecoder.
func (d *decoder) Decode(f ai.Frame, dst []ai.Event) ([]ai.Event, error) {
	data := jsonscan.Trim(f.Data)
	if len(data) == 0 {
		return dst, nil
	}
	if err := jsonscan.Valid(data); err != nil {
		return dst, fmt.Errorf("ollama: stream: %w", err)
	}
	if jsonscan.Kind(data) != jsonscan.Object {
		return dst, fmt.Errorf("ollama: stream: expected an object, got %s", jsonscan.Kind(data))
	}
	d.text = d.text[:0]
	return d.line(data, dst), nil
}

// line reads a ChatResponse (https://docs.ollama.com/api/chat).
func (d *decoder) line(data []byte, dst []ai.Event) []ai.Event {
	var model, created, message, reason, logprobs, prompt, eval []byte
	done := false
	for k, v := range jsonscan.Fields(data) {
		switch string(k) {
		case "model":
			model = v
		case "created_at":
			created = v
		case "message":
			message = v
		case "done":
			done = jsonscan.IsTrue(v)
		case "done_reason":
			reason = v
		case "logprobs":
			logprobs = v
		case "prompt_eval_count":
			prompt = v
		case "eval_count":
			eval = v
		case "error":
			return append(dst, ai.Event{Kind: ai.EventError, Err: decodeError(0, data)})
		}
	}
	if !d.started {
		dst = d.start(data, model, created, dst)
	}
	dst = d.message(message, dst)
	if logprobs != nil {
		dst = append(dst, ai.Event{Kind: ai.EventLogprobs, Raw: openLogprobs(logprobs)})
	}
	if done && !d.done {
		d.done = true
		d.usage(prompt, eval)
		d.x.Finish = d.finish(jsonscan.Text(reason))
		dst = append(dst, ai.Event{Kind: ai.EventFinish, Finish: d.x.Finish})
	}
	return dst
}

// start makes an id of the whole first line, which holds the time to the nanosecond.
func (d *decoder) start(line, model, created []byte, dst []ai.Event) []ai.Event {
	d.started = true
	h := fnv.New64a()
	h.Write(line) // never fails
	d.id = strconv.FormatUint(h.Sum64(), 16)
	if t, err := time.Parse(time.RFC3339Nano, jsonscan.Text(created)); err == nil {
		d.created = t.Unix()
	}
	n := len(d.text)
	d.text = append(d.text, d.id...)
	return append(dst, ai.Event{Kind: ai.EventStart, ID: d.text[n:len(d.text):len(d.text)], Name: d.view(model)})
}

func (d *decoder) view(raw []byte) []byte { return jsonscan.View(raw, &d.text) }

func (d *decoder) message(raw []byte, dst []ai.Event) []ai.Event {
	var content, calls []byte
	for k, v := range jsonscan.Fields(raw) {
		switch string(k) {
		case "content":
			content = d.view(v)
		case "thinking":
			if t := d.view(v); len(t) > 0 && !d.hide {
				d.begin(ai.PartReasoning)
				dst = append(dst, ai.Event{Kind: ai.EventReasoning, Part: d.part, Text: t})
			}
		case "tool_calls":
			calls = v
		}
	}
	if len(content) > 0 {
		d.begin(ai.PartText)
		dst = append(dst, ai.Event{Kind: ai.EventText, Part: d.part, Text: content})
	}
	for call := range jsonscan.Elems(calls) {
		dst = d.call(call, dst)
	}
	return dst
}

// begin makes kind the open part; every call is a part of its own.
func (d *decoder) begin(kind ai.PartKind) {
	if d.kind == kind && kind != ai.PartToolCall {
		return
	}
	if d.kind != 0 {
		d.part++
	}
	d.kind = kind
}

// call reads a tool call, which comes whole, with an id only from newer servers.
func (d *decoder) call(raw []byte, dst []ai.Event) []ai.Event {
	d.begin(ai.PartToolCall)
	id := d.view(jsonscan.Get(raw, "id"))
	if len(id) == 0 {
		n := len(d.text)
		d.text = append(append(append(d.text, "call_"...), d.id...), '_')
		d.text = strconv.AppendInt(d.text, int64(d.calls), 10)
		id = d.text[n:len(d.text):len(d.text)]
	}
	f := jsonscan.Get(raw, "function")
	name := d.view(jsonscan.Get(f, "name"))
	n := len(d.text)
	d.text = body.AppendCompact(d.text, jsonscan.Get(f, "arguments"))
	call := d.calls
	d.calls++
	return append(dst,
		ai.Event{Kind: ai.EventToolStart, Part: d.part, Call: call, ID: id, Name: name},
		ai.Event{Kind: ai.EventToolDelta, Part: d.part, Call: call, Text: d.text[n:len(d.text):len(d.text)]})
}

// finish reads a done_reason; older servers give none.
func (d *decoder) finish(reason string) ai.Finish {
	switch {
	case reason == "length":
		return ai.FinishLength
	case d.calls > 0:
		return ai.FinishTools
	}
	return ai.FinishStop
}

// usage is known if both counts came: servers that find the prompt in their cache may leave its count out.
func (d *decoder) usage(prompt, eval []byte) {
	u := &d.x.Usage
	in, okIn := jsonscan.Int(prompt)
	out, okOut := jsonscan.Int(eval)
	u.Input, u.Output = bounded(in), bounded(out)
	u.Known = okIn && okOut
}

func bounded(n int64) int { return int(min(max(n, 0), 1<<40)) }

// openLogprobs translates to OpenAI's form, from which Ollama's differs in what it leaves out.
func openLogprobs(raw []byte) []byte {
	b := append([]byte(nil), `{"content":[`...)
	for token := range jsonscan.Elems(raw) {
		b = appendToken(b, token)
		b = append(jsonscan.AppendKey(b, "top_logprobs"), '[')
		for top := range jsonscan.Elems(jsonscan.Get(token, "top_logprobs")) {
			b = append(appendToken(b, top), '}')
		}
		b = append(b, "]}"...)
	}
	return append(b, `],"refusal":null}`...)
}

// appendToken appends the object of one token and leaves it open.
func appendToken(b, token []byte) []byte {
	p, _ := jsonscan.Float(jsonscan.Get(token, "logprob"))
	b = append(jsonscan.AppendComma(b), '{')
	b = jsonscan.AppendQuoted(jsonscan.AppendKey(b, "token"), jsonscan.Text(jsonscan.Get(token, "token")))
	b = jsonscan.AppendFloat(jsonscan.AppendKey(b, "logprob"), p)
	b = jsonscan.AppendKey(b, "bytes")
	if raw := jsonscan.Get(token, "bytes"); raw != nil {
		return append(b, raw...)
	}
	return append(b, "null"...)
}
