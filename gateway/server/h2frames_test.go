package server_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// framer is a client that says HTTP/2 frame by frame.
type framer struct {
	*client
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
}

// frames opens a connection and exchanges the prefaces.
func (g *gateway) frames() *framer {
	g.t.Helper()
	c := g.dial()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	c.send(http2.ClientPreface)
	f := &framer{client: c, Framer: http2.NewFramer(c.Conn, c.r)}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.enc = hpack.NewEncoder(&f.block)
	if err := f.WriteSettings(); err != nil {
		g.t.Fatal(err)
	}
	return f
}

// fields encodes name, value pairs.
func (f *framer) fields(pairs ...string) []byte {
	f.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		f.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(f.block.Bytes())
}

var get = []string{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "h"}

// request sends a request without a body.
func (f *framer) request(stream uint32, pairs ...string) {
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.fields(pairs...), EndStream: true, EndHeaders: true})
}

// outcome reads frames until the fate of a stream is known: its status, or the code of its reset, of the connection's
// goodbye, or "closed".
func (f *framer) outcome(stream uint32) string {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch fr := frame.(type) {
		case *http2.MetaHeadersFrame:
			if fr.StreamID == stream {
				return fr.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if fr.StreamID == stream {
				return "reset " + fr.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return "goodbye " + fr.ErrCode.String()
		}
	}
}

// Cases of the kind that h2spec has (RFC 9113, by section). Each ends its stream or its connection as the section says, and a
// further connection is served all the same.
func TestHTTP2FrameByFrame(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Read", strconv.FormatInt(n, 10))
		io.WriteString(w, "hello")
	}))
	f := func(name string, send func(f *framer), want ...string) {
		t.Helper()
		fr := g.frames()
		send(fr)
		got := fr.outcome(1)
		ok := false
		for _, w := range want {
			ok = ok || got == w
		}
		if !ok {
			t.Errorf("%s: %s, want one of %q", name, got, want)
		}
		fr.Conn.Close()
		again := g.frames()
		if again.request(1, get...); again.outcome(1) != "200" {
			t.Errorf("after %s the gateway does not serve", name)
		}
		again.Conn.Close()
	}
	protocol := []string{"goodbye PROTOCOL_ERROR", "closed"}
	malformed := []string{"reset PROTOCOL_ERROR", "400", "goodbye PROTOCOL_ERROR", "closed"}
	f("a request", func(f *framer) { f.request(1, get...) }, "200")
	f("an unknown frame (4.1)", func(f *framer) {
		f.WriteRawFrame(0x42, 0xff, 0, []byte("ignored"))
		f.request(1, get...)
	}, "200")
	f("a frame that is too large (4.2)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(get...), EndHeaders: true})
		f.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 2<<20))
	}, "goodbye FRAME_SIZE_ERROR", "reset FRAME_SIZE_ERROR", "closed", "200")
	f("fields that do not decompress (4.3)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndStream: true, EndHeaders: true})
	}, "goodbye COMPRESSION_ERROR", "closed")
	f("another stream's frame inside a field block (4.3, 6.10)", func(f *framer) {
		b := f.fields(get...)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:2], EndStream: true})
		f.WriteData(3, true, nil)
	}, protocol...)
	f("a continuation without a block (6.10)", func(f *framer) { f.WriteContinuation(1, true, f.fields(get...)) }, protocol...)
	f("a block in pieces (6.10)", func(f *framer) {
		b := f.fields(get...)
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:1], EndStream: true})
		f.WriteContinuation(1, false, b[1:3])
		f.WriteContinuation(1, true, b[3:])
	}, "200")
	f("a stream of the server's number (5.1.1)", func(f *framer) { f.request(2, get...) }, protocol...)
	f("a stream of a lower number (5.1.1)", func(f *framer) {
		f.request(5, get...)
		f.request(3, get...)
	}, protocol...)
	f("data on an idle stream (5.1)", func(f *framer) { f.WriteData(1, true, []byte("x")) }, protocol...)
	f("data after the end of a stream (5.1)", func(f *framer) {
		f.request(1, get...)
		f.WriteData(1, true, []byte("x"))
	}, "200", "reset STREAM_CLOSED", "goodbye STREAM_CLOSED", "goodbye PROTOCOL_ERROR", "closed")
	f("data on stream 0 (6.1)", func(f *framer) { f.WriteRawFrame(http2.FrameData, 0, 0, []byte("x")) }, protocol...)
	f("padding longer than the frame (6.1)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(get...), EndHeaders: true})
		f.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, 1, []byte{9, 1})
	}, protocol...)
	f("fields on stream 0 (6.2)", func(f *framer) { f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, f.fields(get...)) }, protocol...)
	f("a reset of stream 0 (6.4)", func(f *framer) { f.WriteRawFrame(http2.FrameRSTStream, 0, 0, make([]byte, 4)) }, protocol...)
	f("a reset of an idle stream (6.4)", func(f *framer) { f.WriteRSTStream(1, http2.ErrCodeCancel) }, protocol...)
	f("settings of another length (6.5)", func(f *framer) { f.WriteRawFrame(http2.FrameSettings, 0, 0, make([]byte, 5)) }, "goodbye FRAME_SIZE_ERROR", "closed")
	f("settings of a stream (6.5)", func(f *framer) { f.WriteRawFrame(http2.FrameSettings, 0, 1, nil) }, protocol...)
	f("a window that is too large (6.5.2)", func(f *framer) {
		f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31})
	}, "goodbye FLOW_CONTROL_ERROR", "closed")
	f("a largest frame that is too small (6.5.2)", func(f *framer) {
		f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1})
	}, protocol...)
	f("a push of the client's (8.4)", func(f *framer) {
		f.WriteRawFrame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, append([]byte{0, 0, 0, 2}, f.fields(get...)...))
	}, protocol...)
	f("a ping of another length (6.7)", func(f *framer) { f.WriteRawFrame(http2.FramePing, 0, 0, make([]byte, 6)) }, "goodbye FRAME_SIZE_ERROR", "closed")
	f("a ping of a stream (6.7)", func(f *framer) { f.WriteRawFrame(http2.FramePing, 0, 1, make([]byte, 8)) }, protocol...)
	f("a window update of 0 (6.9)", func(f *framer) { f.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)) }, protocol...)
	f("a window that overflows (6.9.1)", func(f *framer) {
		f.WriteWindowUpdate(0, 1<<31-1)
		f.WriteWindowUpdate(0, 1<<31-1)
	}, "goodbye FLOW_CONTROL_ERROR", "closed")
	bad := func(name string, pairs ...string) {
		t.Helper()
		f(name, func(f *framer) { f.request(1, pairs...) }, malformed...)
	}
	bad("a name in upper case (8.2)", append(get, "X-A", "b")...)
	bad("Connection (8.2.2)", append(get, "connection", "keep-alive")...)
	bad("TE other than trailers (8.2.2)", append(get, "te", "gzip")...)
	bad("a pseudo-header that is not known (8.3)", append([]string{":x", "y"}, get...)...)
	bad("a pseudo-header of responses (8.3)", append([]string{":status", "200"}, get...)...)
	bad("a pseudo-header after a field (8.3)", ":method", "GET", ":scheme", "http", ":path", "/", "x-a", "b", ":authority", "h")
	bad("no method (8.3.1)", ":scheme", "http", ":path", "/", ":authority", "h")
	bad("no path (8.3.1)", ":method", "GET", ":scheme", "http", ":authority", "h")
	bad("no scheme (8.3.1)", ":method", "GET", ":path", "/", ":authority", "h")
	bad("an empty path (8.3.1)", ":method", "GET", ":scheme", "http", ":path", "", ":authority", "h")
	bad("a method twice (8.3)", append([]string{":method", "GET"}, get...)...)
	f("less data than Content-Length says (8.1.1)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "h", "content-length", "5"), EndHeaders: true})
		f.WriteData(1, true, []byte("x"))
	}, "reset PROTOCOL_ERROR", "400", "502")
	f("more data than Content-Length says (8.1.1)", func(f *framer) {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "h", "content-length", "1"), EndHeaders: true})
		f.WriteData(1, true, []byte("xyz"))
	}, "reset PROTOCOL_ERROR", "400", "502")
}

// A ping is answered with what it held, and a client that does not open its window gets no more than fits.
func TestHTTP2Windows(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 10)) }))
	f := g.frames()
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	f.WritePing(false, [8]byte{1, 2, 3})
	f.request(1, get...)
	got, pong := "", false
	for len(got) < 10 || !pong {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatalf("%q, then %v", got, err)
		}
		switch fr := frame.(type) {
		case *http2.PingFrame:
			pong = fr.IsAck() && fr.Data == [8]byte{1, 2, 3}
		case *http2.DataFrame:
			if len(fr.Data()) > 1 {
				t.Fatalf("%d bytes in a window of 1", len(fr.Data()))
			}
			got += string(fr.Data())
			if len(fr.Data()) == 1 {
				f.WriteWindowUpdate(1, 1)
			}
		}
	}
}

// A flood of resets, settings or pings costs the connection, or nothing, and never the gateway (RFC 9113, 10.5; rapid reset).
func TestHTTP2Floods(t *testing.T) {
	g := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	floods := map[string]func(f *framer, i uint32) error{
		"resets": func(f *framer, i uint32) error {
			f.request(2*i+1, get...)
			return f.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		},
		"settings": func(f *framer, _ uint32) error { return f.WriteSettings() },
		"pings":    func(f *framer, _ uint32) error { return f.WritePing(false, [8]byte{}) },
		"empty data": func(f *framer, i uint32) error {
			if i == 0 {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(":method", "POST", ":scheme", "http", ":path", "/", ":authority", "h"), EndHeaders: true})
			}
			return f.WriteData(1, false, nil)
		},
	}
	for name, send := range floods {
		f := g.frames()
		go io.Copy(io.Discard, f.r)
		var err error
		for i := uint32(0); i < 20000 && err == nil; i++ {
			err = send(f, i)
		}
		f.Conn.Close()
		again := g.frames()
		if again.request(1, get...); again.outcome(1) != "200" {
			t.Errorf("after a flood of %s the gateway does not serve", name)
		}
		again.Conn.Close()
	}
	eventually(t, "no request is left over", func() bool { return g.metric("nantian_connections") == "0" })
}
