package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/valyala/fasthttp"
)

// FuzzRequestHead: what passes is read the same by fasthttp and by net/http, or one of them refuses it as well.
func FuzzRequestHead(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nCookie: a=b; c=\"d e\"\r\nCookie: x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nTrailer: X-A\r\nConnection: close, x-b\r\n\r\n",
		"GET http://a/b HTTP/1.0\r\nhost:h\r\nconnection: keep-alive\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX : a\r\n y\r\n\r\n",
		"GET /\t HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		end := bytes.Index(raw, headEnd)
		if end < 0 {
			return
		}
		raw = raw[:end+len(headEnd)]
		r := NewReader(bytes.NewReader(append(bytes.Clone(raw), "REST"...)))
		defer r.Release()
		var h fasthttp.RequestHeader
		if r.ReadRequest(&h, 32<<10) != nil {
			return
		}
		if rest := string(r.Drained()); rest != "REST" {
			t.Fatalf("%q: what follows is %q", raw, rest)
		}
		if err := CheckRequestHead(bytes.TrimPrefix(raw, []byte("\r\n"))); err != nil {
			t.Fatalf("%q: read, though %v", raw, err)
		}
		if std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw))); err == nil {
			sameRequest(t, raw, &h, std)
		}
	})
}

func sameRequest(t *testing.T, raw []byte, h *fasthttp.RequestHeader, std *http.Request) {
	if string(h.Method()) != std.Method || string(h.RequestURI()) != std.RequestURI {
		t.Errorf("%q: request line %q %q, net/http %q %q", raw, h.Method(), h.RequestURI(), std.Method, std.RequestURI)
	}
	if h.RequestURI()[0] == '/' && string(h.Host()) != std.Host {
		t.Errorf("%q: host %q, net/http %q", raw, h.Host(), std.Host)
	}
	length := int64(h.ContentLength())
	if length == UntilClose {
		length = 0
	}
	if length != std.ContentLength {
		t.Errorf("%q: length %d, net/http %d", raw, length, std.ContentLength)
	}
	if want := valuesOf(std.Header); !slices.Equal(want, fieldsOf(h)) {
		t.Errorf("%q: fields %q, net/http %q", raw, fieldsOf(h), want)
	}
}

// Fields that are compared on their own, or whose repetitions fasthttp merges.
var apart = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true,
	"Cookie": true, "Content-Type": true, "User-Agent": true, "Pragma": true, "Cache-Control": true}

func valuesOf(h http.Header) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			if !apart[name] {
				out = append(out, strings.ToLower(name)+": "+v)
			}
		}
	}
	slices.Sort(out)
	return out
}

func fieldsOf(h *fasthttp.RequestHeader) (out []string) {
	for name, value := range h.All() {
		if !apart[textproto.CanonicalMIMEHeaderKey(string(name))] {
			out = append(out, strings.ToLower(string(name))+": "+string(value))
		}
	}
	slices.Sort(out)
	return out
}

// FuzzResponseHead: what passes has the same status and the same length for net/http.
func FuzzResponseHead(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 404\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n", "HTTP/1.1 304 x\r\nContent-Length: 4\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		end := bytes.Index(raw, headEnd)
		if end < 0 {
			return
		}
		raw = raw[:end+len(headEnd)]
		r := NewReader(bytes.NewReader(raw))
		defer r.Release()
		var h fasthttp.ResponseHeader
		if r.ReadResponse(&h, 64<<10) != nil {
			return
		}
		std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: "GET"})
		if err != nil {
			return
		}
		if h.StatusCode() != std.StatusCode {
			t.Errorf("%q: status %d, net/http %d", raw, h.StatusCode(), std.StatusCode)
		}
		if s := h.StatusCode(); s/100 == 1 || s == 204 || s == 304 {
			return // no body, whatever the fields say
		}
		if length := max(int64(h.ContentLength()), -1); length != std.ContentLength {
			t.Errorf("%q: length %d, net/http %d", raw, length, std.ContentLength)
		}
	})
}

func TestResponseHeadsRefused(t *testing.T) {
	f := func(head string) {
		t.Helper()
		if CheckResponseHead([]byte(head+"\r\n\r\n")) == nil {
			t.Errorf("%q passes", head)
		}
	}
	f("HTTP/1.1 20 OK")
	f("HTTP/1.1 2000 OK")
	f("HTTP/1.1 099 OK")
	f("HTTP/1.1  200 OK")
	f("HTTP/2.0 200 OK")
	f("HTTP/1.2 200 OK")
	f("HTTP/1.1 200 OK\rX")
	f("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip")
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1")
	f("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1")
	f("HTTP/1.1 200 OK\r\nContent-Length: -1")
	f("HTTP/1.1 200 OK\r\n folded: x")
	f("HTTP/1.1 200 OK\r\nX: a\x00")
}

// What a peer announces as a trailer can still be set in the head.
func TestAnnouncedTrailerIsNoPitfall(t *testing.T) {
	r := NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: h\r\nTrailer: X-Tenant\r\nX-Tenant: spoofed\r\n\r\n"))
	defer r.Release()
	var h fasthttp.RequestHeader
	if err := r.ReadRequest(&h, 32<<10); err != nil {
		t.Fatal(err)
	}
	h.Set("X-Tenant", "real")
	if got := fieldsOf(&h); !slices.Equal(got, []string{"x-tenant: real"}) {
		t.Errorf("got %q", got)
	}
}

func TestRemoveNamed(t *testing.T) {
	f := func(connection []string, want ...string) {
		t.Helper()
		head := "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: 2\r\nX-B: 3\r\nX-C: 4\r\n"
		for _, c := range connection {
			head += "Connection: " + c + "\r\n"
		}
		r := NewReader(strings.NewReader(head + "\r\n"))
		defer r.Release()
		var h fasthttp.RequestHeader
		if err := r.ReadRequest(&h, 32<<10); err != nil {
			t.Fatal(err)
		}
		RemoveNamed(&h)
		if got := fieldsOf(&h); !slices.Equal(got, want) || string(h.Host()) != "h" {
			t.Errorf("%q: got %q of %q, want %q", connection, got, h.Host(), want)
		}
	}
	all := []string{"x-a: 1", "x-a: 2", "x-b: 3", "x-c: 4"}
	f(nil, all...)
	f([]string{"keep-alive"}, all...)
	f([]string{"close"}, all...)
	f([]string{"x-a"}, all[2:]...)
	f([]string{"close, X-A"}, all[2:]...)
	f([]string{"X-a ,,\tx-b"}, all[3:]...)
	f([]string{"close", "x-a"}, all[2:]...)
	f([]string{"x-a", "keep-alive, x-b"}, all[3:]...)
	f([]string{"host, x-b, x-c"}, all[:2]...)
}

// A head that grows past the small buffer is whole, and so is what follows it, however it is cut.
func TestHeadGrows(t *testing.T) {
	for _, size := range []int{1, 4000, smallBuffer - 60, smallBuffer - 1, smallBuffer, smallBuffer + 1, 8 << 10, 30 << 10} {
		value := strings.Repeat("v", size)
		text := "GET / HTTP/1.1\r\nHost: h\r\nX: " + value + "\r\n\r\n"
		for _, cut := range []func(io.Reader) io.Reader{noCut, iotest.OneByteReader, iotest.HalfReader} {
			r := NewReader(cut(strings.NewReader(text + text)))
			for range 2 {
				var h fasthttp.RequestHeader
				if err := r.ReadRequest(&h, 32<<10); err != nil || string(h.Peek("X")) != value {
					t.Fatalf("%d: %v, %d bytes", size, err, len(h.Peek("X")))
				}
				r.Shrink()
			}
			var h fasthttp.RequestHeader
			if err := r.ReadRequest(&h, 32<<10); err != io.EOF {
				t.Errorf("%d: %v at the end", size, err)
			}
			r.Release()
		}
	}
}

func noCut(r io.Reader) io.Reader { return r }

func TestHeadLimit(t *testing.T) {
	f := func(size, limit int, want error) {
		t.Helper()
		const frame = len("GET / HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n")
		r := NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("v", size-frame) + "\r\n\r\n"))
		defer r.Release()
		var h fasthttp.RequestHeader
		if err := r.ReadRequest(&h, limit); !errors.Is(err, want) {
			t.Errorf("%d of %d: %v, want %v", size, limit, err, want)
		}
	}
	f(32<<10, 32<<10, nil)
	f(32<<10+1, 32<<10, ErrHeadTooLarge)
	f(1<<20, 32<<10, ErrHeadTooLarge)
	f(100, 100, nil)
	f(101, 100, ErrHeadTooLarge)
	var many strings.Builder
	for i := range MaxFields + 1 {
		fmt.Fprintf(&many, "X%d:\r\n", i)
	}
	if err := CheckRequestHead([]byte("GET / HTTP/1.1\r\n" + many.String() + "\r\n")); !errors.Is(err, ErrHeadTooLarge) {
		t.Errorf("%d fields: %v", MaxFields+1, err)
	}
}

// stopper times out after each byte.
type stopper struct {
	r    io.Reader
	stop bool
}

func (s *stopper) Read(p []byte) (int, error) {
	if s.stop = !s.stop; s.stop {
		return 0, os.ErrDeadlineExceeded
	}
	return s.r.Read(p[:1])
}

// A timeout at any byte of a message leaves it as it was: reading can go on.
func TestResumption(t *testing.T) {
	text := "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n5\r\ndefgh\r\n0\r\nX-T: 1\r\n\r\n"
	r := NewReader(&stopper{r: strings.NewReader(text)})
	defer r.Release()
	var h fasthttp.RequestHeader
	for {
		err := r.ReadRequest(&h, 32<<10)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	got, trailer, err := readChunked(&r)
	if string(got) != "abcdefgh" || len(trailer) != 1 || trailer[0].Value != "1" || err != io.EOF {
		t.Errorf("got %q, %v, %v", got, trailer, err)
	}
}
