package server

import (
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/nantian-gw/nantian/gateway/exchange"
)

// hangups tells when clients leave: one epoll instance for all connections, which are added only while somebody waits.
// EPOLLRDHUP sees the end of a connection though pipelined bytes lie before it, and under TLS as well.
type hangups struct {
	epfd, stop int // stop is an eventfd that ends run
	next       atomic.Uint64

	mu   sync.Mutex
	gone map[uint64]*hangup
}

// hangup is one connection being watched.
type hangup struct {
	mu   sync.Mutex
	call func()
}

func (h *hangup) fire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.call != nil {
		h.call()
		h.call = nil
	}
}

func (h *hangup) disarm() {
	h.mu.Lock()
	h.call = nil
	h.mu.Unlock()
}

func newHangups() (*hangups, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, stop, event(unix.EPOLLIN, stopID))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &hangups{epfd: fd, stop: stop, gone: map[uint64]*hangup{}}, nil
}

// run waits for events until close.
func (w *hangups) run() {
	events := make([]unix.EpollEvent, 128)
	for {
		n, err := unix.EpollWait(w.epfd, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			if w.dispatch(uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32) == stopID {
				unix.Close(w.epfd)
				unix.Close(w.stop)
				return
			}
		}
	}
}

// stopID is the event of the descriptor that ends run.
const stopID = 0

func (w *hangups) dispatch(id uint64) uint64 {
	w.mu.Lock()
	h := w.gone[id]
	delete(w.gone, id)
	w.mu.Unlock()
	if h != nil {
		h.fire()
	}
	return id
}

// close ends run. No connection may be watched after it.
func (w *hangups) close() { unix.Write(w.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func event(events uint32, id uint64) *unix.EpollEvent {
	return &unix.EpollEvent{Events: events, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
}

// watch makes the exchange.Watch of a connection; c is the raw connection, below TLS.
func (w *hangups) watch(c net.Conn) exchange.Watch {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return func(gone func()) func() { return w.arm(raw, gone) }
}

func (w *hangups) arm(raw syscall.RawConn, gone func()) func() {
	id := w.next.Add(1)
	h := &hangup{call: gone}
	w.mu.Lock()
	w.gone[id] = h
	w.mu.Unlock()
	raw.Control(func(fd uintptr) {
		unix.EpollCtl(w.epfd, unix.EPOLL_CTL_ADD, int(fd), event(unix.EPOLLRDHUP|unix.EPOLLONESHOT, id))
	})
	return func() {
		h.disarm()
		w.mu.Lock()
		delete(w.gone, id)
		w.mu.Unlock()
		raw.Control(func(fd uintptr) { unix.EpollCtl(w.epfd, unix.EPOLL_CTL_DEL, int(fd), nil) })
	}
}
