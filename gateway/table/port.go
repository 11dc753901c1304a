package table

import (
	"crypto/tls"
	"errors"
	"fmt"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// Port is an address and port to listen at, with the listeners that share it.
type Port struct {
	// Address is an IP address in text; empty: all of the machine, or what the process was told to bind to.
	Address string
	Port    uint32
	// Protocol is HTTP, HTTPS, TCP or UDP, or TLS where there is a listener of TLS, beside which there may be some of HTTPS.
	Protocol xdsv1.Protocol
	// ProxyProtocol: connections begin with a header of the PROXY protocol.
	ProxyProtocol bool

	listeners hosts[*Listener]
	several   bool
}

// Listener is one listener of a Gateway.
type Listener struct {
	// Key is the resource's; Gateway is "<ns>/<name>", Name the listener's own.
	Key, Gateway, Name string
	Hostname           string

	msg   *xdsv1.Listener
	tls   *tls.Config // nil: plain text, or TLS that is passed through
	paths hosts[*paths]
	// streams are by hostname of the route: the server name, or none.
	streams hosts[*Stream]
}

// Match finds the rule that serves x, and sets x.MatchedPrefix. nil: there is none (404). The rule is for x.Route too.
//
// On an HTTPS port with several listeners, a request whose host belongs to another listener than the connection's server
// name gets a rule that answers 421: each listener has its own certificates and its own demands on clients.
func (p *Port) Match(x *exchange.Exchange) *Rule {
	var buf [maxHost + 1]byte
	host, ok := appendHost(buf[:0], x.Req.Host())
	if !ok {
		return nil
	}
	l, _ := p.listeners.find(host)
	if l == nil {
		return nil
	}
	if p.several && x.TLS != nil && x.TLS.ServerName != string(host) && p.listenerFor(x.TLS.ServerName) != l {
		return &misdirected
	}
	return l.match(host, x)
}

// match tries the route hostnames that cover host, the most specific first.
func (l *Listener) match(host []byte, x *exchange.Exchange) *Rule {
	if r := l.paths.exact[string(host)].find(x); r != nil {
		return r
	}
	for rest := above(host); len(l.paths.wild) > 0 && len(rest) > 0; rest = above(rest) {
		if r := l.paths.wild[string(rest)].find(x); r != nil {
			return r
		}
	}
	return l.paths.any.find(x)
}

// listenerFor is the listener of a TLS server name; nil: none.
func (p *Port) listenerFor(serverName string) *Listener {
	var buf [maxHost + 1]byte
	host, ok := appendHost(buf[:0], []byte(serverName))
	if !ok {
		return nil
	}
	l, _ := p.listeners.find(host)
	return l
}

var errNoListener = errors.New("no listener of this port serves the name")

// TLSConfig is for tls.Config.GetConfigForClient: certificates, least version and client validation of the listener that
// the server name chooses. A client that sends no name gets the listener without a hostname. Session tickets are the
// caller's: a configuration that sets no keys uses those of the one that the callback stands in.
func (p *Port) TLSConfig(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	l := p.listenerFor(hello.ServerName)
	if l == nil || l.tls == nil || l.msg.GetProtocol() != xdsv1.Protocol_HTTPS {
		return nil, fmt.Errorf("TLS server name %q at port %d: %w", hello.ServerName, p.Port, errNoListener)
	}
	return l.tls, nil
}

// Certificate is the certificate that a client gets, for tls.Config.GetCertificate.
func (p *Port) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := p.TLSConfig(hello)
	if err != nil {
		return nil, err
	}
	return c.GetCertificate(hello)
}
