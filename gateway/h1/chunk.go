package h1

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// chunkState is what comes next in a chunked body.
type chunkState uint8

const (
	chunkSize chunkState = iota // a size line
	chunkData                   // left bytes of data, then its CRLF
	chunkTrailer
	chunkEnd
)

var (
	errLineTooLong = errors.New("a line of the chunked body is too long")
	errChunk       = errors.New("malformed chunked body")

	errTooManyTrailers = errors.New("too many trailer fields")
)

const (
	maxChunkLine    = 256
	maxTrailerField = 4 << 10
	maxTrailers     = 64
)

// chunkHead goes on to the next byte of data; io.EOF after the last chunk and the trailer.
func (b *Body) chunkHead() error {
	for {
		switch b.state {
		case chunkSize:
			if err := b.readChunkSize(); err != nil {
				return err
			}
		case chunkData:
			if b.left > 0 {
				return nil
			}
			if err := b.readChunkEnd(); err != nil {
				return err
			}
		case chunkTrailer:
			if err := b.readTrailerLine(); err != nil {
				return err
			}
		case chunkEnd:
			return io.EOF
		}
	}
}

func (b *Body) readChunkSize() error {
	line, err := peekLine(b.r.br, maxChunkLine)
	if err != nil {
		return err
	}
	n, err := parseChunkSize(line)
	if err != nil {
		return err
	}
	b.r.br.Discard(len(line))
	b.left, b.state = n, chunkData
	if n == 0 {
		b.state = chunkTrailer
	}
	return nil
}

// parseChunkSize reads "1a2b;extension\r\n". Bare LF, spaces before the size and control characters are refused
// (RFC 9112, section 7.1).
func parseChunkSize(line []byte) (int64, error) {
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || hasControl(line) {
		return 0, errChunk
	}
	size, _, _ := bytes.Cut(line, []byte{';'})
	size = bytes.TrimRight(size, " \t")
	if len(size) == 0 || len(size) > 15 {
		return 0, errChunk
	}
	var n int64
	for _, c := range size {
		d := hexDigit(c)
		if d < 0 {
			return 0, errChunk
		}
		n = n<<4 | int64(d)
	}
	return n, nil
}

func hexDigit(c byte) int {
	switch {
	case c-'0' < 10:
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// readChunkEnd consumes the CRLF after a chunk's data.
func (b *Body) readChunkEnd() error {
	p, err := b.r.br.Peek(2)
	if err != nil {
		return b.eof(err)
	}
	if p[0] != '\r' || p[1] != '\n' {
		return errChunk
	}
	b.r.br.Discard(2)
	b.state = chunkSize
	return nil
}

// readTrailerLine consumes one trailer field, or the empty line that ends the body.
func (b *Body) readTrailerLine() error {
	line, err := peekLine(b.r.br, maxTrailerField)
	if err != nil {
		return err
	}
	field, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return errChunk
	}
	if len(field) == 0 {
		b.r.br.Discard(len(line))
		b.state = chunkEnd
		return nil
	}
	if err := b.addTrailer(field); err != nil {
		return err
	}
	b.r.br.Discard(len(line))
	return nil
}

func (b *Body) addTrailer(field []byte) error {
	colon := bytes.IndexByte(field, ':')
	if colon <= 0 || !isToken(field[:colon]) || hasControl(field[colon:]) {
		return errChunk
	}
	if b.trailers++; b.trailers > maxTrailers {
		return errTooManyTrailers
	}
	if b.trailer == nil {
		return nil
	}
	name := strings.ToLower(string(field[:colon]))
	if !trailerAllowed(name) {
		return nil
	}
	*b.trailer = append(*b.trailer, exchange.Field{Name: name, Value: string(bytes.Trim(field[colon+1:], " \t"))})
	return nil
}

// trailerAllowed leaves out fields that frame, route or authenticate a message (RFC 9110, section 6.5.1).
func trailerAllowed(name string) bool {
	switch name {
	case "transfer-encoding", "content-length", "host", "trailer", "te", "connection", "content-encoding", "content-type",
		"content-range", "authorization", "cookie", "set-cookie", "cache-control", "expect", "max-forwards", "range":
		return false
	}
	return true
}

// AppendChunk appends one chunk. data must not be empty: that would end the body.
func AppendChunk(dst, data []byte) []byte {
	dst = AppendChunkSize(dst, len(data))
	dst = append(dst, data...)
	return append(dst, '\r', '\n')
}

// AppendChunkSize appends a chunk's size line.
func AppendChunkSize(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	shift := 0
	for n>>shift > 15 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return append(dst, '\r', '\n')
}

// AppendLastChunk ends a chunked body.
func AppendLastChunk(dst []byte, trailer exchange.Trailer) []byte {
	dst = append(dst, "0\r\n"...)
	for _, f := range trailer {
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value...)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}
