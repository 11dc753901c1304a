package upstream

import (
	"net"
	"syscall"
)

type syscallRawConn = syscall.RawConn

// halfCloser is a net.Conn with CloseWrite, which TCP and TLS connections have.
type halfCloser struct{ net.Conn }

// CloseWrite ends the writing half, or the whole connection where there are no halves.
func (h *halfCloser) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return h.Conn.Close()
}

// peekQuiet says whether an idle connection is open and silent, by one look that consumes nothing and does not wait.
func peekQuiet(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && quiet
}
