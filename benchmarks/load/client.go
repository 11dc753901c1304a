package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// patience is how long a connection may take over one request, paced streams included.
const patience = 2 * time.Minute

// client is a connection that speaks as much HTTP/1.1 as servers of the benchmark do. It belongs to one goroutine.
type client struct {
	addr  string
	conn  net.Conn
	buf   []byte
	r, w  int // what was read and not consumed
	until time.Time
}

// open connects, unless that has been done.
func (c *client) open() error {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.addr, 5*time.Second)
		if err != nil {
			return err
		}
		c.conn, c.r, c.w, c.until = conn, 0, 0, time.Time{}
		if c.buf == nil {
			c.buf = make([]byte, 16<<10)
		}
	}
	if now := time.Now(); c.until.Sub(now) < patience/2 {
		c.until = now.Add(patience)
		return c.conn.SetDeadline(c.until)
	}
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// do writes a request and reads the answer to its end. Stamps are looked for if s wants any. Anything but a status of 200
// is an error.
func (c *client) do(request []byte, s *scanner) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	length, err := c.readHead()
	if err != nil {
		return err
	}
	if length >= 0 {
		return c.readLength(length)
	}
	return c.readChunks(s)
}

var (
	errHead  = errors.New("malformed head of an answer")
	errChunk = errors.New("malformed chunk of an answer")
)

// readHead reads a head and gives the length of the body; -1: chunks.
func (c *client) readHead() (length int, err error) {
	for {
		if i := bytes.Index(c.buf[c.r:c.w], []byte("\r\n\r\n")); i >= 0 {
			head := c.buf[c.r : c.r+i+2]
			c.r += i + 4
			return parseHead(head)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

func parseHead(head []byte) (length int, err error) {
	line, fields, ok := bytes.Cut(head, []byte("\r\n"))
	if !ok || len(line) < len("HTTP/1.1 200") {
		return 0, errHead
	}
	if string(line[9:12]) != "200" {
		return 0, fmt.Errorf("answered %q", line)
	}
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			return strconv.Atoi(string(bytes.TrimSpace(value)))
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return -1, nil
		}
	}
	return 0, errHead
}

// fill reads more.
func (c *client) fill() error {
	if c.r == c.w {
		c.r, c.w = 0, 0
	}
	if c.w == len(c.buf) {
		if c.r == 0 {
			return errHead
		}
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	n, err := c.conn.Read(c.buf[c.w:])
	c.w += n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (c *client) readLength(n int) error {
	for {
		got := min(n, c.w-c.r)
		c.r += got
		if n -= got; n == 0 {
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

func (c *client) readChunks(s *scanner) error {
	for {
		line, err := c.readLine()
		if err != nil {
			return err
		}
		n, err := chunkSize(line)
		if err != nil {
			return err
		}
		if n > 0 {
			err = c.readChunk(n, s)
		}
		if err != nil {
			return err
		}
		if line, err = c.readLine(); err != nil {
			return err
		}
		if len(line) != 0 {
			return errChunk
		}
		if n == 0 {
			return nil
		}
	}
}

// readLine reads to the next CRLF; the line is valid until more is read.
func (c *client) readLine() ([]byte, error) {
	for {
		if i := bytes.IndexByte(c.buf[c.r:c.w], '\n'); i >= 0 {
			line := c.buf[c.r : c.r+i]
			c.r += i + 1
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

func chunkSize(line []byte) (n int, err error) {
	for _, b := range line {
		switch {
		case '0' <= b && b <= '9':
			n = n<<4 | int(b-'0')
		case 'a' <= b && b <= 'f':
			n = n<<4 | int(b-'a'+10)
		case 'A' <= b && b <= 'F':
			n = n<<4 | int(b-'A'+10)
		default:
			return 0, errChunk
		}
	}
	if len(line) == 0 || len(line) > 7 {
		return 0, errChunk
	}
	return n, nil
}

func (c *client) readChunk(n int, s *scanner) error {
	for n > 0 {
		if c.r == c.w {
			if err := c.fill(); err != nil {
				return err
			}
		}
		got := min(n, c.w-c.r)
		s.scan(c.buf[c.r : c.r+got])
		c.r += got
		n -= got
	}
	return nil
}

// scanner finds stamps, "@", 19 digits, "#", in text that comes in pieces.
type scanner struct {
	found  func(nanos int64) // nil: nothing is looked for
	digits int               // of the stamp that has begun, plus one for the "@"
	value  int64
}

func (s *scanner) scan(p []byte) {
	if s.found == nil {
		return
	}
	for len(p) > 0 {
		if s.digits == 0 {
			i := bytes.IndexByte(p, '@')
			if i < 0 {
				return
			}
			p, s.digits, s.value = p[i+1:], 1, 0
			continue
		}
		switch b := p[0]; {
		case '0' <= b && b <= '9' && s.digits <= 19:
			s.value = s.value*10 + int64(b-'0')
			s.digits++
		case b == '#' && s.digits == 20:
			s.found(s.value)
			s.digits = 0
		case b == '@':
			s.digits, s.value = 1, 0
		default:
			s.digits = 0
		}
		p = p[1:]
	}
}
