package ai

import "encoding/json"

// Collect makes a whole answer of the events of a complete stream. It fails with the provider's error if one is among
// them. The answer shares no memory with the events.
func Collect(evs []Event) (*Completion, error) {
	c := &Completion{}
	for i := range evs {
		e := &evs[i]
		switch e.Kind {
		case EventError:
			return nil, e.Err
		case EventStart:
			c.ID, c.Model = string(e.ID), string(e.Name)
		case EventPing:
		default:
			choiceOf(c, e.Choice).take(e)
		}
	}
	return c, nil
}

func choiceOf(c *Completion, index int) *Choice {
	for i := range c.Choices {
		if c.Choices[i].Index == index {
			return &c.Choices[i]
		}
	}
	c.Choices = append(c.Choices, Choice{Index: index})
	return &c.Choices[len(c.Choices)-1]
}

func (c *Choice) take(e *Event) {
	switch e.Kind {
	case EventText:
		c.part(PartText, e.Text)
	case EventRefusal:
		c.part(PartRefusal, e.Text)
	case EventReasoning:
		c.part(PartReasoning, e.Text)
	case EventSignature:
		if e.Redacted {
			c.Parts = append(c.Parts, Part{Kind: PartReasoning, Signature: string(e.Text), Redacted: true})
			return
		}
		p := c.part(PartReasoning, nil)
		p.Signature = string(e.Text)
	case EventToolStart:
		call := &ToolCall{ID: string(e.ID), Name: string(e.Name), Custom: e.Custom}
		c.Parts = append(c.Parts, Part{Kind: PartToolCall, Call: call})
	case EventToolDelta:
		c.arguments(e)
	case EventImage:
		c.Parts = append(c.Parts, Part{Kind: PartImage, Media: &Media{MIME: string(e.Name), Data: string(e.Text)}})
	case EventLogprobs:
		c.Logprobs = append(json.RawMessage(nil), e.Raw...)
	case EventFinish:
		c.Finish, c.StopSequence = e.Finish, e.StopSequence
	}
}

// part appends to the last part if it is of that kind and still unsigned, or else begins one.
func (c *Choice) part(kind PartKind, text []byte) *Part {
	if n := len(c.Parts); n > 0 && c.Parts[n-1].Kind == kind && c.Parts[n-1].Signature == "" {
		c.Parts[n-1].Text += string(text)
		return &c.Parts[n-1]
	}
	c.Parts = append(c.Parts, Part{Kind: kind, Text: string(text)})
	return &c.Parts[len(c.Parts)-1]
}

func (c *Choice) arguments(e *Event) {
	n := 0
	for i := range c.Parts {
		if c.Parts[i].Kind != PartToolCall {
			continue
		}
		if n == e.Call {
			c.Parts[i].Call.Arguments += string(e.Text)
			return
		}
		n++
	}
}
