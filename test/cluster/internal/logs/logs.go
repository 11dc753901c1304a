// Package logs keeps the output of a container, a line with its time, and serves it as a kubelet does. What is kept is bounded.
package logs

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// Bounds of what is kept: of a container's output the last maxBytes, of a line the first maxLine.
const (
	maxBytes = 16 << 20
	maxLine  = 1 << 20
)

type line struct {
	at   time.Time
	text []byte
}

// Log is the output of one run of a container. Writing to it never fails.
type Log struct {
	mu      sync.Mutex
	lines   []line
	dropped int // lines that are no longer kept
	size    int
	partial []byte
	closed  bool
	changed chan struct{} // closed and replaced at each change
	copyTo  io.WriteCloser
}

// New is an empty log. What is written to it goes to w as well, if that is not nil,
// which Close closes.
func New(w io.WriteCloser) *Log { return &Log{changed: make(chan struct{}), copyTo: w} }

// Write adds output.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.copyTo != nil {
		_, _ = l.copyTo.Write(b) // the copy is for people who look after a failure; the log itself is complete without
	}
	rest := b
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		l.partial = append(l.partial, rest[:i]...)
		l.endLine()
		rest = rest[i+1:]
	}
	l.partial = append(l.partial, rest...)
	if len(l.partial) > maxLine {
		l.endLine()
	}
	l.wake()
	return len(b), nil
}

// Close says that no more is written; readers that follow come to their end.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.endLine()
	}
	l.closed = true
	if l.copyTo != nil {
		_ = l.copyTo.Close()
	}
	l.wake()
}

func (l *Log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) endLine() {
	l.lines = append(l.lines, line{time.Now(), l.partial[:min(len(l.partial), maxLine)]})
	l.size += len(l.partial)
	l.partial = nil
	for l.size > maxBytes && len(l.lines) > 1 {
		l.size -= len(l.lines[0].text)
		l.lines = l.lines[1:]
		l.dropped++
	}
}

// Query is what a reader asks for, as the parameters of GET /containerLogs.
type Query struct {
	Since      time.Time
	Tail       int // the last lines, all if negative
	Limit      int // bytes, no limit if 0
	Timestamps bool
	Follow     bool
}

// Read writes what the query asks for. If it follows, it returns at the end of the log, of the context, or of w; flush is called
// when there is nothing to write at the moment.
func (l *Log) Read(ctx context.Context, q Query, w io.Writer, flush func()) error {
	out := &writer{w: w, left: q.Limit, limited: q.Limit > 0, stamps: q.Timestamps}
	at := l.first(q)
	for {
		lines, next, closed, changed := l.from(at)
		for _, x := range lines {
			if x.at.Before(q.Since) {
				continue
			}
			if more, err := out.line(x); err != nil || !more {
				return err
			}
		}
		at = next
		flush()
		if !q.Follow || closed {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// first is the number of the first line that a query can ask for.
func (l *Log) first(q Query) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.Tail < 0 {
		return 0
	}
	return max(0, l.dropped+len(l.lines)-q.Tail)
}

// from are the lines from number n on.
func (l *Log) from(n int) (lines []line, next int, closed bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	skip := min(max(0, n-l.dropped), len(l.lines))
	return l.lines[skip:], l.dropped + len(l.lines), l.closed, l.changed
}

// writer writes lines up to a limit of bytes.
type writer struct {
	w       io.Writer
	left    int
	limited bool
	stamps  bool
}

func (w *writer) line(x line) (more bool, err error) {
	var b []byte
	if w.stamps {
		b = append(x.at.UTC().AppendFormat(nil, time.RFC3339Nano), ' ')
	}
	b = append(append(b, x.text...), '\n')
	if w.limited && len(b) > w.left {
		b = b[:w.left]
	}
	w.left -= len(b)
	_, err = w.w.Write(b)
	return !w.limited || w.left > 0, err
}
