package exchange

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Stream is a body that comes piece by piece. It is pulled: nothing is read from the peer before Next asks for it, so a
// slow reader slows its writer down.
//
// A stream that was not read to io.EOF and is closed destroys the connection under it; one that was is given back to its
// pool. No wrapper may swallow Close or read past io.EOF.
type Stream interface {
	// Next returns the next piece, valid until the next call; io.EOF after the last. A piece is never empty.
	Next() ([]byte, error)
	// Close ends the stream. It may be called more than once.
	Close() error
}

// Deadliner is a Stream whose Next can be told when to give up. After os.ErrDeadlineExceeded the stream is as it was, and
// Next may be called again.
type Deadliner interface {
	SetDeadline(t time.Time)
}

// Interrupter is a Stream whose Next, blocked in another goroutine, can be made to return an error. What it read from
// is not usable afterwards.
type Interrupter interface {
	Interrupt()
}

// Direct is a Stream that can read into the caller's memory, which saves a copy of large bodies.
type Direct interface {
	// ReadDirect reads the next bytes into p where that is worth it. 0 without an error: it is not, and Next is to be called. The end is
	// told by Next alone.
	ReadDirect(p []byte) (int, error)
}

// ErrClosed is returned by a stream that was closed before its end.
var ErrClosed = errors.New("body closed before its end")

// Body is bytes or a stream. The zero Body is empty.
type Body struct {
	// Stream is nil when Bytes is all of it.
	Stream Stream
	Bytes  []byte
	// Length of Stream in bytes; -1 when it is not known before the end.
	Length int64
}

// BytesBody is a body in memory.
func BytesBody(b []byte) Body { return Body{Bytes: b, Length: int64(len(b))} }

// StreamBody is a body that comes piece by piece; length -1: not known.
func StreamBody(s Stream, length int64) Body { return Body{Stream: s, Length: length} }

// Empty says that there is no body.
func (b *Body) Empty() bool { return b.Stream == nil && len(b.Bytes) == 0 }

// Close closes the stream, if there is one. What was not read destroys the connection under it.
func (b *Body) Close() {
	if b.Stream != nil {
		b.Stream.Close()
		b.Stream = nil
	}
}

// TooLargeError says that a body that had to be read whole exceeds its limit.
type TooLargeError struct {
	Limit int64
	// Policy is "<ns>/<name>" of the RoutePolicy that sets the limit; empty: it is that of the gateway.
	Policy string
}

func (e *TooLargeError) Error() string {
	if e.Policy != "" {
		return fmt.Sprintf("the request body is larger than RoutePolicy %s allows, %d bytes", e.Policy, e.Limit)
	}
	return fmt.Sprintf("the request body is larger than the limit for requests that have to be read, %d bytes", e.Limit)
}

// ReadBody reads the request body whole, up to limit bytes, and keeps it in x: it stays valid until x is released. The
// error is a *TooLargeError or what the client's connection says.
func (x *Exchange) ReadBody(limit int64) ([]byte, error) {
	if x.ReqBody.Stream == nil {
		if int64(len(x.ReqBody.Bytes)) > limit {
			return nil, &TooLargeError{Limit: limit}
		}
		return x.ReqBody.Bytes, nil
	}
	if x.ReqBody.Length > limit {
		return nil, &TooLargeError{Limit: limit}
	}
	b, err := AppendStream(x.scratch[:0], &x.ReqBody, limit)
	x.scratch = b[:0]
	if err != nil {
		return nil, err
	}
	x.ReqBody.Close()
	x.ReqBody = BytesBody(b)
	return b, nil
}

// AppendStream reads body to its end. More than limit bytes are a *TooLargeError. Memory is taken as the bytes come: the
// length that a client claims costs nothing.
func AppendStream(dst []byte, body *Body, limit int64) ([]byte, error) {
	start := len(dst)
	direct, _ := body.Stream.(Direct)
	for {
		n := int64(len(dst) - start)
		if direct != nil && body.Length > n && body.Length <= limit {
			dst = slices.Grow(dst, more(body, n))
			m, err := direct.ReadDirect(dst[len(dst):cap(dst)])
			if dst = dst[:len(dst)+m]; err != nil {
				return dst, err
			}
			if m > 0 {
				continue
			}
		}
		p, err := body.Stream.Next()
		if n+int64(len(p)) > limit {
			return dst, &TooLargeError{Limit: limit}
		}
		if len(dst)+len(p) > cap(dst) {
			dst = slices.Grow(dst, max(len(p), more(body, n)))
		}
		dst = append(dst, p...)
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// more is for how many bytes there is to be room when n have come.
func more(body *Body, n int64) int { return int(max(0, min(body.Length-n, 3*n+firstGrow))) }

// firstGrow is how much of a known length is believed before anything has come, in bytes.
const firstGrow = 64 << 10

// Trailer is fields that follow a body, in order.
type Trailer []Field

// Field is one trailer field; the name is in lower case.
type Field struct{ Name, Value string }

// Reader makes an io.ReadCloser of a stream, for net/http.
func Reader(s Stream) io.ReadCloser { return &reader{s: s} }

type reader struct {
	s    Stream
	rest []byte
	err  error
}

func (r *reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		r.rest, r.err = r.s.Next()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

func (r *reader) Close() error { return r.s.Close() }
