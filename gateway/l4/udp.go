package l4

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const (
	// DefaultDatagramIdle is how long a client of datagrams may be silent, and unanswered, before its session ends.
	DefaultDatagramIdle = time.Minute
	// maxDatagram is what a UDP datagram can hold, and more.
	maxDatagram = 64 << 10
	// quiet is how long nothing has to move before a session may be ended by a shutdown.
	quiet = time.Second
)

// Drop says why a datagram went nowhere; it is a metric label.
type Drop string

// The reasons of drops.
const (
	DropNoRoute   Drop = "no_route"
	DropNoBackend Drop = "no_backend" // its share was that of a reference that is not valid, or no endpoint is there
	DropFull      Drop = "full"       // as many sessions as there may be
	DropDraining  Drop = "draining"
	DropSend      Drop = "send" // the kernel did not take it
)

// Upstream is where the datagrams of one client go.
type Upstream struct {
	// Conn is connected to the endpoint. It gives its place back when it is closed.
	Conn *net.UDPConn
	// Close closes Conn and gives the place back that it has.
	Close func()
	// Valid says whether the table that is served now would still use it; it is asked for every datagram.
	Valid func() bool
	Idle  time.Duration // 0: DefaultDatagramIdle
}

// Datagrams serves one UDP port: a session for each client, with a socket of its own to the endpoint.
type Datagrams struct {
	// Pick finds an upstream for a new client and fills s. It must not take long: the port waits for it.
	Pick func(s *Session) (*Upstream, Drop)
	// Budget bounds the sessions of several ports together.
	Budget   *Budget
	Observer Observer

	conn *net.UDPConn
	// any: the port is open on all addresses, so that an answer has to be told from which it goes out.
	any bool

	mu       sync.Mutex
	sessions map[flow]*session
	draining bool // no new sessions
	wg       sync.WaitGroup
}

// Budget is a number of sessions that several ports share.
type Budget struct {
	Max  int64
	used atomic.Int64
}

func (b *Budget) take() bool {
	if b.used.Add(1) <= b.Max {
		return true
	}
	b.used.Add(-1)
	return false
}

// flow is what tells clients apart: their address and the one of ours that they send to.
type flow struct {
	client netip.AddrPort
	local  netip.Addr
}

type session struct {
	Session
	up             *Upstream
	flow           flow
	control        []byte       // of answers
	moved          atomic.Int64 // nanoseconds since 1970
	received, sent atomic.Int64
}

// Listen opens the port.
func (d *Datagrams) Listen(addr netip.AddrPort) error {
	network := "udp"
	if addr.Addr() != netip.IPv6Unspecified() {
		network = "udp4"
		if addr.Addr().Is6() {
			network = "udp6"
		}
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	if d.any = addr.Addr() == netip.IPv6Unspecified(); d.any {
		if err := ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst, true); err != nil {
			conn.Close()
			return err
		}
	}
	d.conn, d.sessions = conn, map[flow]*session{}
	return nil
}

// Addr is the address of the port.
func (d *Datagrams) Addr() net.Addr { return d.conn.LocalAddr() }

// Serve takes datagrams until the port is closed.
func (d *Datagrams) Serve() {
	buf, oob := make([]byte, maxDatagram), make([]byte, 128)
	for {
		n, on, _, client, err := d.conn.ReadMsgUDPAddrPort(buf, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // what the network told of an answer
			continue
		}
		f := flow{client: client}
		if d.any {
			f.local = destination(oob[:on])
		}
		d.forward(f, buf[:n])
	}
}

// destination is the address of ours that a datagram was sent to.
func destination(oob []byte) netip.Addr {
	var m ipv6.ControlMessage
	if m.Parse(oob) != nil {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(m.Dst)
	return a
}

// origin makes an answer go out from the address; nil: the kernel chooses.
func origin(a netip.Addr) []byte {
	switch {
	case !a.IsValid():
		return nil
	case a.Is4In6():
		return (&ipv4.ControlMessage{Src: a.Unmap().AsSlice()}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: a.AsSlice()}).Marshal()
}

// forward sends a datagram on; the first of a client makes a session.
func (d *Datagrams) forward(f flow, p []byte) {
	d.mu.Lock()
	s := d.sessions[f]
	draining := d.draining
	d.mu.Unlock()
	if s != nil && !s.up.Valid() {
		s.up.Conn.SetReadDeadline(time.Unix(1, 0)) // its goroutine ends it
		d.forget(s)
		s = nil
	}
	if s == nil {
		if draining {
			d.Observer.DatagramDropped(DropDraining)
			return
		}
		var why Drop
		if s, why = d.open(f); s == nil {
			d.Observer.DatagramDropped(why)
			return
		}
	}
	s.moved.Store(time.Now().UnixNano())
	n, err := s.up.Conn.Write(p)
	s.received.Add(int64(n))
	if err != nil {
		d.Observer.DatagramDropped(DropSend)
	}
}

func (d *Datagrams) open(f flow) (*session, Drop) {
	if !d.Budget.take() {
		return nil, DropFull
	}
	s := &session{flow: f, Session: Session{
		Start: time.Now(), Protocol: "UDP", Client: netip.AddrPortFrom(f.client.Addr().Unmap(), f.client.Port()),
	}}
	up, why := d.Pick(&s.Session)
	if up == nil {
		d.Budget.used.Add(-1)
		return nil, why
	}
	if up.Idle <= 0 {
		up.Idle = DefaultDatagramIdle
	}
	s.up, s.control = up, origin(f.local)
	s.moved.Store(s.Start.UnixNano())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.draining { // since the datagram came
		d.Budget.used.Add(-1)
		up.Close()
		return nil, DropDraining
	}
	d.sessions[f] = s
	d.Observer.SessionOpened(&s.Session)
	d.wg.Go(func() { d.answer(s) })
	return s, ""
}

// forget takes a session out, unless another has its place already.
func (d *Datagrams) forget(s *session) {
	d.mu.Lock()
	if d.sessions[s.flow] == s {
		delete(d.sessions, s.flow)
	}
	d.mu.Unlock()
}

// answer sends what the endpoint says back, until nothing moves any more.
func (d *Datagrams) answer(s *session) {
	outcome := s.relay(d.conn)
	d.forget(s)
	s.up.Close()
	d.Budget.used.Add(-1)
	s.Received, s.Sent, s.Outcome = s.received.Load(), s.sent.Load(), outcome
	d.Observer.SessionEnded(&s.Session, true)
}

func (s *session) relay(to *net.UDPConn) Outcome {
	raw, err := s.up.Conn.SyscallConn()
	if err != nil {
		return Reset
	}
	for {
		last := time.Unix(0, s.moved.Load())
		if time.Since(last) >= s.up.Idle {
			return OK // sessions of datagrams have no other end
		}
		if !s.up.Valid() {
			return OK
		}
		s.up.Conn.SetReadDeadline(last.Add(s.up.Idle))
		if !s.up.Valid() { // the deadline that ends it may have been before this one
			return OK
		}
		n, err := s.receive(raw, to)
		if n >= 0 {
			s.sent.Add(int64(n))
			s.moved.Store(time.Now().UnixNano())
		}
		var timeout net.Error
		if err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
			if errors.Is(err, syscall.ECONNREFUSED) {
				return Connect // the endpoint has no such port; the client's next datagram is tried elsewhere
			}
			return Cut
		}
	}
}

// receive waits for one datagram and sends it to the client. While it waits it holds no buffer. n is negative when none came.
func (s *session) receive(raw syscall.RawConn, to *net.UDPConn) (n int, err error) {
	n = -1
	var rerr error
	err = raw.Read(func(fd uintptr) bool {
		buf := datagrams.Get().(*[]byte)
		defer datagrams.Put(buf)
		var got int
		got, _, rerr = syscall.Recvfrom(int(fd), *buf, syscall.MSG_DONTWAIT)
		if rerr == syscall.EAGAIN || rerr == syscall.EINTR {
			return false
		}
		if rerr == nil {
			n = got
			to.WriteMsgUDPAddrPort((*buf)[:got], s.control, s.flow.client)
		}
		return true
	})
	if err == nil && rerr != nil {
		err = rerr
	}
	return n, err
}

var datagrams = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}

// Close closes the port and ends its sessions.
func (d *Datagrams) Close() {
	d.conn.Close()
	d.mu.Lock()
	d.draining = true
	for _, s := range d.sessions {
		s.up.Conn.SetReadDeadline(time.Unix(1, 0))
		s.up.Conn.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}

// Drain takes no new clients, waits until the sessions have been quiet for a second, or ctx has ended, and closes the port.
func (d *Datagrams) Drain(ctx context.Context) {
	d.mu.Lock()
	d.draining = true
	d.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for d.busy() && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	d.Close()
}

func (d *Datagrams) busy() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.sessions {
		if time.Since(time.Unix(0, s.moved.Load())) < quiet {
			return true
		}
	}
	return false
}
