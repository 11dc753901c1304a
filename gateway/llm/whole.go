package llm

import (
	"bytes"

	"github.com/nantian-gw/nantian/ai"
)

// isJSON says whether a provider that was asked for a stream sent one value.
func isJSON(contentType []byte) bool {
	mime, _, _ := bytes.Cut(contentType, []byte(";"))
	return bytes.EqualFold(bytes.TrimSpace(mime), []byte(jsonType))
}

// whole streams an answer that came in one piece, as providers send it that do not stream.
func (s *stream) whole() *failure {
	if f := s.readAnswer(); f != nil {
		return f
	}
	done, err := s.ax.Target.Provider.DecodeCompletion(&s.ax, s.body)
	if err != nil {
		return misread(err)
	}
	evs := appendEvents(s.evs[:0], done)
	s.tally.addEvents(evs)
	s.bypass = nil
	from := len(s.out)
	if s.out, err = s.encoder().AppendEvents(s.out, evs); err != nil {
		s.out = s.out[:from] // no guard has seen it, and another target may answer
		return nonsense("the provider's answer cannot be translated")
	}
	if f := s.shielded(&s.out, from); f != nil {
		return f
	}
	if f := s.finish(); f != nil {
		return f
	}
	now := s.h.llm.Now()
	s.mark(now)
	s.flush(now)
	return nil
}

// appendEvents takes a whole answer apart: the reverse of ai.Collect.
func appendEvents(dst []ai.Event, c *ai.Completion) []ai.Event {
	dst = append(dst, ai.Event{Kind: ai.EventStart, ID: []byte(c.ID), Name: []byte(c.Model)})
	for i := range c.Choices {
		dst = appendChoice(dst, &c.Choices[i])
	}
	return dst
}

func appendChoice(dst []ai.Event, c *ai.Choice) []ai.Event {
	calls := 0
	for n := range c.Parts {
		p := &c.Parts[n]
		e := ai.Event{Choice: c.Index, Part: n, Text: []byte(p.Text)}
		switch p.Kind {
		case ai.PartText:
			e.Kind = ai.EventText
		case ai.PartImage:
			e.Kind, e.Name, e.Text = ai.EventImage, []byte(p.Media.MIME), []byte(p.Media.Data)
		case ai.PartRefusal:
			e.Kind = ai.EventRefusal
		case ai.PartReasoning:
			dst = appendReasoning(dst, e, p)
			continue
		case ai.PartToolCall:
			dst = appendToolCall(dst, e, p.Call, calls)
			calls++
			continue
		default:
			continue
		}
		dst = append(dst, e)
	}
	if len(c.Logprobs) > 0 {
		dst = append(dst, ai.Event{Kind: ai.EventLogprobs, Choice: c.Index, Raw: c.Logprobs})
	}
	return append(dst, ai.Event{Kind: ai.EventFinish, Choice: c.Index, Finish: c.Finish, StopSequence: c.StopSequence})
}

func appendReasoning(dst []ai.Event, e ai.Event, p *ai.Part) []ai.Event {
	if p.Text != "" {
		e.Kind = ai.EventReasoning
		dst = append(dst, e)
	}
	if p.Signature != "" {
		e.Kind, e.Text, e.Redacted = ai.EventSignature, []byte(p.Signature), p.Redacted
		dst = append(dst, e)
	}
	return dst
}

func appendToolCall(dst []ai.Event, e ai.Event, c *ai.ToolCall, index int) []ai.Event {
	e.Kind, e.Call, e.ID, e.Name, e.Text = ai.EventToolStart, index, []byte(c.ID), []byte(c.Name), nil
	dst = append(dst, e)
	e.Kind, e.ID, e.Name, e.Text = ai.EventToolDelta, nil, nil, []byte(c.Arguments)
	return append(dst, e)
}
