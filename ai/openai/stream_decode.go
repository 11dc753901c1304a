package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// NewStream decodes chat.completion.chunk and streamed text_completion objects. Its decoder is an ai.Lenient.
func (Provider) NewStream(x *ai.Exchange) ai.StreamDecoder { return &stream{x: x} }

var _ ai.Lenient = (*stream)(nil)

// stream decodes one response. Frames are not validated: a frame that is cut off ends without a brace and is an error, and
// what is broken within says nothing.
type stream struct {
	x             *ai.Exchange
	room          []byte // unescaped text of the events of one frame
	choices       []choice
	started, done bool
}

// choice is how far one of the answers has come.
type choice struct {
	index    int
	part     int
	kind     ai.EventKind // of the part
	calls    []call
	finished bool
}

// call is a tool call of a choice; its place in choice.calls is Event.Call.
type call struct {
	index int64 // the server's
	id    string
	part  int
}

func (s *stream) Done() bool { return s.done }

// CompleteAtEOF says whether all choices are finished.
func (s *stream) CompleteAtEOF() bool {
	for i := range s.choices {
		if !s.choices[i].finished {
			return false
		}
	}
	return len(s.choices) >= max(s.x.Request.N, 1)
}

func (s *stream) Decode(f ai.Frame, dst []ai.Event) ([]ai.Event, error) {
	data := jsonscan.Trim(f.Data)
	switch {
	case len(data) == 0:
		return dst, nil
	case string(data) == "[DONE]":
		s.done = true
		return dst, nil
	case data[0] != '{' || data[len(data)-1] != '}':
		return dst, errNotJSON
	}
	s.room = s.room[:0]
	var id, model, choices, failure []byte
	if string(f.Event) == "error" {
		failure = data
	}
	for k, v := range jsonscan.Fields(data) {
		switch string(k) {
		case "id":
			id = v
		case "model":
			model = v
		case "choices":
			choices = v
		case "usage":
			scanUsage(&s.x.Usage, v)
		case "error":
			failure = v
		case "object":
			if string(v) == `"error"` {
				failure = data
			}
		}
	}
	if len(failure) > 0 && !jsonscan.IsNull(failure) {
		return append(dst, ai.Event{Kind: ai.EventError, Err: readError(0, data)}), nil
	}
	for v := range jsonscan.Elems(choices) {
		if !s.started {
			s.started = true
			dst = append(dst, ai.Event{Kind: ai.EventStart, ID: s.view(id), Name: s.view(model)})
		}
		dst = s.choice(v, dst)
	}
	return dst, nil
}

// view is a text that is valid until the next frame.
func (s *stream) view(raw []byte) []byte { return jsonscan.View(raw, &s.room) }

func (s *stream) choice(v []byte, dst []ai.Event) []ai.Event {
	var delta, text, logprobs, reason []byte
	index := 0
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "index":
			n, _ := jsonscan.Int(v)
			index = int(n)
		case "delta":
			delta = v
		case "text":
			text = v
		case "logprobs":
			logprobs = v
		case "finish_reason":
			reason = v
		}
	}
	c := s.at(index)
	if c == nil {
		return dst
	}
	dst = s.delta(c, delta, dst)
	dst = s.text(c, ai.EventText, text, dst)
	if jsonscan.Kind(logprobs) == jsonscan.Object {
		dst = append(dst, ai.Event{Kind: ai.EventLogprobs, Choice: c.index, Part: c.part, Raw: logprobs})
	}
	if f := finish(reason, len(c.calls) > 0); f != "" && !c.finished {
		c.finished = true
		if c.index == 0 || s.x.Finish == "" {
			s.x.Finish = f
		}
		dst = append(dst, ai.Event{Kind: ai.EventFinish, Choice: c.index, Finish: f, StopSequence: stopReason(v)})
	}
	return dst
}

// maxChoices is how many answers a stream may have; OpenAI allows 128.
const maxChoices = 1024

// at is the choice of an index, nil for one that cannot be.
func (s *stream) at(index int) *choice {
	for i := range s.choices {
		if s.choices[i].index == index {
			return &s.choices[i]
		}
	}
	if index < 0 || len(s.choices) == maxChoices {
		return nil
	}
	s.choices = append(s.choices, choice{index: index})
	return &s.choices[len(s.choices)-1]
}

// delta emits what a delta holds in the order in which models speak, whatever the order of its members.
func (s *stream) delta(c *choice, v []byte, dst []ai.Event) []ai.Event {
	var content, refusal, thought, details, calls, function []byte
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "content":
			content = v
		case "refusal":
			refusal = v
		case "reasoning_content", "reasoning":
			if len(thought) <= 2 || jsonscan.Kind(thought) != jsonscan.String {
				thought = v
			}
		case "reasoning_details":
			details = v
		case "tool_calls":
			calls = v
		case "function_call":
			function = v
		}
	}
	if len(details) > 2 && jsonscan.Kind(details) == jsonscan.Array {
		dst = s.details(c, details, dst)
	} else {
		dst = s.text(c, ai.EventReasoning, thought, dst)
	}
	if jsonscan.Kind(content) == jsonscan.Array {
		dst = s.parts(c, content, dst)
	} else {
		dst = s.text(c, ai.EventText, content, dst)
	}
	dst = s.text(c, ai.EventRefusal, refusal, dst)
	for v := range jsonscan.Elems(calls) {
		dst = s.call(c, v, dst)
	}
	if jsonscan.Kind(function) == jsonscan.Object {
		dst = s.function(c, function, dst)
	}
	return dst
}

// turn begins a new part where the kind of the content changes.
func (c *choice) turn(kind ai.EventKind) {
	if c.kind != kind {
		if c.kind != 0 {
			c.part++
		}
		c.kind = kind
	}
}

// text emits a string unless it is empty.
func (s *stream) text(c *choice, kind ai.EventKind, raw []byte, dst []ai.Event) []ai.Event {
	if len(raw) <= 2 || raw[0] != '"' {
		return dst
	}
	c.turn(kind)
	return append(dst, ai.Event{Kind: kind, Choice: c.index, Part: c.part, Text: s.view(raw)})
}

func (s *stream) details(c *choice, v []byte, dst []ai.Event) []ai.Event {
	for v := range jsonscan.Elems(v) {
		dst = s.text(c, ai.EventReasoning, jsonscan.Get(v, "text"), dst)
		dst = s.text(c, ai.EventReasoning, jsonscan.Get(v, "summary"), dst)
		dst = s.signature(c, jsonscan.Get(v, "signature"), false, dst)
		dst = s.signature(c, jsonscan.Get(v, "data"), true, dst)
	}
	return dst
}

// signature ends a thought: what follows is another part. Redacted thoughts are parts of their own.
func (s *stream) signature(c *choice, raw []byte, redacted bool, dst []ai.Event) []ai.Event {
	if len(raw) <= 2 || raw[0] != '"' {
		return dst
	}
	if redacted {
		c.turn(ai.EventSignature)
	} else {
		c.turn(ai.EventReasoning)
	}
	dst = append(dst, ai.Event{Kind: ai.EventSignature, Choice: c.index, Part: c.part, Text: s.view(raw), Redacted: redacted})
	c.kind = ai.EventPing // of no content, so that the next turn is a new part
	return dst
}

// parts emits content that is an array.
func (s *stream) parts(c *choice, v []byte, dst []ai.Event) []ai.Event {
	for v := range jsonscan.Elems(v) {
		kind, said := contentPart(v)
		event := ai.EventText
		switch kind {
		case ai.PartRefusal:
			event = ai.EventRefusal
		case ai.PartReasoning:
			event = ai.EventReasoning
		}
		dst = s.text(c, event, said, dst)
		for inner := range jsonscan.Elems(said) {
			dst = s.text(c, event, jsonscan.Get(inner, "text"), dst)
		}
	}
	return dst
}
