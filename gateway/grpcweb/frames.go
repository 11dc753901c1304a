package grpcweb

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// frames follows the boundaries of messages: a flag, four bytes of length, and as many bytes.
type frames struct {
	head [5]byte
	n    int    // bytes of head
	left uint64 // bytes of the message that are to come
}

func (f *frames) add(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left, p = f.left-n, p[n:]
			continue
		}
		n := copy(f.head[f.n:], p)
		f.n, p = f.n+n, p[n:]
		if f.n == len(f.head) {
			f.left, f.n = uint64(binary.BigEndian.Uint32(f.head[1:])), 0
		}
	}
}

// whole says that the last message has come to its end.
func (f *frames) whole() bool { return f.n == 0 && f.left == 0 }

var errBase64 = errors.New("the body is not base64")

// decoder reads a body in base64, which may be padded anywhere between two groups: clients encode message by message.
type decoder struct {
	exchange.Stream
	// rest are characters of a group that is not complete yet.
	rest []byte
	out  []byte
	err  error
}

var (
	_ exchange.Stream      = (*decoder)(nil)
	_ exchange.Interrupter = (*decoder)(nil)
)

// Next implements exchange.Stream.
func (d *decoder) Next() ([]byte, error) {
	for {
		if d.err != nil {
			return nil, d.err
		}
		p, err := d.Stream.Next()
		if err != nil {
			return nil, d.end(err)
		}
		d.rest = append(d.rest, p...)
		n := len(d.rest) / 4 * 4
		if d.out, err = appendDecoded(d.out[:0], d.rest[:n]); err != nil {
			d.err = err
			return nil, err
		}
		d.rest = d.rest[:copy(d.rest, d.rest[n:])]
		if len(d.out) > 0 {
			return d.out, nil
		}
	}
}

// end passes the end on, unless characters are left over. Errors of reading are not remembered: some can be read past.
func (d *decoder) end(err error) error {
	if errors.Is(err, io.EOF) && len(d.rest) > 0 {
		d.err = errBase64
		return d.err
	}
	return err
}

// Interrupt implements exchange.Interrupter, as far as the stream does.
func (d *decoder) Interrupt() {
	if i, ok := d.Stream.(exchange.Interrupter); ok {
		i.Interrupt()
	}
}

func decode(b []byte) ([]byte, error) {
	if len(b)%4 != 0 {
		return nil, errBase64
	}
	return appendDecoded(make([]byte, 0, len(b)/4*3), b)
}

// appendDecoded decodes whole groups. What stands between two paddings is decoded at once.
func appendDecoded(dst, b []byte) ([]byte, error) {
	for len(b) > 0 {
		n := 4
		for n < len(b) && b[n-1] != '=' {
			n += 4
		}
		out, err := base64.StdEncoding.Strict().AppendDecode(dst, b[:n])
		if err != nil || hasBreak(b[:n]) {
			return dst, errBase64
		}
		dst, b = out, b[n:]
	}
	return dst, nil
}

// hasBreak: the decoder of the library skips line breaks, which would shift the groups.
func hasBreak(b []byte) bool {
	for _, c := range b {
		if c == '\r' || c == '\n' {
			return true
		}
	}
	return false
}
