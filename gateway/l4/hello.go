package l4

import (
	"encoding/binary"
	"errors"
	"io"
)

// MaxHello bounds the bytes of a ClientHello with its record headers. Those with keys for quantum computers have 2 KiB.
const MaxHello = 32 << 10

// Hello is what is read of a ClientHello.
type Hello struct {
	// ServerName is the host name of the server_name extension (RFC 6066, section 3) as it stands there; empty: none.
	ServerName string
}

var (
	errNotTLS    = errors.New("no TLS ClientHello")
	errHello     = errors.New("malformed ClientHello")
	errHelloSize = errors.New("the ClientHello is too large")
)

// ReadHello reads from r until the ClientHello is whole. ahead is all that was read.
func ReadHello(r io.Reader) (h Hello, ahead []byte, err error) {
	buf := make([]byte, 0, 2<<10)
	for need := recordHead; ; {
		if need > MaxHello {
			return h, buf, errHelloSize
		}
		for len(buf) < need {
			if len(buf) == cap(buf) {
				buf = append(buf, 0)[:len(buf)]
			}
			n, err := r.Read(buf[len(buf):min(cap(buf), MaxHello)])
			if buf = buf[:len(buf)+n]; err != nil && len(buf) < need {
				return h, buf, err
			}
		}
		if h, need, err = ParseHello(buf); err != nil || need <= len(buf) {
			return h, buf, err
		}
	}
}

const (
	recordHead    = 5 // type, version, length (RFC 8446, section 5.1)
	handshakeHead = 4 // type, length (section 4)
	maxRecord     = 1 << 14
	handshakeType = 22
	clientHello   = 1
)

// ParseHello reads the ClientHello that b begins with. When more bytes are needed, need is how many b must have at least
// before it is worth another try; it is at most len(b) when the ClientHello is there.
func ParseHello(b []byte) (h Hello, need int, err error) {
	var message []byte // of the handshake, without record headers
	for at, want := 0, handshakeHead; len(message) < want; {
		if len(b) < at+recordHead {
			return h, at + recordHead, checkRecord(b[at:])
		}
		if err := checkRecord(b[at:]); err != nil {
			return h, 0, err
		}
		n := int(binary.BigEndian.Uint16(b[at+3:]))
		if len(b) < at+recordHead+n {
			return h, at + recordHead + n, nil
		}
		message = append(message, b[at+recordHead:at+recordHead+n]...)
		at += recordHead + n
		if len(message) < handshakeHead {
			continue
		}
		if message[0] != clientHello {
			return h, 0, errNotTLS
		}
		if want = handshakeHead + uint24(message[1:]); want > MaxHello {
			return h, 0, errHelloSize
		}
		if len(message) >= want {
			message = message[handshakeHead:want]
			break
		}
	}
	h, ok := helloBody(message)
	if !ok {
		return h, 0, errHello
	}
	return h, 0, nil
}

// checkRecord looks at as much of a record's head as is there. The version in it is to be ignored (RFC 8446, section 5.1); as
// crypto/tls does, one that no TLS will ever have tells another protocol.
func checkRecord(b []byte) error {
	switch {
	case len(b) > 0 && b[0] != handshakeType, len(b) > 1 && b[1] >= 0x10:
		return errNotTLS
	case len(b) >= recordHead:
		if n := binary.BigEndian.Uint16(b[3:]); n == 0 || n > maxRecord {
			return errHello
		}
	}
	return nil
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// cursor reads a vector of vectors (RFC 8446, section 3.4).
type cursor []byte

func (c *cursor) skip(n int) bool {
	if len(*c) < n {
		return false
	}
	*c = (*c)[n:]
	return true
}

// vector takes a vector whose length stands in the first size bytes.
func (c *cursor) vector(size int) (cursor, bool) {
	if len(*c) < size {
		return nil, false
	}
	n := 0
	for _, b := range (*c)[:size] {
		n = n<<8 | int(b)
	}
	rest := (*c)[size:]
	if len(rest) < n {
		return nil, false
	}
	*c = rest[n:]
	return rest[:n], true
}

// helloBody reads a ClientHello (RFC 8446, section 4.1.2).
func helloBody(b []byte) (h Hello, ok bool) {
	c := cursor(b)
	if !c.skip(2 + 32) { // version, random
		return h, false
	}
	for _, size := range [3]int{1, 2, 1} { // session id, cipher suites, compression methods
		if _, ok := c.vector(size); !ok {
			return h, false
		}
	}
	if len(c) == 0 {
		return h, true // before TLS 1.2 there could be no extensions
	}
	extensions, ok := c.vector(2)
	if !ok || len(c) > 0 {
		return h, false
	}
	seen := false
	for len(extensions) > 0 {
		if len(extensions) < 2 {
			return h, false
		}
		kind := binary.BigEndian.Uint16(extensions)
		extensions = extensions[2:]
		data, ok := extensions.vector(2)
		if !ok {
			return h, false
		}
		if kind != 0 {
			continue
		}
		if seen {
			return h, false // each extension once
		}
		seen = true
		if h.ServerName, ok = serverName(data); !ok {
			return h, false
		}
	}
	return h, true
}

// serverName reads the server_name extension: at most one name of each type, and one type is defined.
func serverName(c cursor) (name string, ok bool) {
	list, ok := c.vector(2)
	if !ok || len(c) > 0 || len(list) == 0 {
		return "", false
	}
	for len(list) > 0 {
		kind := list[0]
		list = list[1:]
		host, ok := list.vector(2)
		if !ok || len(host) == 0 || kind == 0 && name != "" {
			return "", false
		}
		if kind == 0 {
			name = string(host)
		}
	}
	return name, true
}
