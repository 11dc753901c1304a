package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/gateway/l4"
)

// Link is a connection to an endpoint that one session has to itself. It counts as in flight there until it is closed.
type Link struct {
	net.Conn
	// TCP is the connection itself when there is no TLS over it.
	TCP    *net.TCPConn
	choice Choice
	once   sync.Once
}

// Close closes the connection and gives its place back.
func (l *Link) Close() error {
	err := l.Conn.Close()
	l.once.Do(l.choice.Done)
	return err
}

// Generation tells sets of endpoints apart: it is another one after each change, of their health too.
func (c *Cluster) Generation() *Set { return c.set.Load() }

// Has says whether the endpoint of a link is one of the cluster still.
func (c *Cluster) Has(l *Link) bool { return slices.Contains(c.set.Load().all, l.choice.Endpoint) }

// Dial says how Cluster.Dial connects.
type Dial struct {
	// Network is "tcp" or "udp".
	Network string
	// TLS, if set, is spoken over the connection.
	TLS *tls.Config
	// Head is sent before anything else, TLS included.
	Head []byte
	// Client is who it is for, for a consistent hash of the source.
	Client netip.Addr
}

// Dial picks an endpoint and connects to it; one that cannot be reached is followed by another. Errors are *Error.
func (c *Cluster) Dial(ctx context.Context, d Dial) (*Link, error) {
	w := wish{Affinity: c.affinityOf(d.Client)}
	err := errNoEndpoint
	for try := range maxConnectTries {
		choice, none := c.Pick(&w)
		if none != nil {
			if try > 0 {
				return nil, err
			}
			return nil, none
		}
		var l *Link
		if l, err = c.link(ctx, choice, d); err == nil {
			choice.judge(succeeded, true)
			return l, nil
		}
		choice.Done()
		choice.judge(resultOf(err))
		var ue *Error
		if !errors.As(err, &ue) || ue.Reason != ReasonConnect {
			return nil, err
		}
	}
	return nil, err
}

func (c *Cluster) link(ctx context.Context, choice Choice, d Dial) (*Link, error) {
	within, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	dialer := newDialer(&c.Config)
	raw, err := dialer.DialContext(within, d.Network, choice.Endpoint.Addr)
	if err != nil {
		return nil, linkError(ctx, err)
	}
	l := &Link{Conn: raw, choice: choice}
	l.TCP, _ = raw.(*net.TCPConn)
	if len(d.Head) > 0 {
		if _, err := raw.Write(d.Head); err != nil {
			raw.Close()
			return nil, linkError(ctx, err)
		}
	}
	if d.TLS != nil {
		tc := tls.Client(raw, d.TLS)
		if err := tc.HandshakeContext(within); err != nil {
			raw.Close()
			return nil, linkError(ctx, err)
		}
		l.Conn, l.TCP = tc, nil
	}
	return l, nil
}

// introduce begins a connection that is no one client's, where the endpoint asks for the PROXY protocol.
func (c *Config) introduce(conn net.Conn) error {
	if c.ProxyProtocol == 0 {
		return nil
	}
	conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := conn.Write(l4.AppendProxy(nil, c.ProxyProtocol, l4.Proxied{}))
	return err
}

func linkError(ctx context.Context, err error) error {
	reason := ReasonConnect
	var refused *refusedError
	switch {
	case ctx.Err() != nil:
		reason = ReasonClient
	case errors.As(err, &refused):
		reason = ReasonRefused
	}
	return &Error{Reason: reason, Err: err}
}
