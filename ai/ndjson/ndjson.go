// Package ndjson cuts a stream of JSON values, one a line, into frames. It owns the framing alone.
package ndjson

import (
	"bytes"
	"io"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/pull"
	"github.com/nantian-gw/nantian/ai/jsonscan"
)

// ErrTooLong is a line longer than Scanner.Max. The stream cannot be continued.
var ErrTooLong = pull.ErrTooLong

// Scanner finds the lines of one stream. Its zero value is ready; it is not safe for concurrent use.
type Scanner struct {
	// Max is the limit of a line in bytes; 0 is 16 MiB.
	Max int

	buf  pull.Buffer
	scan int // how far buf.Pending has been searched
	used int // length of the line that was returned last
}

// Reset makes s ready for another stream and keeps a small buffer.
func (s *Scanner) Reset() {
	s.buf.Reset()
	s.scan, s.used = 0, 0
}

// Next answers the next line that is not blank, without its end; it is valid until the next call. It reads from r only when
// no whole line is there yet. An error of r is answered as it is and nothing is lost: after a passed deadline, Next
// can be called again. The end of the stream is io.EOF between lines and io.ErrUnexpectedEOF within one; a last line
// that only lacks its end is answered.
func (s *Scanner) Next(r io.Reader) (ai.Frame, error) {
	s.buf.Max = s.Max
	s.buf.Discard(s.used)
	s.used = 0
	for {
		if f, ok := s.cut(); ok {
			return f, nil
		}
		if err := s.buf.Fill(r); err == io.EOF {
			return s.end()
		} else if err != nil {
			return ai.Frame{}, err
		}
	}
}

func (s *Scanner) cut() (ai.Frame, bool) {
	for {
		b := s.buf.Pending()
		lf := bytes.IndexByte(b[s.scan:], '\n')
		if lf < 0 {
			s.scan = len(b)
			return ai.Frame{}, false
		}
		lf += s.scan
		s.scan = 0
		if line := jsonscan.Trim(b[:lf]); len(line) > 0 {
			s.used = lf + 1
			return ai.Frame{Data: line, Raw: b[:lf+1]}, true
		}
		s.buf.Discard(lf + 1)
	}
}

// end is what to make of the rest when the stream has ended.
func (s *Scanner) end() (ai.Frame, error) {
	b := s.buf.Pending()
	line := jsonscan.Trim(b)
	if len(line) == 0 {
		return ai.Frame{}, io.EOF
	}
	if jsonscan.Valid(line) != nil {
		return ai.Frame{}, io.ErrUnexpectedEOF
	}
	s.used, s.scan = len(b), 0
	return ai.Frame{Data: line, Raw: b}, nil
}
