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
	"sync"
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
	// MaxResponseHead in bytes; 0: 64 KiB.
	MaxResponseHead int
	// LoadBalancing is what xdsv1.Validate has seen; nil: round robin without limits.
	LoadBalancing *xdsv1.LoadBalancing
	// Zone is where this data plane is; empty: not known, and hints for zones are not heeded.
	Zone string
	// Meter is told what becomes of endpoints and calls; nil: nobody.
	Meter Meter
	// ProxyProtocol is the version of the header that connections begin with; 0: none. Those that requests share say LOCAL.
	ProxyProtocol int
	// Control refuses addresses before they are dialled (see net.Dialer.Control); nil: none.
	Control func(network, address string) error
}

// Cluster is a backend with its endpoints and connections. It is safe for concurrent use.
type Cluster struct {
	Config
	transport Transport
	rules     rules
	picker    Picker
	budget    *budget // nil: none
	set       atomic.Pointer[Set]
	inFlight  atomic.Int64 // kept where it is limited

	mu       sync.Mutex // of changes of set, and of the fields below
	list     []*Endpoint
	timer    *time.Timer // until the next ejection ends
	checker  *checker
	closed   bool
	measured [len(states)]int
}

// NewCluster makes a cluster. It dials nothing, and starts nothing before SetEndpoints.
func NewCluster(c Config) *Cluster {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 5 * time.Second
	}
	if c.MaxResponseHead == 0 {
		c.MaxResponseHead = 64 << 10
	}
	if c.Meter == nil {
		c.Meter = nobody{}
	}
	cl := &Cluster{Config: c, rules: newRules(c.LoadBalancing), picker: newPicker(c.LoadBalancing.GetPolicy()), budget: newBudget(c.LoadBalancing.GetRetryBudget())}
	if c.H2 {
		cl.transport = newH2(&cl.Config)
	} else {
		cl.transport = newH1(&cl.Config)
	}
	if c.Host != "" {
		cl.list = []*Endpoint{{Addr: net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))}}
	}
	cl.rebuild()
	return cl
}

// SetEndpoints replaces the endpoints. Those that stay keep their connections and their health.
func (c *Cluster) SetEndpoints(list []*xdsv1.Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	first := len(c.list) == 0
	old := map[string]*Endpoint{}
	for _, e := range c.list {
		old[e.Addr] = e
	}
	c.list = make([]*Endpoint, 0, len(list))
	for _, p := range list {
		addr := net.JoinHostPort(p.Address, strconv.Itoa(int(p.Port)))
		e := old[addr]
		if e == nil {
			e = &Endpoint{Addr: addr}
			if !first {
				c.warmUp(e)
			}
		}
		e.draining, e.weight, e.zones = p.Draining, max(p.Weight, 1), p.ForZones
		delete(old, addr)
		c.list = append(c.list, e)
	}
	c.rebuild()
	for _, e := range old {
		e.close()
	}
	if c.checker == nil && c.rules.check != nil && len(list) > 0 {
		c.checker = startChecker(c)
	}
}

// Ready says whether there is an endpoint to send to.
func (c *Cluster) Ready() bool { return len(c.set.Load().fit) > 0 }

var (
	errNoEndpoint error = &Error{Reason: ReasonNoHost, Err: errors.New("no endpoint is ready")}
	errOverflow   error = &Error{Reason: ReasonOverflow, Err: errors.New("too many requests in flight")}
)

// Do picks an endpoint and makes the call; a further attempt goes to another endpoint where there is one. A connection that cannot
// be made is tried at another endpoint, as long as nothing was sent and the budget of retries allows it. Errors are *Error.
func (c *Cluster) Do(x Canceler, call *Call) error {
	c.budget.request()
	call.wish.attempt(call.Affinity)
	err := errNoEndpoint
	for try := range maxConnectTries {
		if try > 0 && (len(c.set.Load().all) <= try || !c.Retry()) {
			return err
		}
		choice, none := c.Pick(&call.wish)
		if none != nil {
			if try > 0 {
				return err // it says more
			}
			return none
		}
		call.choice, call.judged, call.At = choice, choice, choice.Endpoint.Addr
		if err = c.transport.RoundTrip(x, choice.Endpoint, call); err == nil {
			choice.judgeHead(call)
			return nil
		}
		call.release()
		choice.judge(resultOf(err))
		var ue *Error
		if !errors.As(err, &ue) || ue.Reason != ReasonConnect {
			return err
		}
	}
	return err
}

// maxConnectTries bounds the endpoints that one call is tried at when connections cannot be made.
const maxConnectTries = 3

// Retry says whether a call may be made again, and counts it (see xdsv1.RetryBudget).
func (c *Cluster) Retry() bool {
	if c.budget.retry() {
		return true
	}
	c.Meter.Refused(RefusedRetry)
	return false
}

// Close closes idle connections and ends checks; calls in flight end as they would.
func (c *Cluster) Close() {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.checker != nil {
		c.checker.stop()
	}
	for _, e := range c.list {
		e.close()
	}
	c.measure(nil)
	c.mu.Unlock()
	c.transport.Close()
}
