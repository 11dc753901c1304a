package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/gateway/l4"
	"github.com/nantian-gw/nantian/gateway/table"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// streamConn is a client's connection whose bytes are moved and not read: of a TCP listener, or of one of TLS.
type streamConn struct {
	*clientConn
	l4.Session
}

func (p *port) newStream(c *clientConn, protocol string) *streamConn {
	return &streamConn{clientConn: c, Session: l4.Session{Start: c.accepted, Protocol: protocol, Client: c.client}}
}

// refuse ends a connection that reached no backend.
func (c *streamConn) refuse(why l4.Outcome) {
	c.Outcome = why
	l4.Reject(c.Conn)
	c.Close()
	c.p.server.observer.SessionEnded(&c.Session, false)
}

// serveTCP serves a connection of a TCP listener. It waits for nothing: many protocols let the server speak first.
func (p *port) serveTCP(c *clientConn, tp *table.Port) {
	p.newStream(c, "TCP").serve(tp.Stream(), c.Conn, nil)
}

// serveHello serves a connection of a port with TLS listeners: the server name says whose it is.
func (p *port) serveHello(c *clientConn) {
	h, ahead, err := l4.ReadHello(c.Conn)
	c.ahead = ahead
	if err != nil {
		s := p.newStream(c, "TLS")
		s.refuse(l4.Handshake)
		return
	}
	stream, cfg, http := p.table.Load().TLSStream(h.ServerName)
	if http {
		p.serveTLS(c)
		return
	}
	s := p.newStream(c, "TLS")
	s.ServerName = strings.ToLower(h.ServerName)
	switch {
	case stream == nil: // a reset, not an alert: nobody here speaks TLS for the name
		s.refuse(l4.NoRoute)
	case cfg == nil:
		s.serve(stream, c.Conn, ahead)
	default:
		s.terminate(stream, cfg)
	}
}

// terminate ends TLS; what is inside goes to the backend. Tickets are those of the port, as for HTTPS.
func (c *streamConn) terminate(stream *table.Stream, cfg *tls.Config) {
	tc := tls.Server(c.clientConn, &tls.Config{
		SessionTicketsDisabled: cfg.SessionTicketsDisabled,
		GetConfigForClient:     func(*tls.ClientHelloInfo) (*tls.Config, error) { return cfg, nil },
	})
	ctx, cancel := context.WithTimeout(context.Background(), c.p.server.limits().HeadTimeout)
	err := tc.HandshakeContext(ctx)
	cancel()
	if err != nil {
		c.refuse(l4.Handshake)
		return
	}
	c.serve(stream, tc, nil)
}

// serve takes the connection to a backend. ahead was read from front already.
func (c *streamConn) serve(stream *table.Stream, front net.Conn, ahead []byte) {
	if c.begin() {
		c.refuse(l4.Cut)
		return
	}
	if stream == nil {
		c.refuse(l4.NoRoute)
		return
	}
	c.Route = &stream.RouteInfo
	b := stream.Pick()
	if b == nil {
		c.refuse(l4.NoBackend)
		return
	}
	c.Backend = b.Cluster.Name
	link, err := c.dial(b)
	if err != nil {
		c.refuse(outcomeOf(err))
		return
	}
	defer link.Close()
	c.SetDeadline(time.Time{})
	if len(ahead) > 0 {
		link.SetWriteDeadline(time.Now().Add(c.p.server.limits().WriteTimeout))
		if _, err := link.Write(ahead); err != nil {
			c.refuse(l4.Connect)
			return
		}
	}
	c.join(front, link, stream.Idle)
}

func (c *streamConn) dial(b *table.StreamBackend) (*upstream.Link, error) {
	d := upstream.Dial{Network: "tcp", TLS: b.TLS, Client: c.client.Addr()}
	if b.ProxyProtocol > 0 {
		d.Head = l4.AppendProxy(nil, b.ProxyProtocol, l4.Proxied{Client: c.client, Local: c.local})
	}
	return b.Cluster.Dial(c.p.server.life, d)
}

// outcomeOf says why no backend was reached.
func outcomeOf(err error) l4.Outcome {
	var ue *upstream.Error
	if errors.As(err, &ue) && (ue.Reason == upstream.ReasonNoHost || ue.Reason == upstream.ReasonOverflow) {
		return l4.NoEndpoint
	}
	return l4.Connect
}

func (c *streamConn) join(front net.Conn, link *upstream.Link, idle time.Duration) {
	observer := c.p.server.observer
	observer.SessionOpened(&c.Session)
	back := l4.Conn(link.TCP)
	if link.TCP == nil {
		back = link.Conn.(*tls.Conn)
	}
	j := l4.NewJoin(front.(l4.Conn), back, idle)
	c.onCut(j.Stop)
	ahead := int64(len(c.ahead))
	if _, inside := front.(*tls.Conn); inside {
		ahead = 0 // those were read through it
	}
	c.Received, c.Sent, c.Outcome = j.Run()
	c.Received += ahead
	c.onCut(nil)
	c.Close()
	observer.SessionEnded(&c.Session, true)
}

// proxied reads the header of the PROXY protocol. What it says of the client is believed, since the listener asks for it.
func (c *clientConn) proxied() error {
	h, err := l4.ReadProxy(c.Conn)
	if err == nil && h.Client.IsValid() {
		c.client, c.local = h.Client, h.Local
	}
	return err
}
