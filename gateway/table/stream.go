package table

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Stream is a route of connections or datagrams at one listener. It is immutable and outlives its table for as long as a
// session keeps it.
type Stream struct {
	exchange.RouteInfo
	Backends []StreamBackend
	Idle     time.Duration // 0: the default

	total   uint32
	created int64 // nanoseconds since 1970, which with kind and name decides between routes of one listener
}

// StreamBackend is one target of a Stream.
type StreamBackend struct {
	Weight uint32
	// Cluster is nil for a reference that is not valid: its share is refused.
	Cluster *upstream.Cluster
	// TLS is what the bytes are wrapped in on the way to the backend; nil: nothing.
	TLS *tls.Config
	// ProxyProtocol is the version of the header that connections begin with; 0: none.
	ProxyProtocol int
}

// Pick chooses a backend by weight; nil: there is none, or it is one that is not valid.
func (s *Stream) Pick() *StreamBackend {
	if s.total == 0 {
		return nil
	}
	n := rand.Uint32N(s.total)
	for i := range s.Backends {
		b := &s.Backends[i]
		if n < b.Weight {
			if b.Cluster == nil {
				return nil
			}
			return b
		}
		n -= b.Weight
	}
	return nil
}

// Uses says whether a share of the stream goes to a cluster.
func (s *Stream) Uses(c *upstream.Cluster) bool {
	return slices.ContainsFunc(s.Backends, func(b StreamBackend) bool { return b.Cluster == c && b.Weight > 0 })
}

// Stream is the route of a port whose connections, or datagrams, are not told apart; nil: there is none.
func (p *Port) Stream() *Stream {
	l, _ := p.listeners.get("")
	if l == nil {
		return nil
	}
	return l.streams.any
}

// TLSStream is what serves a TLS server name on a port of TLS: a route whose bytes pass as they are, or with a cfg are those
// inside TLS. http says that it is an HTTPS listener's. All are zero when nothing serves the name.
func (p *Port) TLSStream(serverName string) (s *Stream, cfg *tls.Config, http bool) {
	l := p.listenerFor(serverName)
	if l == nil {
		return nil, nil, false
	}
	if l.msg.GetProtocol() == xdsv1.Protocol_HTTPS {
		return nil, nil, true
	}
	var buf [maxHost + 1]byte
	host, ok := appendHost(buf[:0], []byte(serverName))
	if !ok {
		return nil, nil, false
	}
	s, _ = l.streams.find(host)
	return s, l.tls, false
}

// addStream puts a stream under hostnames; of two for one the older stays, then the first by kind and name (Gateway API,
// conflict resolution).
func (l *Listener) addStream(s *Stream, hostnames []string) {
	for _, h := range hostnames {
		if other, ok := l.streams.get(h); ok && !s.before(other) {
			continue
		}
		l.streams.set(h, s)
	}
}

func (s *Stream) before(o *Stream) bool {
	if s.created != o.created {
		return s.created < o.created
	}
	if s.Route != o.Route {
		return s.Route < o.Route
	}
	return s.Kind < o.Kind
}

var l4Kinds = map[string]string{xdsv1.RouteTLS: "TLSRoute", xdsv1.RouteTCP: "TCPRoute", xdsv1.RouteUDP: "UDPRoute"}

// streams compiles a route of connections or datagrams.
func (b *routeBuilder) streams() error {
	msg := b.route.msg
	key, err := xdsv1.ParseKey(msg.GetKey())
	if err != nil {
		return err
	}
	for i, p := range msg.GetParents() {
		l := b.listeners[p.GetListener()]
		if l == nil {
			return fmt.Errorf("parents[%d].listener: there is no %s", i, p.GetListener())
		}
		s := &Stream{Idle: msg.GetL4().GetIdleTimeout().AsDuration(), RouteInfo: exchange.RouteInfo{
			Gateway: l.Gateway, Listener: l.Name, Kind: l4Kinds[key.Sub], Route: msg.GetNamespace() + "/" + msg.GetName(), Rule: "0",
		}}
		if msg.GetCreated() != nil {
			s.created = msg.GetCreated().AsTime().UnixNano()
		}
		policies := b.policies.rule(p.GetListener(), msg.GetKey(), "")
		if d := traffic(policies).GetIdleTimeout(); d != nil {
			s.Idle = d.AsDuration()
		}
		// A policy that cannot be run closes the route: it has no backends.
		if !slices.ContainsFunc(policies, func(p *xdsv1.Policy) bool { return p.GetInvalid() != "" }) {
			if err := b.streamBackends(s, l); err != nil {
				return err
			}
		}
		b.route.parents = append(b.route.parents, parent{listener: l.msg, hostnames: hostnamesOf(p), stream: s})
	}
	return nil
}

// hostnamesOf are those of a route at a listener; "" is every host.
func hostnamesOf(p *xdsv1.Parent) []string {
	if len(p.GetHostnames()) == 0 {
		return []string{""}
	}
	return p.GetHostnames()
}

func (b *routeBuilder) streamBackends(s *Stream, l *Listener) error {
	for i, w := range b.route.msg.GetL4().GetBackends() {
		out := StreamBackend{Weight: w.GetWeight()}
		if key := w.GetBackend(); key != "" {
			cl, err := b.cluster(ask{key: key, certificate: l.msg.GetClientCertificate()})
			if err != nil {
				return fmt.Errorf("l4.backends[%d].backend: %w", i, err)
			}
			out.Cluster, out.ProxyProtocol = cl, int(b.resources[key].GetBackend().GetProxyProtocol())
			if cl.TLS != nil && l.msg.GetTls().GetMode() != xdsv1.ListenerTLS_PASSTHROUGH {
				out.TLS = cl.TLS.Clone()
				out.TLS.NextProtos = nil // what is spoken inside is the client's and the backend's affair
			}
		}
		s.Backends = append(s.Backends, out)
		s.total += w.GetWeight()
	}
	return nil
}
