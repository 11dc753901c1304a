package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// h2Window is how much a server may send on a connection before it is told of more; a stream has as much.
	h2Window = 1 << 30
	// h2Streams is how many requests a connection has under way at most.
	h2Streams = 100
)

// H2Request is a request that is sent over and over: its fields are encoded once, without the dynamic table.
type H2Request struct {
	fields []byte
	body   []byte
}

// NewH2Request is a POST of body.
func NewH2Request(host, path, contentType string, body []byte) *H2Request {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	e.SetMaxDynamicTableSize(0)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":authority", host}, {":path", path}, {"content-type", contentType}, {"user-agent", "nantian-benchmarks"},
		{"te", "trailers"}, {"authorization", "Bearer benchmark"}, {"content-length", strconv.Itoa(len(body))},
	} {
		e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return &H2Request{fields: b.Bytes(), body: body}
}

// h2Conn is a connection of HTTP/2 with prior knowledge (RFC 9113, 3.3) that several workers share. It speaks as much of it as servers
// of the benchmark need.
type h2Conn struct {
	net    net.Conn
	framer *http2.Framer

	mu      sync.Mutex // of what follows, and of writing
	room    *sync.Cond
	next    uint32
	streams map[uint32]*h2Stream
	window  int64 // what may be sent
	err     error
	got     int64 // received since the server was last told that there is room
}

// h2Stream is a request under way. done has one result.
type h2Stream struct {
	done   chan error
	scan   *scanner
	status string
}

func dialH2(addr string) (*h2Conn, error) {
	nc, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	c := &h2Conn{net: nc, next: 1, streams: map[uint32]*h2Stream{}, window: 65535}
	c.room = sync.NewCond(&c.mu)
	c.framer = http2.NewFramer(nc, nc)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(nc, http2.ClientPreface)
	err = errors.Join(err,
		c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: h2Window}),
		c.framer.WriteWindowUpdate(0, h2Window))
	if err != nil {
		nc.Close()
		return nil, err
	}
	go c.read()
	return c, nil
}

// do sends a request and waits for the end of its answer.
func (c *h2Conn) do(r *H2Request, s *scanner) error {
	st := &h2Stream{done: make(chan error, 1), scan: s}
	if err := c.send(r, st); err != nil {
		return err
	}
	return <-st.done
}

func (c *h2Conn) send(r *H2Request, st *h2Stream) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && c.window < int64(len(r.body)) {
		c.room.Wait()
	}
	if c.err != nil {
		return c.err
	}
	id := c.next
	c.next += 2
	c.streams[id] = st
	c.window -= int64(len(r.body))
	return errors.Join(
		c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: r.fields, EndHeaders: true}),
		c.framer.WriteData(id, true, r.body))
}

// read takes frames until the connection ends.
func (c *h2Conn) read() {
	for {
		f, err := c.framer.ReadFrame()
		if err == nil {
			err = c.take(f)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// fail ends all that is under way.
func (c *h2Conn) fail(err error) {
	c.net.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for id, st := range c.streams {
		delete(c.streams, id)
		st.done <- err
	}
	c.room.Broadcast()
}

func (c *h2Conn) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		c.headers(f)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.SettingsFrame:
		if !f.IsAck() {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 {
			c.mu.Lock()
			c.window += int64(f.Increment)
			c.mu.Unlock()
			c.room.Broadcast()
		}
	case *http2.RSTStreamFrame:
		c.end(f.StreamID, fmt.Errorf("stream reset: %v", f.ErrCode))
	case *http2.GoAwayFrame:
		return fmt.Errorf("goaway: %v", f.ErrCode)
	}
	return nil
}

// headers takes a head, or the trailer. A call of gRPC has its status in one of them.
func (c *h2Conn) headers(f *http2.MetaHeadersFrame) {
	st := c.stream(f.StreamID)
	if st == nil {
		return
	}
	var err error
	for _, h := range f.Fields {
		switch h.Name {
		case ":status":
			if st.status = h.Value; st.status != "200" {
				err = fmt.Errorf("answered %s", h.Value)
			}
		case "grpc-status":
			if h.Value != "0" {
				err = fmt.Errorf("answered with gRPC's status %s", h.Value)
			}
		}
	}
	if err != nil || f.StreamEnded() {
		c.end(f.StreamID, err)
	}
}

func (c *h2Conn) data(f *http2.DataFrame) error {
	st := c.stream(f.StreamID)
	if st != nil {
		st.scan.scan(f.Data())
	}
	if f.StreamEnded() {
		c.end(f.StreamID, nil)
	}
	if c.got += int64(f.Length); c.got < h2Window/4 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := uint32(c.got)
	c.got = 0
	return c.framer.WriteWindowUpdate(0, n)
}

func (c *h2Conn) stream(id uint32) *h2Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id]
}

func (c *h2Conn) end(id uint32, err error) {
	c.mu.Lock()
	st := c.streams[id]
	delete(c.streams, id)
	c.mu.Unlock()
	if st != nil {
		st.done <- err
	}
}

// h2Client shares connections among workers: each belongs to one of them.
type h2Client struct {
	addr    string
	request *H2Request

	mu   sync.Mutex
	conn *h2Conn
}

// get is the connection, made anew where it broke.
func (c *h2Client) get() (*h2Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.mu.Lock()
		broken := c.conn.err != nil
		c.conn.mu.Unlock()
		if !broken {
			return c.conn, nil
		}
	}
	var err error
	c.conn, err = dialH2(c.addr)
	return c.conn, err
}

func (c *h2Client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.net.Close()
	}
}

func (c *h2Client) do(s *scanner) error {
	conn, err := c.get()
	if err != nil {
		return err
	}
	return conn.do(c.request, s)
}
