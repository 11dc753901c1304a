package filter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// maxQueued bounds what a mirror may lag behind, in bytes.
const maxQueued = 256 << 10

// pipe carries a copy of a body to its mirror. Its writer never waits: a reader that lags too far behind loses the body.
type pipe struct {
	ctx   context.Context
	ready chan struct{} // holds a token when there may be something to read

	mu     sync.Mutex
	pieces [][]byte
	size   int
	err    error // set once: io.EOF when the body is whole
}

var _ exchange.Stream = (*pipe)(nil)

var (
	errLag    = errors.New("the mirror reads too slowly")
	errAbort  = errors.New("the request was given up")
	errClosed = errors.New("the mirror closed the body")
)

func newPipe(ctx context.Context) *pipe { return &pipe{ctx: ctx, ready: make(chan struct{}, 1)} }

// write queues a copy of b.
func (p *pipe) write(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	if p.size+len(b) > maxQueued {
		p.fail(errLag)
		return
	}
	p.pieces, p.size = append(p.pieces, bytes.Clone(b)), p.size+len(b)
	p.wake()
}

// end says that nothing more comes; the first call counts.
func (p *pipe) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
	case isEOF(err):
		p.err = io.EOF
		p.wake()
	default:
		p.fail(err)
	}
}

func (p *pipe) fail(err error) {
	p.err, p.pieces, p.size = err, nil, 0
	p.wake()
}

func (p *pipe) wake() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// Next waits for the next piece, for as long as the mirrored request has time.
func (p *pipe) Next() ([]byte, error) {
	for {
		p.mu.Lock()
		if len(p.pieces) > 0 {
			b := p.pieces[0]
			p.pieces, p.size = p.pieces[1:], p.size-len(b)
			p.mu.Unlock()
			return b, nil
		}
		err := p.err
		p.mu.Unlock()
		if err != nil {
			return nil, err
		}
		select {
		case <-p.ready:
		case <-p.ctx.Done():
			return nil, p.ctx.Err()
		}
	}
}

// Close makes the writer stop to copy.
func (p *pipe) Close() error {
	p.end(errClosed)
	return nil
}

func (p *pipe) lagged() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Is(p.err, errLag)
}

// tee copies what is read of a body into a pipe. It reads nothing that its own reader does not ask for.
type tee struct {
	exchange.Stream
	pipe *pipe
	left int64 // bytes to come; negative: not known
}

// deadlineTee is a tee over a stream that is a Deadliner.
type deadlineTee struct {
	tee
	deadliner exchange.Deadliner
}

var (
	_ exchange.Stream      = (*tee)(nil)
	_ exchange.Interrupter = (*tee)(nil)
	_ exchange.Deadliner   = (*deadlineTee)(nil)
)

func newTee(s exchange.Stream, p *pipe, length int64) exchange.Stream {
	t := tee{Stream: s, pipe: p, left: length}
	if d, ok := s.(exchange.Deadliner); ok {
		return &deadlineTee{tee: t, deadliner: d}
	}
	return &t
}

func (t *tee) Next() ([]byte, error) {
	b, err := t.Stream.Next()
	if len(b) > 0 {
		t.pipe.write(b)
		// A reader that knows the length need not ask for the end.
		if t.left > 0 {
			if t.left -= int64(len(b)); t.left <= 0 {
				t.pipe.end(io.EOF)
			}
		}
	}
	if err != nil && !isTimeout(err) {
		t.pipe.end(err)
	}
	return b, err
}

// Close ends the copy as well: a body that was not read to its end has no whole copy.
func (t *tee) Close() error {
	t.pipe.end(errAbort)
	return t.Stream.Close()
}

// Interrupt implements exchange.Interrupter, as far as the stream does.
func (t *tee) Interrupt() {
	if i, ok := t.Stream.(exchange.Interrupter); ok {
		i.Interrupt()
	}
}

func (t *deadlineTee) SetDeadline(at time.Time) { t.deadliner.SetDeadline(at) }

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// isTimeout says that the stream can be read again.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
