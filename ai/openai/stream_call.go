package openai

import (
	"bytes"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// maxCalls is how many calls a choice may have.
const maxCalls = 1024

// noIndex stands for a call whose server does not number calls.
const noIndex = -1

// call emits an element of tool_calls: the start of a call, a piece of its arguments, or both.
func (s *stream) call(c *choice, v []byte, dst []ai.Event) []ai.Event {
	index := int64(noIndex)
	var id, fn, custom []byte
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "index":
			if n, ok := jsonscan.Int(v); ok {
				index = n
			}
		case "id":
			id = s.view(v)
		case "function":
			fn = v
		case "custom":
			custom = v
		}
	}
	args := jsonscan.Get(fn, "arguments")
	if jsonscan.Kind(custom) == jsonscan.Object {
		fn, args = custom, jsonscan.Get(custom, "input")
	}
	name := jsonscan.Get(fn, "name")
	n := c.find(index, id, len(name) > 2)
	if n < 0 {
		if len(c.calls) == maxCalls {
			return dst
		}
		n, dst = s.start(c, index, id, name, len(custom) > 0, dst)
	}
	return s.arguments(c, n, args, dst)
}

// find is the call that a delta continues, -1 if it begins one. Servers differ: OpenAI numbers calls and sends the id once;
// some repeat it, some number all calls 0, some do not number them.
func (c *choice) find(index int64, id []byte, named bool) int {
	for n := len(c.calls) - 1; n >= 0; n-- {
		k := &c.calls[n]
		switch {
		case len(id) > 0 && k.id == string(id):
			return n
		case len(id) > 0:
		case index == noIndex && !named, index != noIndex && k.index == index:
			return n
		}
	}
	return -1
}

func (s *stream) start(c *choice, index int64, id, name []byte, custom bool, dst []ai.Event) (int, []ai.Event) {
	if c.kind != 0 {
		c.part++
	}
	c.kind = ai.EventToolStart
	n := len(c.calls)
	k := call{index: index, id: string(id), part: c.part}
	if k.id == "" {
		k.id = newCallID()
	}
	c.calls = append(c.calls, k)
	at := len(s.room)
	s.room = append(s.room, k.id...)
	return n, append(dst, ai.Event{Kind: ai.EventToolStart, Choice: c.index, Part: c.part, Call: n,
		ID: s.room[at:len(s.room):len(s.room)], Name: s.view(name), Custom: custom})
}

func (s *stream) arguments(c *choice, n int, raw []byte, dst []ai.Event) []ai.Event {
	text := s.view(raw)
	if jsonscan.Kind(raw) == jsonscan.Object {
		text = raw
	}
	if len(text) == 0 {
		return dst
	}
	return append(dst, ai.Event{Kind: ai.EventToolDelta, Choice: c.index, Part: c.calls[n].part, Call: n, Text: text})
}

// function emits the deprecated function_call, of which there is one, without a number or an id.
func (s *stream) function(c *choice, v []byte, dst []ai.Event) []ai.Event {
	name := jsonscan.Get(v, "name")
	n := len(c.calls) - 1
	if n < 0 {
		if len(bytes.Trim(name, `"`)) == 0 {
			return dst
		}
		n, dst = s.start(c, noIndex, nil, name, false, dst)
	}
	return s.arguments(c, n, jsonscan.Get(v, "arguments"), dst)
}
