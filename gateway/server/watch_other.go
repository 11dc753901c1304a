//go:build unix && !linux

package server

import (
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// hangups tells when clients leave, by a goroutine that looks at the connection twenty times a second while somebody
// waits. Linux has a better way (watch_linux.go).
type hangups struct{ stop chan struct{} }

func newHangups() (*hangups, error) { return &hangups{stop: make(chan struct{})}, nil }

func (w *hangups) run()   { <-w.stop }
func (w *hangups) close() { close(w.stop) }

func (w *hangups) watch(c net.Conn) exchange.Watch {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return func(gone func()) func() {
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { poll(raw, done, gone) })
		return sync.OnceFunc(func() { close(done); wg.Wait() })
	}
}

func poll(raw syscall.RawConn, done <-chan struct{}, gone func()) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if hungUp(raw) {
				gone()
				return
			}
		}
	}
}

func hungUp(raw syscall.RawConn) (gone bool) {
	err := raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
	return gone || err != nil
}
