package upstream

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
)

// maxChecks bounds the checks of a cluster that are under way at once.
const maxChecks = 32

// checker asks the endpoints of a cluster whether they are well, until it is stopped.
type checker struct {
	cluster   *Cluster
	check     *xdsv1.HealthCheck
	transport Transport // nil: TCP
	ctx       context.Context
	stop      context.CancelFunc
	slots     chan struct{}
}

// startChecker starts a checker. The cluster's lock is held.
func startChecker(c *Cluster) *checker {
	k := &checker{cluster: c, check: c.rules.check, slots: make(chan struct{}, maxChecks)}
	k.ctx, k.stop = context.WithCancel(context.Background())
	cfg := c.Config
	switch k.check.GetKind().(type) {
	case *xdsv1.HealthCheck_Http:
		if k.transport = newH1(&cfg); cfg.H2 {
			k.transport = newH2(&cfg)
		}
	case *xdsv1.HealthCheck_Grpc:
		k.transport = newH2(&cfg)
	}
	go k.run()
	return k
}

// run makes a round each interval. A round that takes longer delays the next.
func (k *checker) run() {
	ticker := time.NewTicker(k.check.GetInterval().AsDuration())
	defer ticker.Stop()
	defer k.end()
	for {
		if !k.round() {
			return
		}
		select {
		case <-ticker.C:
		case <-k.ctx.Done():
			return
		}
	}
}

// end closes the connections that checks have used.
func (k *checker) end() {
	if k.transport != nil {
		k.transport.Close()
	}
	k.cluster.mu.Lock()
	defer k.cluster.mu.Unlock()
	for _, e := range k.cluster.list {
		if e.probe != nil {
			e.probe.idle.close()
		}
	}
}

// round checks each endpoint once; false: the checker was stopped.
func (k *checker) round() bool {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, e := range k.cluster.set.Load().all {
		select {
		case k.slots <- struct{}{}:
		case <-k.ctx.Done():
			return false
		}
		wg.Go(func() {
			defer func() { <-k.slots }()
			ok := k.ask(k.probe(e))
			if k.ctx.Err() == nil {
				k.cluster.checked(e, ok)
			}
		})
	}
	return true
}

// probe is the endpoint that is asked about another: connections for checks are not those of requests.
func (k *checker) probe(e *Endpoint) *Endpoint {
	k.cluster.mu.Lock()
	defer k.cluster.mu.Unlock()
	if e.probe == nil {
		e.probe = &Endpoint{Addr: e.Addr}
		if host, _, err := net.SplitHostPort(e.Addr); err == nil && k.check.GetPort() != 0 {
			e.probe.Addr = net.JoinHostPort(host, strconv.Itoa(int(k.check.GetPort())))
		}
	}
	return e.probe
}

func (k *checker) ask(e *Endpoint) bool {
	ctx, cancel := context.WithTimeout(k.ctx, k.check.GetTimeout().AsDuration())
	defer cancel()
	switch m := k.check.GetKind().(type) {
	case *xdsv1.HealthCheck_Http:
		return k.get(ctx, e, m.Http)
	case *xdsv1.HealthCheck_Grpc:
		return k.serving(ctx, e, m.Grpc)
	}
	return k.connects(ctx, e)
}

// within is a Canceler that ends with a context.
type within struct{ ctx context.Context }

// Context implements Canceler.
func (w within) Context() context.Context { return w.ctx }

// connects makes a connection, and TLS over it.
func (k *checker) connects(ctx context.Context, e *Endpoint) bool {
	cfg := &k.cluster.Config
	dialer := newDialer(cfg)
	conn, err := dialer.DialContext(ctx, "tcp", e.Addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	if cfg.introduce(conn) != nil {
		return false
	}
	if cfg.TLS == nil {
		return true
	}
	return tls.Client(conn, cfg.TLS).HandshakeContext(ctx) == nil
}

func (k *checker) call(ctx context.Context, method, path, host string) *Call {
	var header fasthttp.RequestHeader
	header.Set("User-Agent", "nantian-health-check")
	limit, _ := ctx.Deadline()
	return &Call{
		Method: []byte(method), Path: []byte(path), Host: []byte(host), Header: &header, Deadline: limit,
		Resp: new(fasthttp.ResponseHeader), RespTrailer: new(exchange.Trailer),
	}
}

func (k *checker) get(ctx context.Context, e *Endpoint, m *xdsv1.HTTPCheck) bool {
	host := m.GetHost()
	if host == "" {
		host = e.Addr
	}
	call := k.call(ctx, fasthttp.MethodGet, m.GetPath(), host)
	if k.transport.RoundTrip(within{ctx}, e, call) != nil {
		return false
	}
	readCheck(call) // to its end, so that the connection can be used again
	status := call.Resp.StatusCode()
	if len(m.GetStatuses()) > 0 {
		return slices.Contains(m.GetStatuses(), uint32(status))
	}
	return status/100 == 2
}

func readCheck(call *Call) ([]byte, error) {
	defer call.RespBody.Close()
	if call.RespBody.Stream == nil {
		return call.RespBody.Bytes, nil
	}
	return exchange.AppendStream(nil, &call.RespBody, maxCheckBody)
}

// maxCheckBody bounds what is read of an answer to a check, in bytes.
const maxCheckBody = 64 << 10

// serving calls grpc.health.v1.Health/Check (gRPC, Health Checking Protocol). The messages have a field each.
func (k *checker) serving(ctx context.Context, e *Endpoint, m *xdsv1.GRPCCheck) bool {
	call := k.call(ctx, fasthttp.MethodPost, "/grpc.health.v1.Health/Check", e.Addr)
	call.Header.Set("Content-Type", "application/grpc")
	call.TE = true
	call.Body = exchange.BytesBody(healthRequest(m.GetService()))
	if k.transport.RoundTrip(within{ctx}, e, call) != nil {
		return false
	}
	body, err := readCheck(call)
	if err != nil || call.Resp.StatusCode() != fasthttp.StatusOK || !saysOK(call) {
		return false
	}
	// A frame: not compressed, the length, and field 1 as a varint that is SERVING (1).
	const frame = 5
	return len(body) >= frame+2 && body[0] == 0 && body[frame] == 1<<3 && body[frame+1] == 1
}

// saysOK reads the status of a gRPC call, which without a body is in the head.
func saysOK(call *Call) bool {
	for _, f := range *call.RespTrailer {
		if f.Name == "grpc-status" {
			return f.Value == "0"
		}
	}
	return string(call.Resp.Peek("Grpc-Status")) == "0"
}

func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(service))), service...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// checked counts a check, and takes the endpoint out or in when enough in a row say so.
func (c *Cluster) checked(e *Endpoint, ok bool) {
	c.Meter.Checked(ok)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || ok != e.sick {
		e.streak = 0
		return
	}
	need := c.rules.check.GetUnhealthyThreshold()
	if e.sick {
		need = c.rules.check.GetHealthyThreshold()
	}
	if e.streak++; e.streak < int(need) {
		return
	}
	e.streak, e.sick = 0, !ok
	if ok {
		c.warmUp(e)
	}
	c.rebuild()
}
