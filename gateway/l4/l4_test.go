package l4

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// greeting is the first flight of Go's TLS client.
func greeting(t testing.TB, cfg *tls.Config) []byte {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, cfg).Handshake()
		client.Close()
	}()
	_, b, err := ReadHello(server)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// split cuts a flight of one record into several.
func split(flight []byte, size int) (out []byte) {
	for message := flight[recordHead:]; len(message) > 0; {
		n := min(size, len(message))
		out = append(out, handshakeType, 3, 1, byte(n>>8), byte(n))
		out, message = append(out, message[:n]...), message[n:]
	}
	return out
}

func TestServerName(t *testing.T) {
	for _, name := range []string{"db.example.com", strings.Repeat("a.", 100) + "com", ""} {
		flight := greeting(t, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2", "x"}})
		for _, b := range [][]byte{flight, split(flight, 1), split(flight, 100)} {
			for _, r := range []io.Reader{bytes.NewReader(append(b, "early data"...)), iotest.OneByteReader(bytes.NewReader(b))} {
				h, ahead, err := ReadHello(r)
				if err != nil || h.ServerName != name || !bytes.HasPrefix(ahead, b) {
					t.Errorf("%q: got %q, %v, %d of %d bytes", name, h.ServerName, err, len(ahead), len(b))
				}
			}
		}
	}
}

func TestNoClientHello(t *testing.T) {
	f := func(text string, want error) {
		t.Helper()
		if _, _, err := ReadHello(strings.NewReader(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, not %v", text, err, want)
		}
	}
	f("GET / HTTP/1.1\r\n", errNotTLS)
	f("\x16\x10\x01\x00\x04", errNotTLS)
	f("\x16\x00\x00\x00\x04\x01", io.EOF)
	f("\x16\x03\x01\x00\x00", errHello)
	f("\x16\x03\x01\x40\x01", errHello)
	f("\x16\x03\x01\x00\x04\x02\x00\x00\x00", errNotTLS)
	f("\x16\x03\x01\x00\x04\x01\x01\x00\x00", errHelloSize)
	f("\x16\x03\x01\x00\x10", io.EOF)
	f("", io.EOF)
}

// What crypto/tls reads as a ClientHello has the same server name here; nothing panics, and nothing is asked for without end.
func FuzzHello(f *testing.F) {
	// A short one: keys for quantum computers would be most of it.
	flight := greeting(f, &tls.Config{ServerName: "db.example.com", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}})
	f.Add(flight)
	f.Add(split(flight, 7))
	f.Add([]byte("\x16\x03\x01\x00\x04\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, need, err := ParseHello(b)
		if err == nil && need > len(b) && need > len(b)+recordHead+maxRecord {
			t.Fatalf("%d bytes needed beside %d", need, len(b))
		}
		theirs, ok := goHello(b)
		if alerted(b) {
			return
		}
		if ok && (err != nil || need > len(b) || h.ServerName != theirs) {
			t.Errorf("%q, %v; crypto/tls says %q", h.ServerName, err, theirs)
		}
	})
}

// alerted tells if there is a record of an alert: crypto/tls passes over warnings before the ClientHello, and we take them for
// no TLS, since nothing can have been wrong before it.
func alerted(b []byte) bool {
	for len(b) >= recordHead && b[0] != 21 {
		b = b[min(len(b), recordHead+int(binary.BigEndian.Uint16(b[3:]))):]
	}
	return len(b) > 0 && b[0] == 21
}

// goHello is the server name that crypto/tls reads.
func goHello(b []byte) (name string, ok bool) {
	stop := errors.New("stop")
	s := tls.Server(&wire{Reader: bytes.NewReader(b)}, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = h.ServerName, true
		return nil, stop
	}})
	s.Handshake()
	return name, ok
}

// wire is a connection that says what its reader has.
type wire struct {
	net.Conn
	io.Reader
}

func (w *wire) Read(b []byte) (int, error)       { return w.Reader.Read(b) }
func (w *wire) Write(b []byte) (int, error)      { return len(b), nil }
func (w *wire) Close() error                     { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func proxied(client, local string) Proxied {
	return Proxied{netip.MustParseAddrPort(client), netip.MustParseAddrPort(local)}
}

func TestProxyHeaders(t *testing.T) {
	f := func(text string, want Proxied, ok bool) {
		t.Helper()
		r := strings.NewReader(text + "rest")
		got, err := ReadProxy(r)
		if got != want || (err == nil) != ok {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if rest, _ := io.ReadAll(r); ok && string(rest) != "rest" {
			t.Errorf("%q: %q is left", text, rest)
		}
	}
	v4, v6 := proxied("192.0.2.1:56324", "198.51.100.2:443"), proxied("[2001:db8::1]:1", "[2001:db8::2]:65535")
	f("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", v4, true)
	f("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", v6, true)
	f("PROXY UNKNOWN\r\n", Proxied{}, true)
	f("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Proxied{}, true)
	f("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", Proxied{}, false)
	f("PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n", Proxied{}, false)
	f("PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n", Proxied{}, false)
	f("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n", Proxied{}, false)
	f("PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n", Proxied{}, false)
	f("GET / HTTP/1.1\r\n", Proxied{}, false)
	f(string(signature)+"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb", v4, true)
	f(string(signature)+"\x21\x11\x00\x0f\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb\x04\x00\x00", v4, true) // with a TLV
	f(string(signature)+"\x20\x00\x00\x00", Proxied{}, true)
	f(string(signature)+"\x21\x31\x00\x02ab", Proxied{}, true)
	f(string(signature)+"\x21\x11\x00\x0b\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01", Proxied{}, false)
	f(string(signature)+"\x11\x11\x00\x00", Proxied{}, false)
	f(string(signature)+"\x22\x11\x00\x00", Proxied{}, false)
	f(string(signature)+"\x21\x11\x10\x01", Proxied{}, false)
	for _, version := range []int{1, 2} {
		for _, p := range []Proxied{v4, v6, {}} {
			f(string(AppendProxy(nil, version, p)), p, true)
		}
		f(string(AppendProxy(nil, version, Proxied{v4.Client, v6.Local})), Proxied{}, true)
	}
}

// Whatever is read as a header is bounded, and what it says is written the same again.
func FuzzProxy(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"))
	f.Add(append(bytes.Clone(signature), "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		p, err := ReadProxy(r)
		if used := len(b) - r.Len(); used > maxProxy2+16 {
			t.Fatalf("%d bytes read", used)
		}
		if err != nil {
			return
		}
		for _, version := range []int{1, 2} {
			again, err := ReadProxy(bytes.NewReader(AppendProxy(nil, version, p)))
			if err != nil || again != p && p.Client.Addr().Is4() == p.Local.Addr().Is4() {
				t.Errorf("%v became %v, %v", p, again, err)
			}
		}
	})
}

// pair is two ends of a TCP connection.
func pair(t testing.TB) (a, b *net.TCPConn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// ended is what Run returned.
type ended struct {
	received, sent int64
	outcome        Outcome
}

// joined joins the inner ends of two connections; wrap may put something over one.
func joined(t testing.TB, idle time.Duration) (client, backend *net.TCPConn, j *Join, end chan ended) {
	client, front := pair(t)
	backend, back := pair(t)
	j, end = NewJoin(front, back, idle), make(chan ended, 1)
	go func() {
		r, s, o := j.Run()
		end <- ended{r, s, o}
	}()
	return client, backend, j, end
}

func TestHalfCloseIsKept(t *testing.T) {
	client, backend, _, end := joined(t, 0)
	big := bytes.Repeat([]byte("0123456789"), 1<<20)
	go func() {
		client.Write(big)
		client.CloseWrite()
	}()
	got, err := io.ReadAll(backend)
	if err != nil || !bytes.Equal(got, big) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := backend.Write([]byte("after the end")); err != nil {
		t.Fatal(err)
	}
	backend.Close()
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != "after the end" {
		t.Errorf("%q, %v", answer, err)
	}
	client.Close()
	if e := <-end; e != (ended{int64(len(big)), 13, OK}) {
		t.Errorf("%+v", e)
	}
}

func TestBreakIsABreak(t *testing.T) {
	client, backend, _, end := joined(t, 0)
	client.Write([]byte("x"))
	io.ReadFull(backend, make([]byte, 1))
	client.SetLinger(0)
	client.Close()
	if _, err := io.ReadAll(backend); err == nil {
		t.Error("the backend takes a broken connection for a finished one")
	}
	if e := <-end; e.outcome != Reset {
		t.Errorf("%+v", e)
	}
}

func TestIdleEnds(t *testing.T) {
	client, _, _, end := joined(t, 50*time.Millisecond)
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the idle connection goes on")
	}
	if e := <-end; e.outcome != Idle {
		t.Errorf("%+v", e)
	}
}

// One direction keeps the other alive.
func TestOneDirectionIsNotIdle(t *testing.T) {
	client, backend, _, end := joined(t, time.Second)
	begin := time.Now()
	for time.Since(begin) < 3*time.Second {
		if _, err := backend.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	client.Close()
	backend.Close()
	<-end
}

func TestStopEnds(t *testing.T) {
	client, _, j, end := joined(t, 0)
	j.Stop()
	if e := <-end; e.outcome != Cut {
		t.Errorf("%+v", e)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("the client was not cut")
	}
}
