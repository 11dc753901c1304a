package rig

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// Output gathers what a process writes. It is safe for concurrent use.
type Output struct {
	mu      sync.Mutex
	written []byte
	more    chan struct{} // closed at the next write
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written = append(o.written, p...)
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return len(p), nil
}

// String is all that was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.written)
}

// Len is how much was written.
func (o *Output) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.written)
}

// Line waits until a whole line holds all the parts and gives it; empty when none has come in time. Lines that begin
// before from are passed over.
func (o *Output) Line(from int, wait time.Duration, parts ...string) string {
	deadline := time.After(wait)
	for {
		line, more := o.find(from, parts)
		if line != "" {
			return line
		}
		select {
		case <-more:
		case <-deadline:
			return ""
		}
	}
}

func (o *Output) find(from int, parts []string) (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	whole := o.written[:bytes.LastIndexByte(o.written, '\n')+1]
	for line := range strings.Lines(string(whole[min(from, len(whole)):])) {
		if holds(line, parts) {
			return line, nil
		}
	}
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return "", o.more
}

func holds(line string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(line, p) {
			return false
		}
	}
	return true
}
