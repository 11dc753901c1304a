// Package sse cuts a stream of server-sent events into frames (WHATWG HTML, section 9.2). It owns the framing alone: what the
// data of a frame means is for the vendors' packages, which it must not import.
package sse

import (
	"bytes"
	"io"

	"github.com/nantian-gw/nantian/ai"
	"github.com/nantian-gw/nantian/ai/internal/pull"
)

// ErrTooLong is a frame longer than Scanner.Max. The stream cannot be continued.
var ErrTooLong = pull.ErrTooLong

// Scanner finds the frames of one stream. Its zero value is ready; it is not safe for concurrent use.
type Scanner struct {
	// Max is the limit of a frame in bytes; 0 is 16 MiB.
	Max int

	buf pull.Buffer
	// line and scan are where the line being read begins and how far it has been searched; first is where the frame's first
	// field begins. All offsets are from the start of buf.Pending.
	first, line, scan int
	event, data       span
	lines             int // data lines of the frame
	joined            []byte
	begun             bool // past the place of a byte order mark
	skipLF            bool // the last line ended in \r, and \n may still belong to it
	used              int  // length of the frame that was returned last
}

// span is a part of buf.Pending.
type span struct{ from, to int }

// Reset makes s ready for another stream and keeps a small buffer.
func (s *Scanner) Reset() {
	b, joined := s.buf, s.joined[:0]
	b.Reset()
	if cap(joined) > 4<<10 {
		joined = nil
	}
	*s = Scanner{Max: s.Max, buf: b, joined: joined}
}

// Next answers the next frame that has data; it is valid until the next call. It reads from r only when no whole frame is
// there yet. An error of r is answered as it is and nothing is lost: after a passed deadline, Next can be called again. The
// end of the stream is io.EOF between frames and io.ErrUnexpectedEOF within a line; a last frame that only lacks its
// blank line is answered. Comments, and blocks without data, are left out. Raw ends in \r alone if the \n that follows had
// not come yet.
func (s *Scanner) Next(r io.Reader) (ai.Frame, error) {
	s.buf.Max = s.Max
	s.buf.Discard(s.used)
	s.used = 0
	for {
		if f, ok := s.cut(); ok {
			return f, nil
		}
		s.buf.Discard(s.first)
		s.line, s.scan = s.line-s.first, s.scan-s.first
		s.event, s.data = s.event.less(s.first), s.data.less(s.first)
		s.first = 0
		if err := s.buf.Fill(r); err == io.EOF {
			return s.end()
		} else if err != nil {
			return ai.Frame{}, err
		}
	}
}

func (p span) less(n int) span { return span{max(p.from-n, 0), max(p.to-n, 0)} }

// end is what to make of the rest when the stream has ended.
func (s *Scanner) end() (ai.Frame, error) {
	switch {
	case s.line < len(s.buf.Pending()):
		return ai.Frame{}, io.ErrUnexpectedEOF
	case s.lines > 0:
		return s.frame(s.line), nil
	}
	return ai.Frame{}, io.EOF
}

// cut reads the lines that are there up to the end of a frame.
func (s *Scanner) cut() (ai.Frame, bool) {
	b := s.buf.Pending()
	for {
		s.dropLF(b)
		end, next := s.endOfLine(b)
		if end < 0 {
			return ai.Frame{}, false
		}
		line := s.line
		if !s.begun {
			s.begun = true
			line += len(b[line:end]) - len(bytes.TrimPrefix(b[line:end], []byte("\xEF\xBB\xBF")))
			s.first = line
		}
		s.line, s.scan = next, next
		switch {
		case line < end && b[line] != ':':
			s.field(b, line, end)
		case line == end && s.lines > 0:
			return s.frame(next), true
		case line == end:
			s.event, s.first = span{}, next
		case s.first == line:
			s.first = next
		}
	}
}

// dropLF skips the \n of a \r\n whose \r ended the line before.
func (s *Scanner) dropLF(b []byte) {
	if !s.skipLF || s.line == len(b) {
		return
	}
	s.skipLF = false
	if b[s.line] != '\n' {
		return
	}
	if s.first == s.line {
		s.first++
	}
	s.line++
	s.scan = s.line
}

// window is how far is searched for one end of line before the other is looked for: a search to the end of the buffer for each
// of many short lines would take quadratic time.
const window = 512

// endOfLine finds where the line ends and the next begins; -1 where it has not ended yet.
func (s *Scanner) endOfLine(b []byte) (end, next int) {
	for s.scan < len(b) {
		w := b[s.scan:min(s.scan+window, len(b))]
		lf := bytes.IndexByte(w, '\n')
		if lf >= 0 {
			w = w[:lf]
		}
		if cr := bytes.IndexByte(w, '\r'); cr >= 0 {
			end = s.scan + cr
			s.skipLF = true
			return end, end + 1
		}
		if lf >= 0 {
			return s.scan + lf, s.scan + lf + 1
		}
		s.scan += len(w)
	}
	return -1, -1
}

// field notes a line that is neither empty nor a comment. Only event and data matter here.
func (s *Scanner) field(b []byte, line, end int) {
	name := b[line:end]
	value := end
	if colon := bytes.IndexByte(name, ':'); colon >= 0 {
		value = line + colon + 1
		name = name[:colon]
		if value < end && b[value] == ' ' {
			value++
		}
	}
	switch string(name) {
	case "event":
		s.event = span{value, end}
	case "data":
		s.addData(b, span{value, end})
	}
}

func (s *Scanner) addData(b []byte, p span) {
	switch s.lines++; s.lines {
	case 1:
		s.data = p
		return
	case 2:
		s.joined = append(s.joined[:0], b[s.data.from:s.data.to]...)
	}
	s.joined = append(s.joined, '\n')
	s.joined = append(s.joined, b[p.from:p.to]...)
}

// frame answers the frame that ends before next and makes s ready for the one after.
func (s *Scanner) frame(next int) ai.Frame {
	b := s.buf.Pending()
	if s.skipLF && next < len(b) && b[next] == '\n' {
		next++
		s.skipLF = false
	}
	f := ai.Frame{Data: b[s.data.from:s.data.to], Raw: b[s.first:next]}
	if s.event.to > s.event.from {
		f.Event = b[s.event.from:s.event.to]
	}
	if s.lines > 1 {
		f.Data = s.joined
	}
	s.used = next
	s.first, s.line, s.scan, s.lines = 0, 0, 0, 0
	s.event, s.data = span{}, span{}
	return f
}
