//go:build unix

package simulator

import (
	"net"
	"syscall"
)

// left blocks until the peer closes conn (true), sends more (a pipelined request), or a read deadline passes (false). It
// looks without taking bytes. A TLS connection is watched below TLS, where a closing peer may look like one that sends.
func left(conn net.Conn) bool {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		for {
			n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if err == syscall.EINTR {
				continue
			}
			if err == syscall.EAGAIN {
				return false
			}
			gone = err != nil || n == 0
			return true
		}
	})
	return err == nil && gone
}
