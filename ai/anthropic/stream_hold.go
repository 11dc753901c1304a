package anthropic

import "github.com/nantian-gw/nantian/ai"

// hold keeps an event for later. Deltas of one block are joined, so that what is held grows by content, not by events.
func (s *streamEncoder) hold(b *streamBlock, e *ai.Event) error {
	h := s.heldFor(b, e)
	if h == nil {
		if e.Kind == ai.EventToolDelta {
			return late(e.Text)
		}
		s.held = append(s.held, heldBlock{streamBlock: *b, id: string(e.ID), name: string(e.Name)})
		h = &s.held[len(s.held)-1]
		s.size += len(h.id) + len(h.name) + heldOverhead
	}
	if e.Kind == ai.EventSignature {
		h.signature = append(h.signature, e.Text...)
	} else {
		h.text = append(h.text, e.Text...)
	}
	if s.size += len(e.Text); s.size > maxHeld {
		return errHeld
	}
	return nil
}

// heldOverhead is about what a held block costs beyond its text.
const heldOverhead = 256

// heldFor finds the held block that an event continues: any call, but of other blocks only the last, for their order counts.
func (s *streamEncoder) heldFor(b *streamBlock, e *ai.Event) *heldBlock {
	if e.Kind == ai.EventToolStart || e.Redacted {
		return nil
	}
	for i := len(s.held) - 1; i >= 0; i-- {
		h := &s.held[i]
		if h.same(b) && !(e.Kind == ai.EventReasoning && len(h.signature) > 0) {
			return h
		}
		if b.kind != ai.PartToolCall {
			return nil
		}
	}
	return nil
}

// release appends what is held, as far as the open call is complete; all of it at the end.
func (s *streamEncoder) release(dst []byte, end bool) []byte {
	n := 0
	for n < len(s.held) && (end || !s.open.unfinished()) {
		dst = s.writeHeld(dst, &s.held[n])
		n++
	}
	if n == len(s.held) {
		s.held, s.size = nil, 0
		return dst
	}
	for i := range s.held[:n] {
		s.size -= len(s.held[i].id) + len(s.held[i].name) + len(s.held[i].text) + len(s.held[i].signature) + heldOverhead
	}
	s.held = append([]heldBlock(nil), s.held[n:]...)
	return dst
}

func (s *streamEncoder) writeHeld(dst []byte, h *heldBlock) []byte {
	switch {
	case h.kind == ai.PartToolCall:
		dst = s.begin(dst, &h.streamBlock, []byte(h.id), []byte(h.name))
		if len(h.text) > 0 {
			dst = s.arguments(dst, h.text)
		}
		return dst
	case h.redacted:
		return s.begin(dst, &h.streamBlock, h.signature, nil)
	}
	dst = s.begin(dst, &h.streamBlock, nil, nil)
	if len(h.text) > 0 {
		dst = s.delta(dst, deltaOf(h.kind), h.text)
	}
	if len(h.signature) > 0 {
		s.open.signed = true
		dst = s.delta(dst, signatureDelta, h.signature)
	}
	return dst
}

// argScan follows the text of a JSON object as it comes in pieces.
type argScan struct {
	depth                      int
	begun, quoted, escaped, ok bool
}

// whole says whether the object has ended. What does not begin with a brace never does.
func (a *argScan) whole() bool { return a.ok }

func (a *argScan) add(text []byte) {
	for _, x := range text {
		switch {
		case a.escaped:
			a.escaped = false
		case a.quoted && x == '\\':
			a.escaped = true
		case x == '"':
			a.quoted = !a.quoted
		case a.quoted:
		case x == '{' || x == '[':
			a.depth++
			a.begun = true
		case x == '}' || x == ']':
			a.depth--
			a.ok = a.begun && a.depth <= 0
		}
	}
}
