package h1

import (
	"io"
	"strings"
	"testing"
)

// TestBuffered: after each piece of a chunked body, Buffered says whether the rest that has been read holds another one.
func TestBuffered(t *testing.T) {
	f := func(rest string, want bool) {
		t.Helper()
		r := NewReader(io.MultiReader(strings.NewReader("5\r\nhello"+rest), neverReader{}))
		defer r.Release()
		var b Body
		b.Reset(&r, Chunked, nil, func(error) {})
		if p, err := b.Next(); string(p) != "hello" || err != nil {
			t.Fatalf("piece %q, %v", p, err)
		}
		if got := b.Buffered(); got != want {
			t.Errorf("Buffered after %q is %v, want %v", rest, got, want)
		}
	}
	f("", false)
	f("\r", false)
	f("\r\n", false)
	f("\r\n5", false)
	f("\r\n5\r\n", false)
	f("\r\n5\r\nw", true)
	f("\r\n5\r\nworld\r\n", true)
	f("\r\n0\r\n\r\n", true)
}

// neverReader stands for a peer that says nothing more.
type neverReader struct{}

func (neverReader) Read([]byte) (int, error) { panic("a read that would wait") }
