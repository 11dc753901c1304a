package ndjson

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func read(s *Scanner, r io.Reader) (lines []string, raw string, err error) {
	for {
		f, err := s.Next(r)
		if err != nil {
			return lines, raw, err
		}
		lines = append(lines, string(f.Data))
		raw += string(f.Raw)
	}
}

func TestNext(t *testing.T) {
	f := func(in, want string, wantErr error) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in)), iotest.DataErrReader(strings.NewReader(in))} {
			got, _, err := read(&Scanner{}, r)
			if strings.Join(got, ";") != want || err != wantErr {
				t.Errorf("%q: got %q %v, want %q %v", in, got, err, want, wantErr)
			}
		}
	}
	f("{\"a\":1}\n{\"b\":2}\n", `{"a":1};{"b":2}`, io.EOF)
	f("{\"a\":1}\r\n\r\n \n{\"b\":2}\r\n", `{"a":1};{"b":2}`, io.EOF)
	f("{\"a\":1}\n{\"b\":2}", `{"a":1};{"b":2}`, io.EOF)
	f("{\"a\":1}\n{\"b\":", `{"a":1}`, io.ErrUnexpectedEOF)
	f("", "", io.EOF)
	f("\n\n", "", io.EOF)
}

// late fails with a passed deadline between all reads.
type late struct {
	r     io.Reader
	fails bool
}

func (l *late) Read(p []byte) (int, error) {
	if l.fails = !l.fails; l.fails {
		return 0, os.ErrDeadlineExceeded
	}
	return l.r.Read(p)
}

func TestResumesAfterAnError(t *testing.T) {
	r := &late{r: iotest.OneByteReader(strings.NewReader("{\"a\":1}\n{\"b\":2}\n"))}
	s := &Scanner{}
	var got []string
	for {
		lines, _, err := read(s, r)
		got = append(got, lines...)
		if err == io.EOF {
			break
		}
		if err != os.ErrDeadlineExceeded {
			t.Fatal(err)
		}
	}
	if want := `{"a":1};{"b":2}`; strings.Join(got, ";") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		c := copy(p[n:], e.text[e.at:])
		e.at = (e.at + c) % len(e.text)
		n += c
	}
	return len(p), nil
}

func TestTooLong(t *testing.T) {
	s := &Scanner{Max: 100 << 10}
	if _, err := s.Next(&endless{text: "x"}); err != ErrTooLong {
		t.Errorf("got %v", err)
	}
	s.Reset()
	if _, err := s.Next(strings.NewReader("{}\n")); err != nil {
		t.Errorf("after Reset: %v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	s := &Scanner{}
	r := &endless{text: "{\"a\":1}\n"}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := s.Next(r); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

// chunks reads in pieces whose sizes come from a pattern.
type chunks struct {
	r    io.Reader
	size []byte
	at   int
}

func (c *chunks) Read(p []byte) (int, error) {
	n := 1
	if len(c.size) > 0 {
		n += int(c.size[c.at%len(c.size)])
		c.at++
	}
	return c.r.Read(p[:min(n, len(p))])
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("{\"a\":1}\r\n\n{\"b\":2}"), []byte{0, 3, 1})
	f.Fuzz(func(t *testing.T, in, sizes []byte) {
		var want []string
		whole := true
		for line := range bytes.SplitAfterSeq(in, []byte("\n")) {
			got, _, err := read(&Scanner{}, bytes.NewReader(line))
			want = append(want, got...)
			whole = err == io.EOF
			if bytes.HasSuffix(line, []byte("\n")) && len(got) == 1 != (strings.Trim(string(line), " \t\r\n") != "") {
				t.Fatalf("line %q reads as %q", line, got)
			}
		}
		got, _, err := read(&Scanner{}, &chunks{r: bytes.NewReader(in), size: sizes})
		if strings.Join(got, ";") != strings.Join(want, ";") || (err == io.EOF) != whole {
			t.Fatalf("%q: got %q %v, want %q, whole %v", in, got, err, want, whole)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	const line = "{\"model\":\"llama3.2\",\"created_at\":\"2025-01-01T00:00:00Z\",\"message\":{\"role\":\"assistant\",\"content\":\" brown\"},\"done\":false}\n"
	s := &Scanner{}
	r := &endless{text: line}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Next(r); err != nil {
			b.Fatal(err)
		}
	}
}
