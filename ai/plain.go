package ai

import "github.com/nantian-gw/nantian/ai/jsonscan"

// Plain is what a chat says that is nothing but text, as most are: without media, tools, calls, reasoning and formats of answers. It is
// read without decoding, and its memory is used again for the next one. It is not safe for concurrent use.
type Plain struct {
	// Messages are as DecodeChat would give them. They alias the body, and are valid until the next Reset.
	Messages []PlainMessage
	// room has the texts that were escaped.
	room []byte
}

// PlainMessage is one turn. Texts are not empty.
type PlainMessage struct {
	Role  Role
	Name  []byte
	Texts [][]byte
}

// maxRoom is how much memory for escaped texts is kept, in bytes.
const maxRoom = 1 << 20

// Reset forgets the messages, but not their memory.
func (p *Plain) Reset() {
	for i := range p.Messages {
		m := &p.Messages[i]
		clear(m.Texts)
		m.Name, m.Texts = nil, m.Texts[:0]
	}
	p.Messages, p.room = p.Messages[:0], p.room[:0]
	if cap(p.room) > maxRoom {
		p.room = nil
	}
}

// Add adds a message. The pointer is valid until the next Add.
func (p *Plain) Add(r Role) *PlainMessage {
	if n := len(p.Messages); n < cap(p.Messages) {
		p.Messages = p.Messages[:n+1]
	} else {
		p.Messages = append(p.Messages, PlainMessage{})
	}
	m := &p.Messages[len(p.Messages)-1]
	m.Role = r
	return m
}

// Text is the text of a raw string, valid as the messages are.
func (p *Plain) Text(raw []byte) []byte { return jsonscan.View(raw, &p.room) }

// Content adds what is a string, or an array of objects {"type": "text", "text": ...}, as OpenAI and Anthropic write it; false: it is
// something else.
func (p *Plain) Content(m *PlainMessage, raw []byte) bool {
	switch jsonscan.Kind(raw) {
	case jsonscan.String:
		p.say(m, raw)
		return true
	case jsonscan.Array:
		for part := range jsonscan.Elems(raw) {
			if !p.part(m, part) {
				return false
			}
		}
		return true
	}
	return false
}

func (p *Plain) say(m *PlainMessage, raw []byte) {
	if text := p.Text(raw); len(text) > 0 {
		m.Texts = append(m.Texts, text)
	}
}

// part adds one part. One with members beyond a hint for the cache may be more than its text.
func (p *Plain) part(m *PlainMessage, raw []byte) bool {
	var typ, text []byte
	for k, v := range jsonscan.Fields(raw) {
		switch string(k) {
		case "type":
			typ = v
		case "text":
			text = v
		case "cache_control":
		default:
			return false
		}
	}
	if !jsonscan.Equal(typ, "text") || jsonscan.Kind(text) != jsonscan.String {
		return false
	}
	p.say(m, text)
	return true
}
