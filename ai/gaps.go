package ai

import "strconv"

// Gaps gathers what a provider cannot honour of one request, in the client's own words. The parameters are given in
// OpenAI's words and translated for clients of other schemas. It belongs to one call of EncodeRequest.
type Gaps struct {
	client  Schema
	refused []string
	left    []string
}

// NewGaps starts to gather for the client of x.
func NewGaps(x *Exchange) Gaps { return Gaps{client: x.Client.Schema()} }

// Refuse notes a parameter that changes the answer and cannot be honoured.
func (g *Gaps) Refuse(param string) { g.refused = add(g.refused, g.word(param)) }

// Leave notes a hint that changes cost or book-keeping but not the answer (cache_control, metadata): the request goes
// on without it, and Dropped names it.
func (g *Gaps) Leave(param string) { g.left = add(g.left, g.word(param)) }

// thoughts is OpenAI's name of the reasoning in earlier turns, whichever of its fields holds it.
const thoughts = "messages[].reasoning_content"

// LeaveThought notes reasoning of an earlier turn that the provider does not take, or cannot read because another vendor
// signed it. It is left out, so that a conversation can go on after a fallback to another vendor.
func (g *Gaps) LeaveThought(p *Part) {
	if p.Text != "" || p.Signature != "" {
		g.Leave(thoughts)
	}
}

// LeaveCitations notes the sources of what the model said in an earlier turn: the texts alone pass to another vendor.
func (g *Gaps) LeaveCitations(m *Message) {
	for i := range m.Parts {
		if m.Parts[i].Kind == PartText && len(m.Parts[i].Annotations) > 0 {
			g.Leave("messages[].content[].citations")
		}
	}
}

// Extras notes the fields that nobody here knows. Those that only name or cache the request are hints.
func (g *Gaps) Extras(extra []Field) {
	for _, f := range extra {
		switch f.Name {
		case "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "cache_control", "diagnostics":
			g.Leave(f.Name)
		default:
			g.Refuse(f.Name)
		}
	}
}

// RefusePart notes a part of a message that cannot be sent.
func (g *Gaps) RefusePart(c *Chat, message, part int) {
	g.refused = add(g.refused, g.path(c, message, part))
}

// Err settles the gathered parameters: x.Dropped lists what is left out. Without Drop a refused one is an *Unsupported.
func (g *Gaps) Err(x *Exchange, provider Schema) error {
	x.Dropped = append(x.Dropped[:0], g.left...)
	if len(g.refused) == 0 {
		return nil
	}
	if !x.Target.Drop {
		return &Unsupported{Provider: provider, Params: g.refused}
	}
	x.Dropped = append(x.Dropped, g.refused...)
	return nil
}

func add(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// word is Anthropic's name of a parameter of OpenAI, https://docs.claude.com/en/api/messages.
func (g *Gaps) word(param string) string {
	if g.client != Anthropic {
		return param
	}
	switch param {
	case "stop":
		return "stop_sequences"
	case "response_format":
		return "output_config.format"
	case "reasoning_effort":
		return "thinking"
	case "parallel_tool_calls":
		return "tool_choice.disable_parallel_tool_use"
	case "user":
		return "metadata.user_id"
	case thoughts:
		return "messages[].content[].thinking"
	}
	return param
}

// path names a part as the client wrote it. An Anthropic client's system prompt stands outside of its messages, and its
// tool results stand in the user's message that the following canonical message continues.
func (g *Gaps) path(c *Chat, message, part int) string {
	kind := c.Messages[message].Parts[part].Kind
	if g.client == Anthropic {
		message, part = anthropicPlace(c, message, part)
	}
	p := "messages[" + strconv.Itoa(message) + "].content[" + strconv.Itoa(part) + "]"
	if w := g.kindWord(kind); w != "" {
		p += "." + w
	}
	return p
}

func anthropicPlace(c *Chat, message, part int) (int, int) {
	at := 0
	for i := range message {
		switch m := c.Messages[i]; {
		case m.Role == RoleSystem && at == 0:
		case m.Role == RoleTool && c.Messages[i+1].Role != RoleAssistant:
			if i+1 == message {
				part += len(m.Parts)
			}
		default:
			at++
		}
	}
	return at, part
}

func (g *Gaps) kindWord(k PartKind) string {
	if g.client == Anthropic {
		switch k {
		case PartImage:
			return "image"
		case PartFile:
			return "document"
		}
		return ""
	}
	switch k {
	case PartImage:
		return "image_url"
	case PartAudio:
		return "input_audio"
	case PartFile:
		return "file"
	}
	return ""
}
