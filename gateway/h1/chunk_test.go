package h1

import (
	"bytes"
	"errors"
	"io"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// readChunked reads a chunked body, over timeouts, to its end or to an error.
func readChunked(r *Reader) (got []byte, trailer exchange.Trailer, err error) {
	var b Body
	ends := 0
	b.Reset(r, Chunked, &trailer, func(error) { ends++ })
	for {
		p, err := b.Next()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case err != nil:
			b.Close()
			if ends != 1 {
				panic("the end was not told once")
			}
			return got, trailer, err
		case len(p) == 0:
			panic("an empty piece")
		}
		got = append(got, p...)
	}
}

// FuzzChunked: any split of the bytes gives the same, and what is accepted net/http accepts with the same content.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"3\r\nabc\r\n0\r\n\r\nREST", "A;x=y\r\n0123456789\r\n00\r\nX-Sum: 1\r\nCookie: no\r\n\r\n", "0\r\n\r\n", "3\r\nab", "3\nabc\n0\n\n",
		"3 \r\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\n", "3\r\nabcd\r\n0\r\n\r\n", "0\r\n: x\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var first []byte
		var firstErr error
		var firstTrailer exchange.Trailer
		for i, cut := range []func(io.Reader) io.Reader{noCut, iotest.OneByteReader, iotest.HalfReader,
			func(r io.Reader) io.Reader { return &stopper{r: r} }} {
			r := NewReader(cut(bytes.NewReader(raw)))
			got, trailer, err := readChunked(&r)
			r.Release()
			if i == 0 {
				first, firstTrailer, firstErr = got, trailer, err
			}
			if !bytes.Equal(got, first) || !errors.Is(err, firstErr) || !slices.Equal(trailer, firstTrailer) {
				t.Fatalf("%q cut by %d: %q %v %v, whole %q %v %v", raw, i, got, trailer, err, first, firstTrailer, firstErr)
			}
		}
		if firstErr == io.EOF {
			std, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(raw)))
			if err != nil || !bytes.Equal(std, first) {
				t.Errorf("%q: %q, net/http %q, %v", raw, first, std, err)
			}
		}
	})
}

func TestChunkedRefused(t *testing.T) {
	f := func(body string) {
		t.Helper()
		r := NewReader(strings.NewReader(body))
		defer r.Release()
		if got, _, err := readChunked(&r); err == io.EOF {
			t.Errorf("%q is read as %q", body, got)
		}
	}
	f("3\nabc\r\n0\r\n\r\n")
	f("3\r\nabc\n0\r\n\r\n")
	f("3\r\nabcd\r\n0\r\n\r\n")
	f(" 3\r\nabc\r\n0\r\n\r\n")
	f("0x3\r\nabc\r\n0\r\n\r\n")
	f("-3\r\nabc\r\n0\r\n\r\n")
	f("\r\nabc\r\n0\r\n\r\n")
	f(";\r\nabc\r\n0\r\n\r\n")
	f("3;a\rb\r\nabc\r\n0\r\n\r\n")
	f("1234567890123456\r\n")
	f("3;" + strings.Repeat("x", maxChunkLine) + "\r\nabc\r\n0\r\n\r\n")
	f("0\r\nbad field\r\n\r\n")
	f("0\r\nx: a\x00\r\n\r\n")
	f("0\r\nx: " + strings.Repeat("a", maxTrailerField) + "\r\n\r\n")
	f("0\r\n" + strings.Repeat("cookie: never kept\r\n", maxTrailers+1) + "\r\n")
	f("0\r\n\n")
	f("0\r\n")
}

func TestTrailer(t *testing.T) {
	r := NewReader(strings.NewReader("0\r\nGrpc-Status:  0 \r\nContent-Length: 5\r\nAuthorization: x\r\nX: \r\n\r\nREST"))
	defer r.Release()
	_, got, err := readChunked(&r)
	want := exchange.Trailer{{Name: "grpc-status", Value: "0"}, {Name: "x", Value: ""}}
	if !slices.Equal(got, want) || err != io.EOF || string(r.Drained()) != "REST" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAppendChunk(t *testing.T) {
	for _, n := range []int{1, 9, 10, 15, 16, 17, 255, 256, 4096, 70000} {
		data := bytes.Repeat([]byte("x"), n)
		r := NewReader(bytes.NewReader(AppendLastChunk(AppendChunk(nil, data), nil)))
		if got, _, err := readChunked(&r); !bytes.Equal(got, data) || err != io.EOF {
			t.Errorf("%d: %d bytes, %v", n, len(got), err)
		}
		r.Release()
	}
}

// The end of a body is told once: nil after all of it has been read, an error after anything else.
func TestBodyEnd(t *testing.T) {
	f := func(length int64, wire string, pieces int, clean bool) {
		t.Helper()
		r := NewReader(strings.NewReader(wire))
		defer r.Release()
		var b Body
		told, end := 0, error(nil)
		b.Reset(&r, length, nil, func(err error) { told, end = told+1, err })
		for range pieces {
			b.Next()
		}
		b.Close()
		b.Close()
		if _, err := b.Next(); err == nil {
			t.Errorf("%d %q: a piece after the end", length, wire)
		}
		if told != 1 || (end == nil) != clean {
			t.Errorf("%d %q, %d pieces: told %d times, %v", length, wire, pieces, told, end)
		}
	}
	f(3, "abcREST", 2, true)
	f(3, "abcREST", 1, true) // all of it, though not the end itself
	f(3, "abcREST", 0, false)
	f(3, "ab", 2, false)
	f(0, "REST", 0, true)
	f(Chunked, "3\r\nabc\r\n0\r\n\r\n", 2, true)
	f(Chunked, "3\r\nabc\r\n0\r\n\r\n", 1, false)
	f(Chunked, "3\r\nabc\r\n0\r\n", 2, false)
	f(Chunked, "zz\r\n", 1, false)
	f(UntilClose, "abc", 2, true)
	f(UntilClose, "abc", 1, false)
	f(64<<10, strings.Repeat("x", 64<<10), 3, true)
}
