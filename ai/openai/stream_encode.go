package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// NewEncoder writes chat.completion.chunk or streamed text_completion objects.
func (d Dialect) NewEncoder(x *ai.Exchange) ai.StreamEncoder {
	return &streamEncoder{x: x, created: d.now(), legacy: x.Op == ai.OpCompletion, wishes: wishesOf(x)}
}

var _ ai.StreamEncoder = (*streamEncoder)(nil)

type streamEncoder struct {
	x       *ai.Exchange
	created int64
	// head opens each chunk.
	head    []byte
	choices []spoken
	legacy  bool
	wishes
}

// spoken is what was said of one choice.
type spoken struct {
	index int
	// thoughts counts the reasoning parts; thought is Event.Part of the last.
	thoughts, thought int
	images            int
	calls             []spokenCall
}

type spokenCall struct{ custom, begun bool }

func (e *streamEncoder) AppendEvents(dst []byte, evs []ai.Event) ([]byte, error) {
	for i := 0; i < len(evs); i++ {
		ev := &evs[i]
		var logprobs []byte
		if i+1 < len(evs) && ev.Kind == ai.EventText && evs[i+1].Kind == ai.EventLogprobs && evs[i+1].Choice == ev.Choice {
			i++
			logprobs = evs[i].Raw
		}
		if e.legacy && ev.Kind == ai.EventImage {
			return dst, ai.Inexpressible("an image")
		}
		dst = e.event(dst, ev, logprobs)
	}
	return dst, nil
}

func (e *streamEncoder) event(dst []byte, ev *ai.Event, logprobs []byte) []byte {
	switch ev.Kind {
	case ai.EventStart:
		e.begin(ev.ID, ev.Name)
		return dst
	case ai.EventPing:
		return dst
	case ai.EventError:
		return e.AppendError(dst, ev.Err)
	case ai.EventLogprobs:
		logprobs = ev.Raw
	case ai.EventReasoning:
		if e.hidden {
			return dst
		}
	}
	if e.head == nil {
		e.begin(nil, nil)
	}
	if e.legacy {
		return e.textChunk(dst, ev, logprobs)
	}
	c, dst := e.at(dst, ev.Choice)
	switch ev.Kind {
	case ai.EventText:
		dst = e.open(dst, ev.Choice)
		dst = jsonscan.AppendQuoted(append(dst, `"content":`...), ev.Text)
	case ai.EventRefusal:
		dst = e.open(dst, ev.Choice)
		dst = jsonscan.AppendQuoted(append(dst, `"refusal":`...), ev.Text)
	case ai.EventReasoning, ai.EventSignature:
		dst = e.open(dst, ev.Choice)
		dst = c.thinks(dst, ev)
	case ai.EventImage:
		dst = e.open(dst, ev.Choice)
		dst = append(appendImage(append(dst, `"images":[`...), c.images, ev.Name, ev.Text), ']')
		c.images++
	case ai.EventToolStart, ai.EventToolDelta:
		dst = e.call(dst, c, ev)
	case ai.EventFinish:
		dst = e.completeCalls(dst, c)
		dst = e.open(dst, ev.Choice)
		return e.shut(dst, logprobs, finishWord(ev.Finish, e.functions))
	case ai.EventLogprobs:
		dst = e.open(dst, ev.Choice)
	default:
		return dst
	}
	return e.shut(dst, logprobs, "")
}

// begin makes the head of all chunks.
func (e *streamEncoder) begin(id, model []byte) {
	if len(model) == 0 {
		model = []byte(e.x.Request.Model)
	}
	e.head = appendHead(append(e.head[:0], "data: "...), id, model, e.created, objectOf(e.legacy, true))
}

// at is the state of a choice. A new one is opened for the client by its role.
func (e *streamEncoder) at(dst []byte, index int) (*spoken, []byte) {
	for i := range e.choices {
		if e.choices[i].index == index {
			return &e.choices[i], dst
		}
	}
	e.choices = append(e.choices, spoken{index: index})
	dst = append(e.open(dst, index), `"role":"assistant","content":""`...)
	return &e.choices[len(e.choices)-1], e.shut(dst, nil, "")
}

// open begins a chunk up to the inside of its delta.
func (e *streamEncoder) open(dst []byte, index int) []byte {
	dst = append(append(dst, e.head...), `"choices":[{"index":`...)
	return append(jsonscan.AppendInt(dst, index), `,"delta":{`...)
}

// shut ends a chunk that open began.
func (e *streamEncoder) shut(dst, logprobs []byte, finish string) []byte {
	dst = appendRaw(append(dst, `},"logprobs":`...), logprobs)
	return e.end(dst, finish)
}

// end ends a chunk from finish_reason on. Chunks of a client that asked for usage say that it is still to come.
func (e *streamEncoder) end(dst []byte, finish string) []byte {
	dst = append(dst, `,"finish_reason":`...)
	if finish == "" {
		dst = append(dst, "null}]"...)
	} else {
		dst = append(jsonscan.AppendQuoted(dst, finish), "}]"...)
	}
	if e.x.Request.WantsUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

func (e *streamEncoder) textChunk(dst []byte, ev *ai.Event, logprobs []byte) []byte {
	text, finish := ev.Text, ""
	switch ev.Kind {
	case ai.EventText, ai.EventRefusal:
	case ai.EventLogprobs:
		text = nil
	case ai.EventFinish:
		text, finish = nil, finishWord(ev.Finish, false)
	default:
		return dst
	}
	dst = jsonscan.AppendQuoted(append(append(dst, e.head...), `"choices":[{"text":`...), text)
	dst = jsonscan.AppendInt(append(dst, `,"index":`...), ev.Choice)
	dst = appendRaw(append(dst, `,"logprobs":`...), logprobs)
	return e.end(dst, finish)
}

// thinks appends a piece of reasoning: its text for all clients, and the detail that a client hands back. Details are numbered
// without gaps, because SDKs put them together by number.
func (c *spoken) thinks(dst []byte, ev *ai.Event) []byte {
	if c.thoughts == 0 || c.thought != ev.Part {
		c.thoughts++
		c.thought = ev.Part
	}
	if ev.Kind == ai.EventReasoning {
		dst = jsonscan.AppendQuoted(append(dst, `"reasoning_content":`...), ev.Text)
		dst = append(dst, ',')
	}
	dst = append(dst, `"reasoning_details":[`...)
	dst = appendDetailHead(dst, c.thoughts-1, ev.Redacted)
	switch {
	case ev.Kind == ai.EventReasoning:
		dst = append(dst, `,"text":`...)
	case ev.Redacted:
		dst = append(dst, `,"data":`...)
	default:
		dst = append(dst, `,"signature":`...)
	}
	return append(jsonscan.AppendQuoted(dst, ev.Text), "}]"...)
}

// call appends a chunk with the start or a piece of a call, but for its end.
func (e *streamEncoder) call(dst []byte, c *spoken, ev *ai.Event) []byte {
	for len(c.calls) <= ev.Call {
		c.calls = append(c.calls, spokenCall{})
	}
	k := &c.calls[ev.Call]
	k.begun = k.begun || ev.Kind == ai.EventToolDelta
	dst = e.open(dst, c.index)
	if ev.Kind == ai.EventToolDelta {
		return e.piece(dst, c, ev.Call, ev.Text)
	}
	k.custom = ev.Custom
	if e.functions && ev.Call == 0 {
		dst = jsonscan.AppendQuoted(append(dst, `"function_call":{"name":`...), ev.Name)
		return append(dst, `,"arguments":""}`...)
	}
	dst = jsonscan.AppendInt(append(dst, `"tool_calls":[{"index":`...), ev.Call)
	dst = jsonscan.AppendQuoted(append(dst, `,"id":`...), ev.ID)
	if k.custom {
		dst = jsonscan.AppendQuoted(append(dst, `,"type":"custom","custom":{"name":`...), ev.Name)
		return append(dst, `,"input":""}}]`...)
	}
	dst = jsonscan.AppendQuoted(append(dst, `,"type":"function","function":{"name":`...), ev.Name)
	return append(dst, `,"arguments":""}}]`...)
}

func (e *streamEncoder) piece(dst []byte, c *spoken, n int, text []byte) []byte {
	if e.functions && n == 0 {
		dst = jsonscan.AppendQuoted(append(dst, `"function_call":{"arguments":`...), text)
		return append(dst, '}')
	}
	dst = jsonscan.AppendInt(append(dst, `"tool_calls":[{"index":`...), n)
	if c.calls[n].custom {
		dst = append(dst, `,"custom":{"input":`...)
	} else {
		dst = append(dst, `,"function":{"arguments":`...)
	}
	return append(jsonscan.AppendQuoted(dst, text), "}}]"...)
}

var noArguments = []byte("{}")

// completeCalls gives an empty object to calls without arguments: clients parse what they got.
func (e *streamEncoder) completeCalls(dst []byte, c *spoken) []byte {
	for n := range c.calls {
		if k := &c.calls[n]; !k.begun && !k.custom {
			k.begun = true
			dst = e.shut(e.piece(e.open(dst, c.index), c, n, noArguments), nil, "")
		}
	}
	return dst
}

func (e *streamEncoder) AppendEnd(dst []byte) []byte {
	if e.x.Request.WantsUsage {
		if e.head == nil {
			e.begin(nil, nil)
		}
		dst = append(append(dst, e.head...), `"choices":[],"usage":`...)
		dst = append(appendUsage(dst, &e.x.Usage), "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

func (e *streamEncoder) AppendError(dst []byte, err *ai.Error) []byte {
	dst = append(dst, "data: "...)
	return append(Dialect{}.AppendError(dst, err), "\n\n"...)
}

func (e *streamEncoder) AppendKeepAlive(dst []byte) []byte { return append(dst, ": keep-alive\n\n"...) }
