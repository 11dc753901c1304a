// Package upstream makes calls to the endpoints behind a backend: it picks one, keeps connections, and speaks HTTP/1.1 on
// fasthttp's codec or HTTP/2 through net/http.
//
// A Cluster outlives the tables that refer to it: a configuration change that leaves a backend as it was keeps its
// connections and its health.
package upstream

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// Config says how to reach a backend. It is immutable.
type Config struct {
	// Key is the backend's or provider's key, for errors and metrics.
	Key string
	// Name is what users call it: "<ns>/<service>:<port>".
	Name string
	// H2 speaks HTTP/2: with TLS by ALPN (HTTP/1.1 if the peer wants that), without by prior knowledge.
	H2 bool
	// TLS is nil for plain text.
	TLS *tls.Config
	// Host and Port, if Host is set, are the one endpoint, resolved when dialled. Otherwise SetEndpoints gives them.
	Host string
	Port uint32

	ConnectTimeout time.Duration // 0: 5 s
	MaxInFlight    int64         // per endpoint; 0: no limit
	// MaxResponseHead in bytes; 0: 64 KiB.
	MaxResponseHead int
	LoadBalancing   xdsv1.LoadBalancing_Policy
	// ProxyProtocol is the version of the header that connections begin with; 0: none. Those that requests share say LOCAL.
	ProxyProtocol int
	// Control refuses addresses before they are dialled (see net.Dialer.Control); nil: none.
	Control func(network, address string) error
}

// Endpoint is one address of a cluster, with its connections. It keeps them as long as the address stays in the set.
type Endpoint struct {
	// Addr is host:port as it is dialled.
	Addr string

	draining atomic.Bool
	inFlight atomic.Int64
	idle     idleConns
}

// Cluster is a backend with its endpoints and connections. It is safe for concurrent use.
type Cluster struct {
	Config
	transport Transport
	endpoints atomic.Pointer[[]*Endpoint]
	next      atomic.Uint64
}

// NewCluster makes a cluster. It dials nothing.
func NewCluster(c Config) *Cluster {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.MaxResponseHead == 0 {
		c.MaxResponseHead = 64 << 10
	}
	cl := &Cluster{Config: c}
	if c.H2 {
		cl.transport = newH2(&cl.Config)
	} else {
		cl.transport = newH1(&cl.Config)
	}
	var eps []*Endpoint
	if c.Host != "" {
		eps = []*Endpoint{{Addr: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}}
	}
	cl.endpoints.Store(&eps)
	return cl
}

// SetEndpoints replaces the endpoints. Those that stay keep their connections.
func (c *Cluster) SetEndpoints(list []*xdsv1.Endpoint) {
	old := map[string]*Endpoint{}
	for _, e := range *c.endpoints.Load() {
		old[e.Addr] = e
	}
	eps := make([]*Endpoint, 0, len(list))
	for _, p := range list {
		addr := net.JoinHostPort(p.Address, strconv.Itoa(int(p.Port)))
		e := old[addr]
		if e == nil {
			e = &Endpoint{Addr: addr}
		}
		e.draining.Store(p.Draining)
		delete(old, addr)
		eps = append(eps, e)
	}
	c.endpoints.Store(&eps)
	for _, e := range old {
		e.idle.close()
	}
}

// Ready says whether there is an endpoint to send to.
func (c *Cluster) Ready() bool { return len(*c.endpoints.Load()) > 0 }

var (
	errNoEndpoint error = &Error{Reason: ReasonNoHost, Err: errors.New("no endpoint is ready")}
	errOverflow         = errors.New("too many requests in flight")
)

// Do picks an endpoint and makes the call. A connection that cannot be made is tried at another endpoint, as long as
// nothing was sent. Errors are *Error.
func (c *Cluster) Do(x Canceler, call *Call) error {
	eps := *c.endpoints.Load()
	err := errNoEndpoint
	for try := 0; try < min(len(eps), maxConnectTries); try++ {
		e := c.pick(eps)
		if e == nil {
			return &Error{Reason: ReasonOverflow, Err: errOverflow}
		}
		call.at = e
		if err = c.transport.RoundTrip(x, e, call); err == nil {
			return nil
		}
		call.release()
		var ue *Error
		if !errors.As(err, &ue) || ue.Reason != ReasonConnect {
			return err
		}
	}
	return err
}

// maxConnectTries bounds the endpoints that one call is tried at when connections cannot be made.
const maxConnectTries = 3

// pick takes the next endpoint that is not draining and has room, and counts the request as in flight there. A set in
// which all are draining is used as it is.
func (c *Cluster) pick(eps []*Endpoint) *Endpoint {
	start := c.next.Add(1)
	var spare *Endpoint
	for i := range eps {
		e := eps[(start+uint64(i))%uint64(len(eps))]
		if e.draining.Load() {
			spare = e
			continue
		}
		if c.take(e) {
			return e
		}
	}
	if spare != nil && c.take(spare) {
		return spare
	}
	return nil
}

func (c *Cluster) take(e *Endpoint) bool {
	if n := e.inFlight.Add(1); c.MaxInFlight == 0 || n <= c.MaxInFlight {
		return true
	}
	e.inFlight.Add(-1)
	return false
}

// Close closes idle connections; calls in flight end as they would.
func (c *Cluster) Close() {
	c.transport.Close()
	for _, e := range *c.endpoints.Load() {
		e.idle.close()
	}
}
