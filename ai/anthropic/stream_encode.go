package anthropic

import (
	"bytes"
	"errors"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// maxHeld bounds what waits for the block before it to end, in bytes.
const maxHeld = 8 << 20

var (
	errHeld  = errors.New("deltas of parallel tool calls that interleave exceed 8 MiB")
	errAfter = errors.New("a delta of a tool call came after its arguments were complete and another block had begun")
)

// streamEncoder writes one stream. Its blocks follow one another, while other vendors may interleave the deltas of parallel
// tool calls. So a call stays open until its arguments are a whole JSON object, and what comes for others meanwhile is
// held. Otherwise a delta for another block closes the open one.
type streamEncoder struct {
	x              *ai.Exchange
	begun, failed  bool
	refused, calls bool
	// next is the index of the next block.
	next int
	open streamBlock
	// held is empty unless open is a call with incomplete arguments.
	held []heldBlock
	size int

	finish   ai.Finish
	sequence string
}

// streamBlock is what the events of one content block have in common.
type streamBlock struct {
	kind       ai.PartKind // 0: none
	redacted   bool
	part, call int
	// signed says that a thinking block has its signature.
	signed bool
	args   argScan
}

type heldBlock struct {
	streamBlock
	id, name        string
	text, signature []byte
}

// NewEncoder starts a stream of Messages events.
func (Dialect) NewEncoder(x *ai.Exchange) ai.StreamEncoder { return &streamEncoder{x: x} }

// AppendEvents appends the events as frames. Only choice 0 is shown: a client of this dialect cannot ask for more.
func (s *streamEncoder) AppendEvents(dst []byte, evs []ai.Event) ([]byte, error) {
	var err error
	for i := range evs {
		if s.failed || evs[i].Choice != 0 {
			continue
		}
		if dst, err = s.event(dst, &evs[i]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func (s *streamEncoder) event(dst []byte, e *ai.Event) ([]byte, error) {
	switch e.Kind {
	case ai.EventStart:
		return s.start(dst, e.ID, e.Name), nil
	case ai.EventError:
		return s.AppendError(dst, e.Err), nil
	case ai.EventPing:
		return s.AppendKeepAlive(dst), nil
	case ai.EventFinish:
		s.finish, s.sequence = e.Finish, e.StopSequence
		return s.release(dst, true), nil
	case ai.EventLogprobs:
		return dst, nil
	case ai.EventImage:
		return dst, ai.Inexpressible("an image")
	}
	b := blockOf(e)
	s.refused = s.refused || e.Kind == ai.EventRefusal
	s.calls = s.calls || e.Kind == ai.EventToolStart
	dst = s.start(dst, nil, nil)
	if s.open.unfinished() && !s.open.same(&b) {
		return dst, s.hold(&b, e)
	}
	return s.write(dst, &b, e)
}

func blockOf(e *ai.Event) streamBlock {
	b := streamBlock{kind: ai.PartText, part: e.Part}
	switch e.Kind {
	case ai.EventReasoning:
		b.kind = ai.PartReasoning
	case ai.EventSignature:
		b.kind, b.redacted = ai.PartReasoning, e.Redacted
	case ai.EventToolStart, ai.EventToolDelta:
		b.kind, b.call = ai.PartToolCall, e.Call
	}
	return b
}

// same says whether b is the same block. Calls are told apart by their number, all else by its part.
func (o *streamBlock) same(b *streamBlock) bool {
	if o.kind != b.kind || o.redacted != b.redacted {
		return false
	}
	if o.kind == ai.PartToolCall {
		return o.call == b.call
	}
	return o.part == b.part
}

func (o *streamBlock) unfinished() bool { return o.kind == ai.PartToolCall && !o.args.whole() }

// write appends an event to the open block, or to a new one.
func (s *streamEncoder) write(dst []byte, b *streamBlock, e *ai.Event) ([]byte, error) {
	fits := s.open.same(b) && !(s.open.signed && e.Kind == ai.EventReasoning)
	switch e.Kind {
	case ai.EventToolStart:
		return s.begin(dst, b, e.ID, e.Name), nil
	case ai.EventToolDelta:
		if !fits {
			return dst, late(e.Text)
		}
		return s.release(s.arguments(dst, e.Text), false), nil
	case ai.EventSignature:
		if e.Redacted {
			return s.begin(dst, b, e.Text, nil), nil
		}
	}
	if !fits {
		dst = s.begin(dst, b, nil, nil)
	}
	if e.Kind == ai.EventSignature {
		s.open.signed = true
		return s.delta(dst, signatureDelta, e.Text), nil
	}
	return s.delta(dst, deltaOf(b.kind), e.Text), nil
}

// late is the error for arguments whose block has ended; white space is no loss.
func late(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	return errAfter
}

func deltaOf(k ai.PartKind) string {
	if k == ai.PartReasoning {
		return thinkingDelta
	}
	return textDelta
}

// The deltas up to the text within the quotes.
const (
	textDelta      = `{"type":"text_delta","text":"`
	thinkingDelta  = `{"type":"thinking_delta","thinking":"`
	signatureDelta = `{"type":"signature_delta","signature":"`
	inputDelta     = `{"type":"input_json_delta","partial_json":"`
)

func (s *streamEncoder) delta(dst []byte, kind string, text []byte) []byte {
	dst = append(dst, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	dst = jsonscan.AppendInt(dst, s.next-1)
	dst = append(append(dst, `,"delta":`...), kind...)
	dst = jsonscan.AppendEscaped(dst, text)
	return append(dst, "\"}}\n\n"...)
}

func (s *streamEncoder) arguments(dst, text []byte) []byte {
	s.open.args.add(text)
	return s.delta(dst, inputDelta, text)
}

// begin closes the open block and opens b. A call has an id and a name; a redacted thought has its data for an id.
func (s *streamEncoder) begin(dst []byte, b *streamBlock, id, name []byte) []byte {
	dst = s.close(dst)
	dst = append(dst, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"...)
	dst = jsonscan.AppendInt(dst, s.next)
	dst = append(dst, `,"content_block":`...)
	switch {
	case b.redacted:
		dst = jsonscan.AppendQuoted(append(dst, `{"type":"redacted_thinking","data":`...), id)
	case b.kind == ai.PartReasoning:
		dst = append(dst, `{"type":"thinking","thinking":"","signature":""`...)
	case b.kind == ai.PartToolCall:
		dst = jsonscan.AppendQuoted(append(dst, `{"type":"tool_use","id":`...), id)
		dst = jsonscan.AppendQuoted(append(dst, `,"name":`...), name)
		dst = append(dst, `,"input":{}`...)
	default:
		dst = append(dst, `{"type":"text","text":""`...)
	}
	s.open = *b
	s.next++
	return append(dst, "}}\n\n"...)
}

// close ends the open block.
func (s *streamEncoder) close(dst []byte) []byte {
	if s.open.kind == 0 {
		return dst
	}
	s.open = streamBlock{}
	dst = append(dst, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
	dst = jsonscan.AppendInt(dst, s.next-1)
	return append(dst, "}\n\n"...)
}

// start opens the message once. Of usage it can show only what the provider has said so far; message_delta has the truth.
func (s *streamEncoder) start(dst, id, name []byte) []byte {
	if s.begun {
		return dst
	}
	s.begun = true
	if len(name) == 0 {
		name = []byte(s.x.Request.Model)
	}
	dst = append(dst, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
	dst = appendHead(dst, id, name)
	dst = append(dst, `,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{`...)
	dst = appendUsage(dst, &s.x.Usage)
	return append(dst, "}}}\n\n"...)
}

// AppendEnd appends message_delta with the final usage, and message_stop.
func (s *streamEncoder) AppendEnd(dst []byte) []byte {
	if s.failed {
		return dst
	}
	dst = s.start(dst, nil, nil)
	dst = s.close(s.release(dst, true))
	if s.finish == "" {
		s.finish = s.x.Finish
	}
	dst = append(dst, `event: message_delta
data: {"type":"message_delta","delta":{`...)
	dst = appendStop(dst, settled(s.finish, s.refused, s.calls), s.sequence)
	dst = append(dst, `},"usage":{`...)
	dst = appendUsage(dst, &s.x.Usage)
	return append(dst, "}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}

// settled is the reason to show. Some vendors end refusals and tool calls as if they were ordinary text.
func settled(f ai.Finish, refused, calls bool) ai.Finish {
	switch {
	case f != ai.FinishStop && f != "":
		return f
	case refused:
		return ai.FinishRefusal
	case calls:
		return ai.FinishTools
	}
	return ai.FinishStop
}

// AppendError appends an error event. Anthropic's SDKs raise it; nothing follows it.
func (s *streamEncoder) AppendError(dst []byte, e *ai.Error) []byte {
	s.failed = true
	dst = Dialect{}.AppendError(append(dst, "event: error\ndata: "...), e)
	return append(dst, "\n\n"...)
}

// AppendKeepAlive appends a ping, which may come at any time.
func (s *streamEncoder) AppendKeepAlive(dst []byte) []byte {
	return append(dst, "event: ping\ndata: {\"type\":\"ping\"}\n\n"...)
}
