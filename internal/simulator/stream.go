package simulator

import (
	"bytes"
	"errors"
	"io"
)

type eventKind uint8

// The events of an answer, in this order; those from eventChoice to eventFinish for each choice, those from eventOpen to
// eventClose for each of its blocks. Each becomes at most one event on the wire.
const (
	eventStart eventKind = iota
	eventChoice
	eventOpen
	eventPing // once, after the first block opens
	eventDelta
	eventSignature // of a thought
	eventClose
	eventFinish
	eventUsage
	eventEnd
)

// event is one step of a streamed answer.
type event struct {
	kind   eventKind
	choice int
	index  int // of the block within the choice
	block  *block
	data   []byte // eventDelta: the next piece
	sent   int    // pieces so far, of thoughts not
}

// cursor walks the events of an answer.
type cursor struct {
	at     event
	offset int // of the next piece within the block
	begun  bool
}

// next moves to the next event; false after eventEnd.
func (cu *cursor) next(c *call) bool {
	if !cu.begun {
		cu.begun = true
		return true
	}
	e := &cu.at
	switch e.kind {
	case eventStart:
		e.kind = eventChoice
	case eventChoice, eventClose:
		cu.openBlock(c)
	case eventOpen, eventPing, eventDelta:
		cu.advance()
	case eventSignature:
		e.kind = eventClose
	case eventFinish:
		if e.choice++; e.choice < len(c.choices) {
			e.kind, e.index, e.block = eventChoice, 0, nil
		} else {
			e.kind = eventUsage
		}
	case eventUsage:
		e.kind = eventEnd
	default:
		return false
	}
	return true
}

// openBlock moves to the next block of the choice, or to its end.
func (cu *cursor) openBlock(c *call) {
	e := &cu.at
	if e.kind == eventClose {
		e.index++
	}
	blocks := c.of(&c.choices[e.choice])
	if e.index >= len(blocks) {
		e.kind, e.block = eventFinish, nil
		return
	}
	e.kind, e.block, cu.offset = eventOpen, &blocks[e.index], 0
}

// advance moves within a block: ping, pieces, signature, close.
func (cu *cursor) advance() {
	e := &cu.at
	if e.kind == eventOpen && e.choice == 0 && e.index == 0 {
		e.kind = eventPing
		return
	}
	if rest := e.block.data[cu.offset:]; len(rest) > 0 {
		n := piece(rest)
		e.kind, e.data = eventDelta, rest[:n]
		cu.offset += n
		if e.block.kind != blockThought {
			e.sent++
		}
		return
	}
	e.kind, e.data = eventClose, nil
	if e.block.kind == blockThought {
		e.kind = eventSignature
	}
}

var (
	errCut  = errors.New("simulator: the stream was told to break off")
	errGone = errors.New("simulator: the client left")
)

// puller is the body of a streamed answer: each Read gives one event, which fasthttp sends as one chunk.
type puller struct {
	c      *call
	wire   streamer
	cur    cursor
	watch  watch
	count  int  // events written
	spoken bool // an event with content was written
	broken bool // the malformed event was written
	ended  bool // by its own doing
	rest   []byte
}

var _ io.ReadCloser = (*puller)(nil)

// Read gives the next event, after the delays asked for.
func (p *puller) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.ended {
			return 0, io.EOF
		}
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// fill puts the next event into rest, if it shows on the wire.
func (p *puller) fill() error {
	c := p.c
	if p.due(c.d.cutAfter) {
		p.ended = true
		return errCut
	}
	if p.due(c.d.hangAfter) {
		return p.watch.silence(c)
	}
	if p.due(c.d.errorAfter) {
		p.ended = true
		p.rest = p.wire.appendStreamError(c.out[:0], c, c.streamError())
		return nil
	}
	if !p.cur.next(c) {
		p.ended = true
		return nil
	}
	if err := p.pause(); err != nil {
		return err
	}
	c.out = p.wire.appendEvent(c.out[:0], c, &p.cur.at)
	if len(c.out) == 0 {
		return nil
	}
	if !p.broken && p.due(c.d.malformedAfter) {
		p.broken = true
		breakJSON(c.out)
	}
	p.count++
	p.rest = c.out
	return nil
}

// due tells whether a fault that was asked for after some events is to happen now.
func (p *puller) due(after int) bool {
	k, ok := given(after)
	return ok && p.count >= k
}

// pause waits before an event with content.
func (p *puller) pause() error {
	e := &p.cur.at
	if e.kind != eventDelta && (e.kind != eventOpen || e.block.kind != blockTool) {
		return nil
	}
	wait := p.c.d.delay
	if !p.spoken {
		p.spoken = true
		wait = p.c.d.firstToken
	}
	return p.watch.sleep(p.c, wait)
}

// Close ends the answer; fasthttp calls it whether the stream was sent in full or not.
func (p *puller) Close() error {
	c := p.c
	p.watch.stop()
	c.s.open.Add(-1)
	if !p.ended {
		c.s.cancelled.Add(1)
	}
	c.release()
	return nil
}

// breakJSON damages the last object in b.
func breakJSON(b []byte) {
	if i := bytes.LastIndexByte(b, '}'); i >= 0 {
		b[i] = ' '
	}
}
