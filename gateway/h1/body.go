package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Lengths of a body that have no number.
const (
	Chunked    = -1
	UntilClose = -2
)

// Body reads one body of a Reader's connection. The zero Body is not usable. Pieces alias the Reader's
// buffer. After a timeout of the connection Next may be called again.
type Body struct {
	r *Reader
	// end is called once: at the clean end, or with an error when the body broke or was closed before its end.
	end func(err error)
	// trailer takes the trailer fields of a chunked body; nil drops them.
	trailer *exchange.Trailer

	length  int64 // Chunked, UntilClose, or what is left of a fixed length
	chunked bool
	left    int64 // of the chunk
	state   chunkState
	// trailers counts the fields of the trailer, kept or not.
	trailers int
	pending  int // bytes of the last piece, still in the buffer
	big      *[]byte
	err      error
}

var (
	_ exchange.Stream = (*Body)(nil)
	_ exchange.Direct = (*Body)(nil)
)

// Reset makes b read a body of length (or Chunked, UntilClose) from r.
func (b *Body) Reset(r *Reader, length int64, trailer *exchange.Trailer, end func(error)) {
	*b = Body{r: r, length: length, chunked: length == Chunked, trailer: trailer, end: end}
}

// Buffered says whether Next will return without a wait. The framing between two chunks alone is nothing to return.
func (b *Body) Buffered() bool {
	switch n := b.r.br.Buffered() - b.pending; {
	case b.err != nil || b.length == 0:
		return true
	case n <= 0 || !b.chunked || b.state == chunkData && b.left > 0:
		return n > 0
	case b.state == chunkTrailer || b.state == chunkEnd:
		return b.state == chunkEnd
	}
	p, _ := b.r.br.Peek(b.r.br.Buffered())
	p = p[b.pending:]
	if b.state == chunkData {
		p = p[min(2, len(p)):] // the CRLF of the chunk that was read
	}
	i := bytes.IndexByte(p, '\n')
	return i >= 0 && i+1 < len(p)
}

// Next returns the next piece, valid until the next call.
func (b *Body) Next() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	b.discard()
	p, err := b.next()
	if err == io.EOF || err != nil && !isTimeout(err) {
		b.finish(err)
	}
	return p, err
}

func (b *Body) next() ([]byte, error) {
	switch {
	case b.chunked:
		if err := b.chunkHead(); err != nil {
			return nil, err
		}
		return b.piece(&b.left)
	case b.length == UntilClose:
		left := int64(1 << 62)
		return b.piece(&left)
	case b.length == 0:
		return nil, io.EOF
	}
	return b.piece(&b.length)
}

// piece returns at most *left bytes and takes them from *left.
func (b *Body) piece(left *int64) ([]byte, error) {
	br := b.r.br
	if br.Buffered() == 0 {
		if *left >= bigRead && b.length != UntilClose {
			return b.bigPiece(left)
		}
		if _, err := br.Peek(1); err != nil {
			return nil, b.eof(err)
		}
	}
	n := int(min(int64(br.Buffered()), *left))
	p, _ := br.Peek(n)
	b.pending = n
	*left -= int64(n)
	return p, nil
}

// bigPiece reads past the small buffer, which is empty.
func (b *Body) bigPiece(left *int64) ([]byte, error) {
	if b.big == nil {
		b.big = bigBuffers.Get().(*[]byte)
	}
	n, err := b.r.br.Read((*b.big)[:min(int64(bigBuffer), *left)])
	*left -= int64(n)
	if n > 0 {
		return (*b.big)[:n], nil
	}
	return nil, b.eof(err)
}

// ReadDirect implements exchange.Direct: what is left of a large body of known length is not read through a buffer.
func (b *Body) ReadDirect(p []byte) (int, error) {
	if !b.direct() || len(p) < smallBuffer {
		return 0, nil
	}
	b.discard()
	n, err := b.r.br.Read(p[:min(int64(len(p)), b.length)])
	b.length -= int64(n)
	if n > 0 {
		return n, nil
	}
	if err = b.eof(err); err != nil && !isTimeout(err) {
		b.finish(err)
	}
	return 0, err
}

// direct says whether so much is left, and nothing of it in the buffer, that reading past the buffer is worth it.
func (b *Body) direct() bool {
	return b.err == nil && !b.chunked && b.length >= smallBuffer && b.r.br.Buffered() == b.pending
}

// discard lets the last piece go.
func (b *Body) discard() {
	if b.pending > 0 {
		b.r.br.Discard(b.pending)
		b.pending = 0
	}
}

// eof makes the end of the connection an error unless it is how this body ends.
func (b *Body) eof(err error) error {
	if err == io.EOF && b.length != UntilClose {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close ends the body. One that was not read to its end breaks its connection.
func (b *Body) Close() error {
	if b.err == nil {
		if b.length == 0 && !b.chunked {
			b.finish(io.EOF)
		} else {
			b.finish(exchange.ErrClosed)
		}
	}
	return nil
}

func (b *Body) finish(err error) {
	b.err = err
	b.discard()
	if b.big != nil {
		bigBuffers.Put(b.big)
		b.big = nil
	}
	if err == io.EOF {
		err = nil
	}
	b.end(err)
}

// Done says whether the body has been read to its end.
func (b *Body) Done() bool { return b.err == io.EOF }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// peekLine returns the next line with its LF, of at most limit bytes, and consumes nothing. It can be called again after
// a timeout.
func peekLine(br *bufio.Reader, limit int) ([]byte, error) {
	for {
		b, _ := br.Peek(br.Buffered())
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i < limit {
			return b[:i+1], nil
		}
		if len(b) >= min(limit, br.Size()) {
			return nil, errLineTooLong
		}
		if _, err := br.Peek(len(b) + 1); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}
