package server_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// h2case is one of h2spec's kind: what is sent, and what may become of stream 1.
type h2case struct {
	name string
	send func(f *framer)
	want []string
}

// The fates of a connection or a stream whose peer errs, as outcome names them. Of a stream's error an endpoint may make one of
// the connection (RFC 9113, 5.4.2).
var (
	badConnection = []string{"goodbye PROTOCOL_ERROR", "closed"}
	badSize       = []string{"goodbye FRAME_SIZE_ERROR", "closed"}
	badStream     = []string{"reset PROTOCOL_ERROR", "400", "goodbye PROTOCOL_ERROR", "closed"}
	afterTheEnd   = []string{"reset STREAM_CLOSED", "goodbye STREAM_CLOSED", "goodbye PROTOCOL_ERROR", "closed"}
)

// open sends the head of a request whose body is to follow.
func (f *framer) open(stream uint32, more ...string) {
	f.head(stream, append([]string{":method", "POST", ":scheme", "http", ":path", "/", ":authority", "h"}, more...)...)
}

func (f *framer) head(stream uint32, pairs ...string) {
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.fields(pairs...), EndHeaders: true})
}

func (f *framer) trailer(stream uint32, end bool, pairs ...string) {
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.fields(pairs...), EndStream: end, EndHeaders: true})
}

func uint32s(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// Frames and fields that end a connection or a stream (RFC 9113, by section).
var refusedCases = []h2case{
	{"a priority of another length (6.3)", func(f *framer) { f.WriteRawFrame(http2.FramePriority, 0, 1, make([]byte, 4)) }, append([]string{"reset FRAME_SIZE_ERROR"}, badSize...)},
	{"a priority of stream 0 (6.3)", func(f *framer) { f.WriteRawFrame(http2.FramePriority, 0, 0, make([]byte, 5)) }, badConnection},
	{"a reset of another length (6.4)", func(f *framer) {
		f.open(1)
		f.WriteRawFrame(http2.FrameRSTStream, 0, 1, make([]byte, 3))
	}, badSize},
	{"an acknowledgement of settings with settings (6.5)", func(f *framer) { f.WriteRawFrame(http2.FrameSettings, http2.FlagSettingsAck, 0, make([]byte, 6)) }, badSize},
	{"push that is neither on nor off (6.5.2)", func(f *framer) { f.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 2}) }, badConnection},
	{"a largest frame that is too large (6.5.2)", func(f *framer) { f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 24}) }, badConnection},
	{"a goodbye of a stream (6.8)", func(f *framer) { f.WriteRawFrame(http2.FrameGoAway, 0, 1, make([]byte, 8)) }, badConnection},
	{"a window update of another length (6.9)", func(f *framer) { f.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 3)) }, badSize},
	{"a window update of an idle stream (5.1)", func(f *framer) { f.WriteWindowUpdate(1, 1) }, badConnection},
	{"a window update of 0 for a stream (6.9)", func(f *framer) {
		f.open(1)
		f.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4))
	}, badStream},
	{"a stream's window that overflows (6.9.1)", func(f *framer) {
		f.open(1)
		f.WriteWindowUpdate(1, 1<<31-1)
		f.WriteWindowUpdate(1, 1<<31-1)
	}, []string{"reset FLOW_CONTROL_ERROR", "goodbye FLOW_CONTROL_ERROR", "closed"}},
	{"data after a reset (5.1)", func(f *framer) {
		f.open(1)
		f.WriteRSTStream(1, http2.ErrCodeCancel)
		f.WriteData(1, true, []byte("x"))
	}, afterTheEnd},
	{"an unknown frame inside a field block (4.3)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(get...)[:2], EndStream: true})
		f.WriteRawFrame(0x42, 0, 0, nil)
	}, badConnection},
	{"a continuation of another stream (6.10)", func(f *framer) {
		b := f.fields(get...)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:2], EndStream: true})
		f.WriteContinuation(3, true, b[2:])
	}, badConnection},
	{"a continuation after the end of a block (6.10)", func(f *framer) {
		f.open(1)
		f.WriteContinuation(1, true, f.fields("x-a", "b"))
	}, badConnection},
	{"padding of fields longer than the frame (6.2)", func(f *framer) {
		f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 1, append([]byte{255}, f.fields(get...)...))
	}, badStream},
	{"an index that no table has (RFC 7541, 2.3.3)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xc6}, EndStream: true, EndHeaders: true})
	}, []string{"goodbye COMPRESSION_ERROR", "closed"}},
	{"a table larger than is allowed (RFC 7541, 6.3)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: append([]byte{0x3f, 0xff, 0xff, 0x7f}, f.fields(get...)...), EndStream: true, EndHeaders: true})
	}, []string{"goodbye COMPRESSION_ERROR", "closed"}},
	{"Transfer-Encoding (8.2.2)", func(f *framer) { f.request(1, append(slices.Clone(get), "transfer-encoding", "chunked")...) }, badStream},
	{"Upgrade (8.2.2)", func(f *framer) { f.request(1, append(slices.Clone(get), "upgrade", "websocket")...) }, badStream},
	{"Proxy-Connection (8.2.2)", func(f *framer) { f.request(1, append(slices.Clone(get), "proxy-connection", "keep-alive")...) }, badStream},
	{"a line break in a value (8.2.1)", func(f *framer) { f.request(1, append(slices.Clone(get), "x-a", "b\r\nx-c: d")...) }, badStream},
	{"a space in a name (8.2.1)", func(f *framer) { f.request(1, append(slices.Clone(get), "x a", "b")...) }, badStream},
	{"a scheme twice (8.3)", func(f *framer) { f.request(1, append([]string{":scheme", "http"}, get...)...) }, badStream},
	{"a path twice (8.3)", func(f *framer) { f.request(1, append([]string{":path", "/"}, get...)...) }, badStream},
	{"an authority that is not Host's (8.3.1)", func(f *framer) { f.request(1, append(slices.Clone(get), "host", "other")...) }, badStream},
	{"a pseudo-header in a trailer (8.1)", func(f *framer) {
		f.open(1)
		f.WriteData(1, false, []byte("x"))
		f.trailer(1, true, ":path", "/other")
	}, badStream},
	{"a trailer that does not end the stream (8.1)", func(f *framer) {
		f.open(1)
		f.WriteData(1, false, []byte("x"))
		f.trailer(1, false, "x-a", "b")
	}, badStream},
	{"pieces of other length than Content-Length says (8.1.1)", func(f *framer) {
		f.open(1, "content-length", "3")
		f.WriteData(1, false, []byte("xy"))
		f.WriteData(1, true, []byte("zz"))
	}, badStream},
	{"two Content-Length (8.1.1)", func(f *framer) {
		f.open(1, "content-length", "1", "content-length", "2")
		f.WriteData(1, true, []byte("x"))
	}, badStream},
}

// What looks odd and is allowed: the stream is answered.
var servedCases = []h2case{
	{"settings that are not known (6.5.2)", func(f *framer) {
		f.WriteSettings(http2.Setting{ID: 0xff, Val: 1})
		f.request(1, get...)
	}, []string{"200"}},
	{"an answer to a ping that nobody sent (6.7)", func(f *framer) {
		f.WritePing(true, [8]byte{1})
		f.request(1, get...)
	}, []string{"200"}},
	{"flags that are not known (4.1)", func(f *framer) {
		f.WriteRawFrame(http2.FramePing, 0xfe&^http2.Flags(http2.FlagPingAck), 0, make([]byte, 8))
		f.request(1, get...)
	}, []string{"200"}},
	{"the reserved bit of a stream (4.1)", func(f *framer) {
		b := f.fields(get...)
		raw := append([]byte{0, 0, byte(len(b)), byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders | http2.FlagHeadersEndStream)}, uint32s(1<<31|1)...)
		f.Conn.Write(append(raw, b...))
	}, []string{"200"}},
	{"priorities (5.3.2)", func(f *framer) {
		f.WritePriority(9, http2.PriorityParam{StreamDep: 7, Weight: 3, Exclusive: true})
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(get...), EndStream: true, EndHeaders: true, Priority: http2.PriorityParam{StreamDep: 5, Weight: 9}})
	}, []string{"200"}},
	{"padding (6.1, 6.2)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "h"), EndHeaders: true, PadLength: 200})
		f.WriteDataPadded(1, true, []byte("hello"), make([]byte, 100))
	}, []string{"200"}},
	{"an empty trailer and its end (8.1)", func(f *framer) {
		f.open(1)
		f.WriteData(1, false, []byte("x"))
		f.trailer(1, true, "x-tail", "1")
	}, []string{"200"}},
	{"a smaller table (RFC 7541, 6.3)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: append([]byte{0x20}, f.fields(get...)...), EndStream: true, EndHeaders: true})
	}, []string{"200"}},
	{"a cookie in crumbs (8.2.3)", func(f *framer) { f.request(1, append(slices.Clone(get), "cookie", "a=b", "cookie", "c=d")...) }, []string{"200"}},
	{"TE: trailers (8.2.2)", func(f *framer) { f.request(1, append(slices.Clone(get), "te", "trailers")...) }, []string{"200"}},
	{"a window update after the end (5.1)", func(f *framer) {
		f.request(1, get...)
		f.WriteWindowUpdate(1, 1)
	}, []string{"200"}},
	{"a method that is not known", func(f *framer) { f.request(1, ":method", "PURGE", ":scheme", "http", ":path", "/", ":authority", "h") }, []string{"200"}},
}

// More cases of h2spec's kind, those of other sections and pieces. After each the gateway serves others.
func TestHTTP2Cases(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Read", strconv.FormatInt(n, 10))
		io.WriteString(w, "hello")
	}))
	for _, c := range append(slices.Clone(refusedCases), servedCases...) {
		f := g.frames()
		c.send(f)
		if got := f.outcome(1); !slices.Contains(c.want, got) {
			t.Errorf("%s: %s, want one of %q", c.name, got, c.want)
		}
		f.Conn.Close()
		again := g.frames()
		if again.request(1, get...); again.outcome(1) != "200" {
			t.Errorf("after %s the gateway does not serve", c.name)
		}
		again.Conn.Close()
	}
}

// A connection that begins with anything but the preface is none of HTTP/2 (3.4).
func TestHTTP2Preface(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	for _, preface := range []string{"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", strings.Replace(http2.ClientPreface, "2.0", "3.0", 1), http2.ClientPreface + "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"} {
		c := g.dial()
		c.send(preface)
		b, err := io.ReadAll(c.r)
		if bytes.Contains(b, []byte("hello")) {
			t.Errorf("%q was served: %q, %v", preface, b, err)
		}
		c.Close()
	}
	f := g.frames()
	if f.request(1, get...); f.outcome(1) != "200" {
		t.Error("afterwards the gateway does not serve")
	}
}

// A window that a client makes smaller than what was sent is below 0, and what comes goes on when it is open again (6.9.2).
func TestHTTP2WindowBelowZero(t *testing.T) {
	const size = 4000
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", size)) }))
	f := g.frames()
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1000})
	f.request(1, get...)
	f.data(1000)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100}) // the window is -900
	f.WriteWindowUpdate(1, 950)
	f.data(50)
	f.WriteWindowUpdate(1, size)
	f.data(size - 1050)
}

// data reads as many bytes of bodies. There must not be more.
func (f *framer) data(n int) {
	f.t.Helper()
	for n > 0 {
		frame, err := f.ReadFrame()
		if err != nil {
			f.t.Fatalf("%d bytes are missing: %v", n, err)
		}
		if d, ok := frame.(*http2.DataFrame); ok {
			n -= len(d.Data())
		}
	}
	if n < 0 {
		f.t.Fatalf("%d bytes more than fit", -n)
	}
}

// A head in continuations without end costs the connection, not the gateway's memory (CVE-2024-27316), and so does a head that
// is small on the wire alone.
func TestHTTP2EndlessHeads(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	f := g.frames()
	go io.Copy(io.Discard, f.r)
	b := f.fields(get...)
	err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b, EndStream: true})
	piece := f.fields("x-long", strings.Repeat("y", 8000))
	sent := 0
	for ; err == nil && sent < 256<<20; sent += len(piece) {
		err = f.WriteContinuation(1, false, piece)
	}
	if err == nil {
		t.Errorf("%d bytes of one head were taken", sent)
	}
	bomb := g.frames()
	block := bomb.fields(append(slices.Clone(get), "x-bomb", strings.Repeat("z", 3000))...)
	for range 8000 {
		block = append(block, 0xbe) // the newest entry of the table once more: 3 KB each
	}
	bomb.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true})
	if got := bomb.outcome(1); got != "431" && got != "closed" && !strings.HasPrefix(got, "goodbye") && !strings.HasPrefix(got, "reset") {
		t.Errorf("a head of 24 MB: %s", got)
	}
	again := g.frames()
	if again.request(1, get...); again.outcome(1) != "200" {
		t.Error("afterwards the gateway does not serve")
	}
}
