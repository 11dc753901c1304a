// Package server is the gateway's front: it opens ports, terminates TLS, tells HTTP/1.1 from HTTP/2 and turns what
// clients send into exchanges. serve.go is the way of every request; h1.go and h2.go are the two front ends.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/l4"
	"github.com/nantian-gw/nantian/gateway/table"
)

// Limits bound what clients may send and how long they may take. The zero value of a field is its default.
type Limits struct {
	MaxRequestHead int           // bytes; 32 KiB
	HeadTimeout    time.Duration // from the first byte of a head to its last; 10 s
	BodyTimeout    time.Duration // between two reads of a request body; 60 s
	IdleTimeout    time.Duration // of a connection between requests; 75 s
	WriteTimeout   time.Duration // a client that takes nothing for so long is given up; 60 s
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if l.MaxRequestHead == 0 {
		l.MaxRequestHead = 32 << 10
	}
	def(&l.HeadTimeout, 10*time.Second)
	def(&l.BodyTimeout, 60*time.Second)
	def(&l.IdleTimeout, 75*time.Second)
	def(&l.WriteTimeout, 60*time.Second)
	return l
}

// Observer is told what happens. Implementations are safe for concurrent use and do not keep the exchange.
type Observer interface {
	// Finished is called once for each request, after the last byte of its response; sent is in bytes.
	Finished(x *exchange.Exchange, sent int64)
	// Panicked is called for a panic that cost a request.
	Panicked(err error, stack []byte)
	// Connections reports a change of the number of open connections by delta.
	Connections(delta int)
	// Connections and datagrams that are no HTTP are told of as sessions.
	l4.Observer
	// AcceptWaited counts connections that had to wait because all descriptors were in use.
	AcceptWaited()
}

// Options configure a Server.
type Options struct {
	// Bind is the address for listeners that name none; empty: all addresses.
	Bind     string
	Observer Observer
	Log      *slog.Logger
}

// Server owns the ports. It is safe for concurrent use.
type Server struct {
	o        Options
	observer Observer
	log      *slog.Logger
	hangups  *hangups
	conns    *conns
	lim      atomic.Pointer[Limits]
	drains   atomic.Bool

	// h2 serves HTTP/2. life ends with the server.
	h2   atomic.Pointer[h2Front]
	life context.Context
	end  context.CancelFunc

	mu        sync.Mutex
	ports     map[netip.AddrPort]*port
	datagrams map[netip.AddrPort]*datagramPort
	wg        sync.WaitGroup
	// datagramBudget is what all UDP ports have together.
	datagramBudget l4.Budget
}

// New makes a server without ports.
func New(o Options) (*Server, error) {
	w, err := newHangups()
	if err != nil {
		return nil, fmt.Errorf("watch for clients that leave: %w", err)
	}
	s := &Server{
		o: o, observer: o.Observer, log: o.Log, hangups: w, conns: newConns(),
		ports: map[netip.AddrPort]*port{}, datagrams: map[netip.AddrPort]*datagramPort{},
	}
	s.datagramBudget.Max = min(maxDatagramSessions, int64(s.conns.limit)/2+1)
	s.life, s.end = context.WithCancel(context.Background())
	s.wg.Go(w.run)
	s.SetLimits(Limits{})
	return s, nil
}

// SetLimits changes the limits for what comes from now on. HTTP/2 connections that were made under other ones end when
// their requests have.
func (s *Server) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l = l.withDefaults()
	old := s.lim.Swap(&l)
	if s.draining() || old != nil && *old == l {
		return
	}
	f := s.newH2(l)
	s.wg.Go(func() { f.Serve(f.conns) })
	if before := s.h2.Swap(f); before != nil {
		s.wg.Go(func() { before.Shutdown(s.life) })
	}
}

func (s *Server) limits() *Limits { return s.lim.Load() }
func (s *Server) draining() bool  { return s.drains.Load() }

// Update opens and closes ports as t says, and hands each its part of t. A port that cannot be opened is an error; the
// others serve all the same, and a further Update tries again.
func (s *Server) Update(t *table.Table) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining() {
		return nil
	}
	wanted, errs := s.wanted(t)
	for addr, p := range s.ports { // first: a listener may have moved from all addresses to one, or back
		if wanted[place{addr, false}] == nil {
			p.stop()
			delete(s.ports, addr)
		}
	}
	for addr, p := range s.datagrams {
		if wanted[place{addr, true}] == nil {
			p.Close()
			delete(s.datagrams, addr)
		}
	}
	for at, tp := range wanted {
		if err := s.updatePort(at, tp); err != nil {
			errs = append(errs, fmt.Errorf("port %d: %w", tp.Port, err))
		}
	}
	return errors.Join(errs...)
}

// place is where a port is: connections and datagrams have numbers of their own.
type place struct {
	addr netip.AddrPort
	udp  bool
}

// wanted are the ports of a table by the address to listen at.
func (s *Server) wanted(t *table.Table) (map[place]*table.Port, []error) {
	out := map[place]*table.Port{}
	var errs []error
	for _, tp := range t.Ports() {
		addr, err := s.address(tp)
		if err != nil {
			errs = append(errs, fmt.Errorf("port %d: %w", tp.Port, err))
			continue
		}
		out[place{addr, tp.Protocol == xdsv1.Protocol_UDP}] = tp
	}
	return out, errs
}

func (s *Server) address(tp *table.Port) (netip.AddrPort, error) {
	host := tp.Address
	if host == "" {
		host = s.o.Bind
	}
	if host == "" {
		host = "::"
	}
	ip, err := netip.ParseAddr(host)
	return netip.AddrPortFrom(ip, uint16(tp.Port)), err
}

func (s *Server) updatePort(at place, tp *table.Port) error {
	addr := at.addr
	if d := s.datagrams[addr]; at.udp && d != nil {
		d.table.Store(tp)
		return nil
	} else if at.udp {
		return s.openDatagrams(addr, tp)
	}
	p := s.ports[addr]
	if p != nil && p.family == family(tp.Protocol) {
		p.table.Store(tp)
		return nil
	}
	if p != nil {
		p.stop()
		delete(s.ports, addr)
	}
	ln, err := listen(addr)
	if err != nil {
		return err
	}
	p = newPort(s, ln, tp)
	s.ports[addr] = p
	s.wg.Go(p.accept)
	s.log.Info("listening", "address", ln.Addr().String(), "protocol", tp.Protocol.String())
	return nil
}

// listen opens a port; the address "::" stands for all, IPv4 as well.
func listen(addr netip.AddrPort) (net.Listener, error) {
	host := addr.Addr().String()
	if addr.Addr() == netip.IPv6Unspecified() {
		host = ""
	}
	return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(addr.Port()))))
}

// Addrs lists the addresses that are open.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []net.Addr
	for _, p := range s.ports {
		out = append(out, p.ln.Addr())
	}
	for _, p := range s.datagrams {
		out = append(out, p.Addr())
	}
	return out
}

// Shutdown closes the ports, lets requests and streams in flight end, and closes every connection when they have, or when
// ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drains.Store(true)
	s.mu.Lock()
	for _, p := range s.ports {
		p.stop()
	}
	s.mu.Unlock()
	f := s.h2.Load()
	h2 := make(chan error, 1)
	go func() { h2 <- f.Shutdown(ctx) }()
	s.wg.Go(func() { s.drainDatagrams(ctx) })
	err := s.conns.drain(ctx)
	if h2err := <-h2; err == nil {
		err = h2err
	}
	f.Close()
	s.end()
	s.hangups.close()
	s.wg.Wait()
	return err
}
