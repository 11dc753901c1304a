package anthropic

import (
	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// ReadPlain implements ai.Dialect. It takes members that say nothing to the model for granted; what is wrong with them is for
// DecodeChat to say, or for the provider.
func (Dialect) ReadPlain(op ai.Op, body []byte, p *ai.Plain) bool {
	var system, messages []byte
	for k, v := range jsonscan.Fields(jsonscan.Trim(body)) {
		switch string(k) {
		case "system":
			system = v
		case "messages":
			messages = v
		case "tools", "mcp_servers", "container", "context_management", "output_config", "output_format":
			if !jsonscan.IsNull(v) {
				return false
			}
		}
	}
	if system != nil && !jsonscan.IsNull(system) && !plainSystem(p, system) || jsonscan.Kind(messages) != jsonscan.Array {
		return false
	}
	before := len(p.Messages)
	for m := range jsonscan.Elems(messages) {
		if !plainMessage(p, m) {
			return false
		}
	}
	return len(p.Messages) > before
}

// plainSystem reads what comes before all messages. An empty text, or none, is no message.
func plainSystem(p *ai.Plain, v []byte) bool {
	m := p.Add(ai.RoleSystem)
	if !p.Content(m, v) {
		return false
	}
	if len(m.Texts) == 0 {
		p.Messages = p.Messages[:len(p.Messages)-1]
		return jsonscan.Kind(v) == jsonscan.String // blocks without text are for DecodeChat
	}
	return true
}

func plainMessage(p *ai.Plain, v []byte) bool {
	m := p.Add(0)
	var content []byte
	for k, v := range jsonscan.Fields(v) {
		switch string(k) {
		case "role":
			role, err := readRole(v)
			if err != nil {
				return false
			}
			m.Role = role
		case "content":
			content = v
		default:
			if !jsonscan.IsNull(v) {
				return false
			}
		}
	}
	return m.Role != 0 && p.Content(m, content)
}
