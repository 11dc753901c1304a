package openai

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// ReadPlain implements ai.Dialect. It takes members that say nothing to the model for granted; what is wrong with them is for
// DecodeChat to say, or for the provider.
func (Dialect) ReadPlain(op ai.Op, body []byte, p *ai.Plain) bool {
	if op != ai.OpChat {
		return false
	}
	for k, v := range jsonscan.Fields(jsonscan.Trim(body)) {
		switch string(k) {
		case "messages":
			if !plainMessages(p, v) {
				return false
			}
		case "tools", "functions", "response_format":
			if !jsonscan.IsNull(v) {
				return false
			}
		}
	}
	return len(p.Messages) > 0
}

func plainMessages(p *ai.Plain, v []byte) bool {
	if jsonscan.Kind(v) != jsonscan.Array {
		return false
	}
	for m := range jsonscan.Elems(v) {
		if !plainMessage(p, m) {
			return false
		}
	}
	return true
}

// plainMessage reads one turn. Nulls are what SDKs add when they hand an answer back.
func plainMessage(p *ai.Plain, v []byte) bool {
	m := p.Add(0)
	var content []byte
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "role":
			m.Role = plainRole(v)
		case "content":
			content = v
		case "name":
			if jsonscan.Kind(v) != jsonscan.String {
				return false
			}
			m.Name = p.Text(v)
		default:
			if !jsonscan.IsNull(v) {
				return false
			}
		}
	}
	return m.Role != 0 && p.Content(m, content)
}

// plainRole is the role of those who only speak; 0: it is another one.
func plainRole(v []byte) ai.Role {
	switch {
	case jsonscan.Equal(v, "user"):
		return ai.RoleUser
	case jsonscan.Equal(v, "assistant"):
		return ai.RoleAssistant
	case jsonscan.Equal(v, "system"):
		return ai.RoleSystem
	case jsonscan.Equal(v, "developer"):
		return ai.RoleDeveloper
	}
	return 0
}
