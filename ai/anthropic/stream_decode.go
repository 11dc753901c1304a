package anthropic

import (
	"errors"
	"fmt"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// maxBlocks bounds the content blocks of one answer, and so the memory of a stream.
const maxBlocks = 1 << 14

// decoder decodes one stream. Blocks of server tools have no canonical event and are left out; a client of this schema gets
// them by bypass.
type decoder struct {
	x      *ai.Exchange
	n      counts
	blocks []openBlock
	// parts and calls number what has begun.
	parts, calls int
	done         bool
	// room holds the texts of one frame that had to be unescaped.
	room []byte
}

// openBlock is a block by its index in the stream.
type openBlock struct {
	kind       ai.PartKind // 0: left out
	part, call int
	// filled says that a call has got arguments.
	filled, closed bool
}

// NewStream starts to decode the stream of x.
func (Provider) NewStream(x *ai.Exchange) ai.StreamDecoder { return &decoder{x: x} }

// Done says whether message_stop has come.
func (d *decoder) Done() bool { return d.done }

// Decode understands https://platform.claude.com/docs/en/build-with-claude/streaming. Unknown events are ignored, as the
// API's versioning policy asks for.
func (d *decoder) Decode(f ai.Frame, dst []ai.Event) ([]ai.Event, error) {
	d.room = d.room[:0]
	if err := jsonscan.Valid(f.Data); err != nil {
		return dst, fmt.Errorf("stream of Anthropic: %w", err)
	}
	v := jsonscan.Trim(f.Data)
	var raw, index, delta []byte
	for k, m := range jsonscan.Fields(v) {
		switch string(k) {
		case "type":
			raw = m
		case "index":
			index = m
		case "delta":
			delta = m
		}
	}
	switch typ := d.view(raw); string(typ) {
	case "content_block_delta":
		return d.delta(index, delta, dst)
	case "content_block_start":
		return d.start(index, jsonscan.Get(v, "content_block"), dst)
	case "content_block_stop":
		return d.stop(index, dst)
	case "message_start":
		return d.open(jsonscan.Get(v, "message"), dst), nil
	case "message_delta":
		d.usage(jsonscan.Get(v, "usage"))
		return d.finish(delta, dst), nil
	case "message_stop":
		d.done = true
	case "ping":
		dst = append(dst, ai.Event{Kind: ai.EventPing})
	case "error":
		dst = append(dst, ai.Event{Kind: ai.EventError, Err: streamError(v)})
	}
	return dst, nil
}

// view is the text of a string, valid until the next frame.
func (d *decoder) view(raw []byte) []byte { return jsonscan.View(raw, &d.room) }

func (d *decoder) open(message []byte, dst []ai.Event) []ai.Event {
	d.usage(jsonscan.Get(message, "usage"))
	id, model := d.view(jsonscan.Get(message, "id")), d.view(jsonscan.Get(message, "model"))
	return append(dst, ai.Event{Kind: ai.EventStart, ID: id, Name: model})
}

func (d *decoder) usage(v []byte) {
	d.n.read(v)
	d.n.settle(&d.x.Usage)
}

func (d *decoder) finish(delta []byte, dst []ai.Event) []ai.Event {
	reason := jsonscan.Get(delta, "stop_reason")
	if jsonscan.Kind(reason) != jsonscan.String {
		return dst
	}
	d.x.Finish = finish(reason)
	explained := jsonscan.Get(jsonscan.Get(delta, "stop_details"), "explanation")
	if d.x.Finish == ai.FinishRefusal && d.parts == 0 && len(explained) > len(`""`) && !jsonscan.IsNull(explained) {
		dst = append(dst, ai.Event{Kind: ai.EventRefusal, Text: d.view(explained)})
	}
	return append(dst, ai.Event{
		Kind:         ai.EventFinish,
		Finish:       d.x.Finish,
		StopSequence: jsonscan.Text(jsonscan.Get(delta, "stop_sequence")),
	})
}

// block finds the open block that an event belongs to.
func (d *decoder) block(index []byte) (*openBlock, error) {
	i, ok := jsonscan.Int(index)
	if !ok || i < 0 || i >= int64(len(d.blocks)) || d.blocks[i].closed {
		return nil, errNoBlock
	}
	return &d.blocks[i], nil
}

var errNoBlock = errors.New("stream of Anthropic: an event has an index of no open content block")

// start opens a block. Its index must follow the one before, as Anthropic's own SDKs demand.
func (d *decoder) start(index, block []byte, dst []ai.Event) ([]ai.Event, error) {
	i, ok := jsonscan.Int(index)
	if !ok || i != int64(len(d.blocks)) || i >= maxBlocks {
		return dst, fmt.Errorf("stream of Anthropic: content_block_start must have index %d, below %d", len(d.blocks), maxBlocks)
	}
	b := openBlock{part: d.parts, call: d.calls}
	switch typ := d.view(jsonscan.Get(block, "type")); string(typ) {
	case "text":
		b.kind = ai.PartText
		dst = d.piece(&b, ai.EventText, jsonscan.Get(block, "text"), dst)
	case "thinking":
		b.kind = ai.PartReasoning
		dst = d.piece(&b, ai.EventReasoning, jsonscan.Get(block, "thinking"), dst)
		dst = d.piece(&b, ai.EventSignature, jsonscan.Get(block, "signature"), dst)
	case "redacted_thinking":
		b.kind = ai.PartReasoning
		data := d.view(jsonscan.Get(block, "data"))
		dst = append(dst, ai.Event{Kind: ai.EventSignature, Part: b.part, Redacted: true, Text: data})
	case "tool_use":
		b.kind = ai.PartToolCall
		dst = d.call(&b, block, dst)
		d.calls++
	}
	if b.kind != 0 {
		d.parts++
	}
	d.blocks = append(d.blocks, b)
	return dst, nil
}

func (d *decoder) call(b *openBlock, block []byte, dst []ai.Event) []ai.Event {
	id, name := d.view(jsonscan.Get(block, "id")), d.view(jsonscan.Get(block, "name"))
	dst = append(dst, ai.Event{Kind: ai.EventToolStart, Part: b.part, Call: b.call, ID: id, Name: name})
	if input := jsonscan.Get(block, "input"); jsonscan.Kind(input) == jsonscan.Object && !isEmpty(input) {
		b.filled = true
		dst = append(dst, ai.Event{Kind: ai.EventToolDelta, Part: b.part, Call: b.call, Text: input})
	}
	return dst
}

// piece appends a delta unless it is empty.
func (d *decoder) piece(b *openBlock, kind ai.EventKind, raw []byte, dst []ai.Event) []ai.Event {
	if len(raw) <= len(`""`) || raw[0] != '"' {
		return dst
	}
	return append(dst, ai.Event{Kind: kind, Part: b.part, Text: d.view(raw)})
}

func (d *decoder) delta(index, delta []byte, dst []ai.Event) ([]ai.Event, error) {
	b, err := d.block(index)
	if err != nil || b.kind == 0 {
		return dst, err
	}
	var raw, text []byte
	for k, m := range jsonscan.Fields(delta) {
		switch string(k) {
		case "type":
			raw = m
		case "text", "thinking", "signature", "partial_json":
			text = m
		}
	}
	switch typ := d.view(raw); string(typ) {
	case "text_delta":
		dst = d.piece(b, ai.EventText, text, dst)
	case "thinking_delta":
		dst = d.piece(b, ai.EventReasoning, text, dst)
	case "signature_delta":
		dst = d.piece(b, ai.EventSignature, text, dst)
	case "input_json_delta":
		before := len(dst)
		if dst = d.piece(b, ai.EventToolDelta, text, dst); len(dst) > before {
			dst[before].Call, b.filled = b.call, true
		}
	}
	return dst, nil
}

// stop closes a block. A call without arguments gets the empty object that Anthropic announced at its start.
func (d *decoder) stop(index []byte, dst []ai.Event) ([]ai.Event, error) {
	b, err := d.block(index)
	if err != nil {
		return dst, err
	}
	b.closed = true
	if b.kind == ai.PartToolCall && !b.filled {
		dst = append(dst, ai.Event{Kind: ai.EventToolDelta, Part: b.part, Call: b.call, Text: []byte("{}")})
	}
	return dst, nil
}

// streamError is an error event, {"type":"error","error":{"type","message"}}; its status follows from its type.
func streamError(v []byte) *ai.Error {
	e := &ai.Error{Upstream: true}
	fillError(e, v)
	e.Status = errorStatus(e.Type)
	if e.Message == "" {
		e.Message = "the provider ended the stream with an error"
	}
	return e
}
