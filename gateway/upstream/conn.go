package upstream

import (
	"net"
	"syscall"
)

// halfCloser is a net.Conn with CloseWrite, which TCP and TLS connections have.
type halfCloser struct{ net.Conn }

// CloseWrite ends the writing half, or the whole connection where there are no halves.
func (h *halfCloser) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return h.Conn.Close()
}

// look sees whether an idle connection is open and silent: whatever it has to say unasked is not the answer to the next
// request. It consumes nothing, does not wait and does not allocate.
type look struct {
	raw   syscall.RawConn // nil: cannot be looked at
	peek  func(fd uintptr)
	quiet bool
}

// at prepares looking at c, the connection below TLS.
func (l *look) at(c net.Conn) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	l.raw = raw
	l.peek = func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		l.quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
	}
}

// alive says that the connection can take a request. The deadline of the call before does not matter to it, as it would to
// raw.Read.
func (l *look) alive() bool {
	if l.raw == nil {
		return true
	}
	l.quiet = false
	return l.raw.Control(l.peek) == nil && l.quiet
}
