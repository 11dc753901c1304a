package llm

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/ndjson"
	"github.com/nantian-gw/nantian/ai/sse"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// errMore says that the frames at hand are used up and the next would have to be waited for.
var errMore = errors.New("no frame at hand")

// source cuts the body of an answer into frames. It has one owner.
type source struct {
	body exchange.Body
	rest []byte
	// wait allows a read to wait for the provider.
	wait    bool
	framing ai.Framing
	sse     sse.Scanner
	lines   ndjson.Scanner
}

func (r *source) reset(body exchange.Body, f ai.Framing) {
	r.body, r.rest, r.framing = body, nil, f
	if body.Stream == nil {
		r.rest = body.Bytes
	}
	r.sse.Reset()
	r.lines.Reset()
}

// next gives the next frame, valid until the next call. With wait it waits until the deadline (os.ErrDeadlineExceeded),
// else it gives errMore when it would have to.
func (r *source) next(wait bool) (ai.Frame, error) {
	r.wait = wait
	if r.framing == ai.NDJSON {
		return r.lines.Next(r)
	}
	return r.sse.Next(r)
}

// Read implements io.Reader for the scanners.
func (r *source) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		if !r.wait && !buffered(r.body.Stream) {
			return 0, errMore
		}
		piece, err := r.pull()
		if err != nil {
			return 0, err
		}
		r.rest = piece
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// buffered says that the next piece of a body is there: what comes together goes out together.
func buffered(s exchange.Stream) bool {
	b, ok := s.(interface{ Buffered() bool })
	return ok && b.Buffered()
}

func (r *source) pull() ([]byte, error) {
	if r.body.Stream == nil {
		return nil, io.EOF
	}
	return r.body.Stream.Next()
}

// deadline bounds the next waits. A body that cannot be told is bounded by its own timeout.
func (r *source) deadline(t time.Time) {
	if d, ok := r.body.Stream.(exchange.Deadliner); ok {
		d.SetDeadline(t)
	}
}

// lull is how long a stream that has said that it is complete may take to end, and how long a frame may take that should
// have come long ago.
const lull = 20 * time.Millisecond

// drain reads what follows the end of an answer, so that its connection can be used again.
func (r *source) drain() {
	if _, ok := r.body.Stream.(exchange.Deadliner); !ok {
		return
	}
	r.deadline(time.Now().Add(lull))
	for range 16 {
		if _, err := r.body.Stream.Next(); err != nil {
			return
		}
	}
}

// canceler ends the call of a stream when its client leaves or its body is closed.
type canceler struct{ ctx context.Context }

// Context implements upstream.Canceler.
func (k canceler) Context() context.Context { return k.ctx }

var _ upstream.Canceler = canceler{}
