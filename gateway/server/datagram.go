package server

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/nantian-gw/nantian/gateway/l4"
	"github.com/nantian-gw/nantian/gateway/table"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// datagramPort is one UDP port.
type datagramPort struct {
	l4.Datagrams
	server *Server
	table  atomic.Pointer[table.Port]
}

// maxDatagramSessions bounds the sessions of all UDP ports: each has a socket and a goroutine.
const maxDatagramSessions = 16 << 10

func (s *Server) openDatagrams(addr netip.AddrPort, tp *table.Port) error {
	p := &datagramPort{server: s}
	p.table.Store(tp)
	p.Pick, p.Budget, p.Observer = p.pick, &s.datagramBudget, s.observer
	if err := p.Listen(addr); err != nil {
		return err
	}
	s.datagrams[addr] = p
	s.wg.Go(p.Serve)
	s.log.Info("listening", "address", p.Addr().String(), "protocol", tp.Protocol.String())
	return nil
}

// pick finds a backend for a new client and connects a socket to one of its endpoints.
func (p *datagramPort) pick(s *l4.Session) (*l4.Upstream, l4.Drop) {
	stream := p.table.Load().Stream()
	if stream == nil {
		return nil, l4.DropNoRoute
	}
	b := stream.Pick()
	if b == nil {
		return nil, l4.DropNoBackend
	}
	link, err := b.Cluster.Dial(p.server.life, upstream.Dial{Network: "udp", Client: s.Client.Addr()})
	if err != nil {
		return nil, l4.DropNoBackend
	}
	s.Route, s.Backend = &stream.RouteInfo, b.Cluster.Name
	v := &validity{port: p, cluster: b.Cluster, link: link, route: stream.Route}
	v.checked.Store(&stamp{p.table.Load(), b.Cluster.Generation()})
	return &l4.Upstream{Conn: link.Conn.(*net.UDPConn), Close: func() { link.Close() }, Valid: v.valid, Idle: stream.Idle}, ""
}

// validity remembers for which table and endpoints a session was found to be right.
type validity struct {
	port    *datagramPort
	cluster *upstream.Cluster
	link    *upstream.Link
	route   string
	checked atomic.Pointer[stamp]
}

type stamp struct {
	table     *table.Port
	endpoints *upstream.Set
}

// valid says whether the route still leads to the session's endpoint.
func (v *validity) valid() bool {
	now := stamp{v.port.table.Load(), v.cluster.Generation()}
	if *v.checked.Load() == now {
		return true
	}
	s := now.table.Stream()
	if s == nil || s.Route != v.route || !s.Uses(v.cluster) || !v.cluster.Has(v.link) {
		return false
	}
	v.checked.Store(&now)
	return true
}

// drainDatagrams closes the UDP ports once their sessions are quiet.
func (s *Server) drainDatagrams(ctx context.Context) {
	s.mu.Lock()
	ports := s.datagrams
	s.datagrams = map[netip.AddrPort]*datagramPort{}
	s.mu.Unlock()
	for _, p := range ports {
		p.Drain(ctx)
	}
}
