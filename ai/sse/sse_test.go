package sse

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// read reads all frames, as event|data.
func read(s *Scanner, r io.Reader) (frames []string, raw string, err error) {
	for {
		f, err := s.Next(r)
		if err != nil {
			return frames, raw, err
		}
		frames = append(frames, string(f.Event)+"|"+string(f.Data))
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
	f("data: a\n\ndata:b\n\n", "|a;|b", io.EOF)
	f("event: ping\ndata: {}\n\n", "ping|{}", io.EOF)
	f("data: a\r\n\r\ndata: b\r\n\r\n", "|a;|b", io.EOF)
	f("data: a\r\rdata: b\r\r", "|a;|b", io.EOF)
	f("\xEF\xBB\xBFdata: a\n\n", "|a", io.EOF)
	f(": hi\n\n:\n:\ndata: a\n: there\ndata:  b\n\n", "|a\n b", io.EOF)
	f("data\n\n", "|", io.EOF)
	f("data\ndata\ndata\n\n", "|\n\n", io.EOF)
	f("event: x\n\ndata: a\n\n", "|a", io.EOF)
	f("event\nevent:\ndata: a\n\n", "|a", io.EOF)
	f("id: 1\nretry: 3\nfoo\ndatax: b\ndata: a\n\n", "|a", io.EOF)
	f("\n\r\n\rdata: a\n\n\n", "|a", io.EOF)
	f("data: a\n", "|a", io.EOF)
	f("data: a\n\ndata: b", "|a", io.ErrUnexpectedEOF)
	f("data: a\n\n: bye\n", "|a", io.EOF)
	f("", "", io.EOF)
}

func TestRawIsTheFrame(t *testing.T) {
	in := "event: a\ndata: 1\ndata: 2\n\nid: 1\ndata: 3\r\n\r\n"
	_, raw, _ := read(&Scanner{}, strings.NewReader(": comment\n\n"+in))
	if raw != in {
		t.Errorf("got %q, want %q", raw, in)
	}
}

// broken fails with an error between all reads.
type broken struct {
	r     io.Reader
	fails bool
}

func (b *broken) Read(p []byte) (int, error) {
	if b.fails = !b.fails; b.fails {
		return 0, os.ErrDeadlineExceeded
	}
	return b.r.Read(p)
}

func TestResumesAfterAnError(t *testing.T) {
	r := &broken{r: iotest.OneByteReader(strings.NewReader("data: a\n\nevent: e\ndata: b\ndata: c\r\n\r\n"))}
	s := &Scanner{}
	var got []string
	for {
		frames, _, err := read(s, r)
		got = append(got, frames...)
		if err == io.EOF {
			break
		}
		if err != os.ErrDeadlineExceeded {
			t.Fatal(err)
		}
	}
	if want := "|a;e|b\nc"; strings.Join(got, ";") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// once refuses to be read twice.
type once struct{ text string }

func (o *once) Read(p []byte) (int, error) {
	if o.text == "" {
		return 0, errors.New("read although a frame was there")
	}
	n := copy(p, o.text)
	o.text = o.text[n:]
	return n, nil
}

func TestReadsOnlyWhenNoFrameIsThere(t *testing.T) {
	s := &Scanner{}
	r := &once{"data: a\n\ndata: b\n\n"}
	for range 2 {
		if _, err := s.Next(r); err != nil {
			t.Fatal(err)
		}
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
	f := func(in string) {
		t.Helper()
		s := &Scanner{Max: 100 << 10}
		if _, err := s.Next(&endless{text: in}); err != ErrTooLong {
			t.Errorf("%q: got %v", in, err)
		}
		s.Reset()
		if _, err := s.Next(strings.NewReader("data: a\n\n")); err != nil {
			t.Errorf("after Reset: %v", err)
		}
	}
	f("data: a")
	f("data: a\n")
	f("x\r")
	f(": a comment without end")
}

func TestNoProgress(t *testing.T) {
	if _, err := (&Scanner{}).Next(iotest.ErrReader(nil)); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
}

func TestMemoryAtRest(t *testing.T) {
	huge := "data: " + strings.Repeat("x", 1<<20) + "\n\n"
	const streams = 50
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var all [streams]*Scanner
	for i := range all {
		all[i] = &Scanner{}
		r := &broken{r: strings.NewReader(huge + huge + "data: small\n\n")}
		for n := 0; n < 3; {
			if _, err := all[i].Next(r); err == nil {
				n++
			}
		}
		all[i].Next(&broken{})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / streams; each > 16<<10 {
		t.Errorf("an idle stream holds %d bytes", each)
	}
	runtime.KeepAlive(all)
}

func TestNoAllocations(t *testing.T) {
	s := &Scanner{}
	r := &endless{text: "event: delta\ndata: {\"a\":1}\n\ndata: a\ndata: b\n\n"}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := s.Next(r); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// naive reads a whole stream line by line as the specification words it, but for the leniency at the end.
func naive(in string) (frames []string, err error) {
	whole := in == "" || strings.HasSuffix(in, "\n") || strings.HasSuffix(in, "\r")
	in = strings.TrimPrefix(in, "\xEF\xBB\xBF")
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n"), "\n")
	lines = lines[:len(lines)-1]
	event, data, has := "", "", false
	dispatch := func() {
		if has {
			frames = append(frames, event+"|"+strings.TrimSuffix(data, "\n"))
		}
		event, data, has = "", "", false
	}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case l == "":
			dispatch()
		case name == "event":
			event = value
		case name == "data":
			data += value + "\n"
			has = true
		}
	}
	if !whole {
		return frames, io.ErrUnexpectedEOF
	}
	dispatch()
	return frames, io.EOF
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
	f.Add("data: a\r\n\r\nevent: b\ndata: c\rdata: d\r\r: x\n\n", []byte{0, 3, 1})
	f.Add("\xEF\xBB\xBFdata\n\n\ndata:x", []byte{2})
	f.Add("data: "+strings.Repeat("x", 5000)+"\n\n:\n\ndata: y\n\n", []byte{255})
	f.Fuzz(func(t *testing.T, in string, sizes []byte) {
		want, wantErr := naive(in)
		got, _, err := read(&Scanner{}, &chunks{r: strings.NewReader(in), size: sizes})
		if strings.Join(got, ";") != strings.Join(want, ";") || err != wantErr {
			t.Fatalf("%q: got %q %v, want %q %v", in, got, err, want, wantErr)
		}
		var raw bytes.Buffer
		s := &Scanner{}
		for r := strings.NewReader(in); ; {
			fr, err := s.Next(r)
			if err != nil {
				break
			}
			raw.Write(fr.Raw)
			if !bytes.HasSuffix(fr.Raw, []byte("\n")) && !bytes.HasSuffix(fr.Raw, []byte("\r")) {
				t.Fatalf("%q: raw frame %q has no end", in, fr.Raw)
			}
		}
		if err == io.EOF {
			again, _, _ := read(&Scanner{}, &raw)
			if strings.Join(again, ";") != strings.Join(want, ";") {
				t.Fatalf("%q: the raw frames read as %q, want %q", in, again, want)
			}
		}
	})
}
