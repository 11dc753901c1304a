package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/h1"
	"github.com/nantian-gw/nantian/gateway/l4"
	"github.com/nantian-gw/nantian/gateway/table"
)

// port is one address that clients connect to.
type port struct {
	server  *Server
	ln      net.Listener
	family  xdsv1.Protocol
	scheme  string
	table   atomic.Pointer[table.Port]
	tls     *tls.Config
	stopped atomic.Bool
}

// family is what a port is as long as it is open: one of HTTPS may become one of TLS too, and the other way round.
func family(p xdsv1.Protocol) xdsv1.Protocol {
	if p == xdsv1.Protocol_TLS {
		return xdsv1.Protocol_HTTPS
	}
	return p
}

func newPort(s *Server, ln net.Listener, tp *table.Port) *port {
	p := &port{server: s, ln: ln, family: family(tp.Protocol), scheme: "http"}
	p.table.Store(tp)
	if p.family == xdsv1.Protocol_HTTPS {
		p.scheme = "https"
		p.tls = &tls.Config{
			NextProtos:         []string{"h2", "http/1.1"},
			GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) { return p.table.Load().TLSConfig(h) },
		}
	}
	return p
}

// stop closes the port. Its connections end when they have served what they are at.
func (p *port) stop() {
	p.stopped.Store(true)
	p.ln.Close()
	p.server.conns.closePort(p)
}

// accept takes connections until the port is closed.
func (p *port) accept() {
	s := p.server
	for {
		waited, ok := s.conns.wait()
		if waited {
			s.observer.AcceptWaited()
		}
		if !ok {
			return
		}
		c, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.shortage(err)
			continue
		}
		cc := &clientConn{Conn: c, p: p, client: addrOf(c.RemoteAddr()), local: addrOf(c.LocalAddr()),
			accepted: time.Now()}
		s.observer.Connections(1)
		s.conns.add(cc)
		go p.serve(cc)
	}
}

// shortage pauses after an accept that failed, for want of descriptors or memory.
func (s *Server) shortage(err error) {
	s.observer.AcceptWaited()
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		s.conns.closeIdle(16)
	}
	<-time.After(10 * time.Millisecond)
}

// serve tells the protocols of a connection apart and hands it to their front end.
func (p *port) serve(c *clientConn) {
	c.SetReadDeadline(time.Now().Add(p.server.limits().HeadTimeout))
	if c.idleEnded() && !pending(c.Conn) {
		c.Close()
		return
	}
	tp := p.table.Load()
	if tp.ProxyProtocol {
		if err := c.proxied(); err != nil {
			p.newStream(c, tp.Protocol.String()).refuse(l4.Handshake)
			return
		}
	}
	switch tp.Protocol {
	case xdsv1.Protocol_TCP:
		p.serveTCP(c, tp)
	case xdsv1.Protocol_TLS:
		p.serveHello(c)
	case xdsv1.Protocol_HTTPS:
		p.serveTLS(c)
	default:
		p.serveHTTP(c)
	}
}

// serveHTTP tells the versions of HTTP apart where there is no TLS.
func (p *port) serveHTTP(c *clientConn) {
	r := h1.NewReader(c.Conn)
	if isPreface(&r) {
		c.ahead = r.Drained()
		r.Release()
		p.server.giveH2(c, c)
		return
	}
	c.serveH1(c.Conn, r, nil)
}

// isPreface says whether a connection begins as HTTP/2 by prior knowledge does (RFC 9113, section 3.4). No method of
// HTTP/1.1 begins with "PRI ".
func isPreface(r *h1.Reader) bool {
	for n := 1; n <= 4; n++ {
		b, err := r.Peek(n)
		if err != nil || b[n-1] != "PRI "[n-1] {
			return false
		}
	}
	return true
}

func (p *port) serveTLS(c *clientConn) {
	tc := tls.Server(c, p.tls)
	ctx, cancel := context.WithTimeout(context.Background(), p.server.limits().HeadTimeout)
	err := tc.HandshakeContext(ctx)
	cancel()
	if err != nil {
		c.Close()
		return
	}
	state := tc.ConnectionState()
	if state.NegotiatedProtocol == "h2" {
		p.server.giveH2(tc, c)
		return
	}
	c.serveH1(tc, h1.NewReader(tc), &state)
}

// serveH1 serves HTTP/1.1 on conn: the connection itself, or TLS over it.
func (c *clientConn) serveH1(conn net.Conn, r h1.Reader, state *tls.ConnectionState) {
	s := c.p.server
	hc := &h1Conn{p: c.p, owner: c, c: conn, r: r, tls: state, client: c.client, local: c.local}
	hc.watch = s.hangups.watch(c.Conn)
	hc.interim = hc.writeInterim
	hc.serve()
}

// giveH2 hands a connection to net/http's server.
func (s *Server) giveH2(conn net.Conn, c *clientConn) {
	c.h2.Store(true)
	if c.begin() {
		conn.Close()
		return
	}
	c.SetReadDeadline(time.Time{})
	for f := s.h2.Load(); !f.conns.give(conn); {
		next := s.h2.Load()
		if next == f {
			conn.Close()
			return
		}
		f = next
	}
}

// handover is the listener of net/http's server: it accepts what the ports give it.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), done: make(chan struct{})}
}

// give says whether there is still somebody to take the connection.
func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
