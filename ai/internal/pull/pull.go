// Package pull holds what was read of a stream until it makes a whole frame. It owns how much memory a stream holds: little
// at rest, since thousands of streams idle at once, and never more than a limit.
package pull

import (
	"errors"
	"io"
)

// ErrTooLong is a frame beyond the limit. The stream cannot be continued.
var ErrTooLong = errors.New("a frame of the stream is longer than allowed")

const (
	// small is the size of a buffer at rest; most frames of language models have a few hundred bytes.
	small = 1 << 10
	// large is from where a buffer is given back once its frame is gone.
	large = 8 << 10
	// DefaultMax is the limit where none is given.
	DefaultMax = 16 << 20
	// maxEmpty is how many empty reads in a row are suffered, as by bufio.
	maxEmpty = 100
)

// Buffer is not safe for concurrent use. Its zero value is ready.
type Buffer struct {
	// Max is the limit of Pending in bytes; 0 is DefaultMax.
	Max int

	b          []byte
	start, end int
	// err came together with bytes and is answered by the next Fill.
	err error
}

// Pending is what was read and not discarded. It is valid until the next Fill.
func (p *Buffer) Pending() []byte { return p.b[p.start:p.end] }

// Discard forgets the first n bytes of Pending. Their memory stays as it is until the next Fill.
func (p *Buffer) Discard(n int) { p.start += n }

// Reset forgets everything for a new stream, and keeps only a small buffer.
func (p *Buffer) Reset() {
	p.start, p.end, p.err = 0, 0, nil
	if cap(p.b) > small {
		p.b = nil
	}
}

// Fill reads once from r and adds to Pending. An error of r, as a passed deadline, is answered as it is, and a later Fill
// goes on behind it. An error that comes together with bytes waits for the next Fill.
func (p *Buffer) Fill(r io.Reader) error {
	if err := p.err; err != nil {
		p.err = nil
		return err
	}
	if err := p.makeRoom(); err != nil {
		return err
	}
	for range maxEmpty {
		n, err := r.Read(p.b[p.end:])
		p.end += n
		if n > 0 {
			p.err = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom moves the pending bytes to the front, and to a buffer of a fitting size.
func (p *Buffer) makeRoom() error {
	pending := p.end - p.start
	limit := p.Max
	if limit == 0 {
		limit = DefaultMax
	}
	if pending >= limit {
		return ErrTooLong
	}
	size := len(p.b)
	switch {
	case size > large && pending <= small/2, size == 0:
		size = small
	case pending == size:
		size = min(2*size, max(limit, small))
	}
	to := p.b
	if size != len(p.b) {
		to = make([]byte, size)
	}
	if p.start > 0 || size != len(p.b) {
		copy(to, p.b[p.start:p.end])
	}
	p.b, p.start, p.end = to, 0, pending
	return nil
}
