package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/valyala/fasthttp"
)

const (
	smallBuffer = 4 << 10
	// Bodies whose next piece is at least this long are read past the small buffer.
	bigRead   = 16 << 10
	bigBuffer = 32 << 10
)

// Reader reads messages from a connection through a buffer of 4 KiB, which grows while a head needs it. It is not safe
// for concurrent use.
type Reader struct {
	br  *bufio.Reader
	src io.Reader
	// big says that br is larger than smallBuffer.
	big bool
}

var (
	smallReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, smallBuffer) }}
	bigBuffers   = sync.Pool{New: func() any { b := make([]byte, bigBuffer); return &b }}
)

// NewReader makes a Reader; Release gives its memory back.
func NewReader(src io.Reader) Reader {
	br := smallReaders.Get().(*bufio.Reader)
	br.Reset(src)
	return Reader{br: br, src: src}
}

// Release gives the buffer back to the pool. What was read ahead is lost.
func (r *Reader) Release() {
	if r.br == nil {
		return
	}
	if !r.big {
		r.br.Reset(nil)
		smallReaders.Put(r.br)
	}
	r.br = nil
}

// Park gives the buffer back while nothing is to be read, if it is empty; Unpark takes one again.
func (r *Reader) Park() {
	if r.br != nil && r.br.Buffered() == 0 {
		r.Release()
	}
}

// Unpark undoes Park.
func (r *Reader) Unpark() {
	if r.br == nil {
		*r = NewReader(r.src)
	}
}

// Buffered is the number of bytes read ahead.
func (r *Reader) Buffered() int { return r.br.Buffered() }

// Wait blocks until there is a byte to read.
func (r *Reader) Wait() error {
	_, err := r.br.Peek(1)
	return err
}

// Drained takes what was read ahead, for a connection that stops to speak HTTP.
func (r *Reader) Drained() []byte {
	b, _ := r.br.Peek(r.br.Buffered())
	b = bytes.Clone(b)
	r.br.Discard(len(b))
	return b
}

// ErrHeadTooLarge says that a head exceeds its limit.
var ErrHeadTooLarge = errors.New("the head is larger than its limit")

var headEnd = []byte("\r\n\r\n")

// head waits until a whole head is in the buffer and returns it. Nothing is consumed.
func (r *Reader) head(limit int) ([]byte, error) {
	seen := 0
	for {
		b, _ := r.br.Peek(r.br.Buffered())
		if i := bytes.Index(b[max(0, seen-3):], headEnd); i >= 0 {
			n := max(0, seen-3) + i + len(headEnd)
			if n > limit {
				return nil, ErrHeadTooLarge
			}
			return b[:n], nil
		}
		if bareLineFeed(b[max(0, seen-1):]) {
			return nil, bad("a line that does not end in CRLF")
		}
		seen = len(b)
		if seen >= limit {
			return nil, ErrHeadTooLarge
		}
		if seen == r.br.Size() {
			r.grow(limit)
		}
		if _, err := r.br.Peek(seen + 1); err != nil {
			if err == io.EOF && seen > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// bareLineFeed finds a line feed that follows something else than a carriage return: such a head never ends.
func bareLineFeed(b []byte) bool {
	for i := 0; i < len(b); {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			return false
		}
		if i += j; i > 0 && b[i-1] != '\r' {
			return true
		}
		i++
	}
	return false
}

// grow replaces the buffer by one of twice its size.
func (r *Reader) grow(limit int) {
	rest := r.Drained()
	size := min(2*r.br.Size(), limit+len(headEnd))
	r.Release()
	r.br = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(rest), r.src), size)
	r.br.Peek(len(rest))
	r.big = true
}

// Shrink goes back to the small buffer once the large one is empty; call it between messages.
func (r *Reader) Shrink() {
	if r.big && r.br.Buffered() == 0 {
		*r = NewReader(r.src)
	}
}

// ReadRequest reads a request head of at most limit bytes into h. The error is ErrHeadTooLarge, a *HeadError, or what the
// connection says; io.EOF only before the first byte.
func (r *Reader) ReadRequest(h *fasthttp.RequestHeader, limit int) error {
	r.skipBlankLine()
	raw, err := r.head(limit)
	if err != nil {
		return err
	}
	f, err := checkRequest(raw)
	if err != nil {
		return err
	}
	h.SetNoDefaultContentType(true)
	if err := h.Read(r.br); err != nil {
		return &HeadError{Status: 400, Text: "malformed request head"}
	}
	if f.trailer {
		forgetTrailer(h)
	}
	return nil
}

// skipBlankLine ignores one empty line before the request line (RFC 9112, section 2.2).
func (r *Reader) skipBlankLine() {
	if b, err := r.br.Peek(2); err == nil && b[0] == '\r' && b[1] == '\n' {
		r.br.Discard(2)
	}
}

// ReadResponse is ReadRequest for response heads. A 1xx head is returned like any other.
func (r *Reader) ReadResponse(h *fasthttp.ResponseHeader, limit int) error {
	raw, err := r.head(limit)
	if err != nil {
		return err
	}
	f, err := checkResponse(raw)
	if err != nil {
		return err
	}
	h.SetNoDefaultContentType(true)
	if err := h.Read(r.br); err != nil {
		return &HeadError{Status: 502, Text: "malformed response head"}
	}
	if f.trailer {
		forgetTrailer(h)
	}
	return nil
}

// forgetTrailer removes the announcement of a trailer. fasthttp would take a field so announced out of the head when it
// is set later: what the gateway sets would not be sent, and what the peer claims would stay.
func forgetTrailer(h interface{ Del(name string) }) { h.Del(fasthttp.HeaderTrailer) }

// Read reads what was read ahead, and then from the connection.
func (r *Reader) Read(p []byte) (int, error) { return r.br.Read(p) }

// HasHead says whether a whole head has been read ahead, so that reading it will not wait.
func (r *Reader) HasHead() bool {
	b, _ := r.br.Peek(r.br.Buffered())
	return bytes.Contains(b, headEnd)
}

// Peek returns the next n bytes without consuming them.
func (r *Reader) Peek(n int) ([]byte, error) { return r.br.Peek(n) }
