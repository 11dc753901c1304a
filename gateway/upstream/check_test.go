package upstream

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

func checks(h *xdsv1.HealthCheck) *xdsv1.LoadBalancing {
	h.Interval, h.Timeout = durationpb.New(100*time.Millisecond), durationpb.New(20*time.Second)
	h.UnhealthyThreshold, h.HealthyThreshold = 2, 2
	return &xdsv1.LoadBalancing{HealthCheck: h}
}

func TestChecksTakeEndpointsOutAndIn(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		var status, good atomic.Int32
		status.Store(200)
		good.Store(200)
		var asked atomic.Value
		a := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Store(r.Method + " " + r.URL.Path + " " + r.Host)
			w.WriteHeader(int(status.Load()))
		})
		b := serve(t, answers(&good))
		c := NewCluster(Config{H2: h2, LoadBalancing: checks(&xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Http{Http: &xdsv1.HTTPCheck{Path: "/healthz", Host: "check.example"}}})})
		t.Cleanup(c.Close)
		c.SetEndpoints([]*xdsv1.Endpoint{a, b})
		fit := func(n int) func() bool { return func() bool { return len(c.set.Load().fit) == n } }
		until(t, "a check", func() bool { return asked.Load() != nil })
		if got := asked.Load(); got != "GET /healthz check.example" {
			t.Errorf("asked for %s", got)
		}
		status.Store(500)
		until(t, "one is out", fit(1))
		if got := sent(c, 10); got[address(a)] > 0 {
			t.Errorf("%v", got)
		}
		status.Store(204)
		until(t, "it is back", fit(2))
	}
}

func TestStatusesThatAreExpected(t *testing.T) {
	var status atomic.Int32
	status.Store(401)
	a, b := serve(t, answers(&status)), serve(t, answers(&status))
	c := NewCluster(Config{LoadBalancing: checks(&xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Http{Http: &xdsv1.HTTPCheck{Path: "/", Statuses: []uint32{401}}}})})
	t.Cleanup(c.Close)
	var m counter
	c.Meter = &m
	c.SetEndpoints([]*xdsv1.Endpoint{a, b})
	until(t, "four checks", func() bool { return m.ok.Load() >= 4 })
	if m.failed.Load() > 0 {
		t.Errorf("%d checks failed", m.failed.Load())
	}
}

// counter counts checks.
type counter struct {
	nobody
	ok, failed atomic.Int32
}

func (c *counter) Checked(ok bool) {
	if ok {
		c.ok.Add(1)
	} else {
		c.failed.Add(1)
	}
}

func TestConnectionsAreChecked(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { open.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	c := NewCluster(Config{LoadBalancing: checks(&xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Tcp{}})})
	t.Cleanup(c.Close)
	c.SetEndpoints([]*xdsv1.Endpoint{endpoint(open.Addr()), endpoint(closed.Addr())})
	until(t, "the closed one is out", func() bool {
		s := c.set.Load()
		return len(s.fit) == 1 && s.fit[0].Addr == open.Addr().String()
	})
}

// grpcHealth answers grpc.health.v1.Health/Check for one service.
func grpcHealth(service string, serving *atomic.Bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/grpc")
		if r.URL.Path != "/grpc.health.v1.Health/Check" || string(body[5:]) != "\n\x01"+service {
			w.Header().Set("Grpc-Status", "5")
			return
		}
		status := byte(2)
		if serving.Load() {
			status = 1
		}
		w.Write([]byte{0, 0, 0, 0, 2, 8, status})
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
}

func TestGRPCServersAreChecked(t *testing.T) {
	var a, b atomic.Bool
	a.Store(true)
	b.Store(true)
	list := []*xdsv1.Endpoint{serve(t, grpcHealth("s", &a)), serve(t, grpcHealth("s", &b))}
	c := NewCluster(Config{LoadBalancing: checks(&xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Grpc{Grpc: &xdsv1.GRPCCheck{Service: "s"}}})})
	t.Cleanup(c.Close)
	var m counter
	c.Meter = &m
	c.SetEndpoints(list)
	until(t, "four checks", func() bool { return m.ok.Load() >= 4 })
	a.Store(false)
	until(t, "one is out", func() bool { return len(c.set.Load().fit) == 1 })
}

func TestChecksEndWithTheirCluster(t *testing.T) {
	var asked atomic.Int32
	e := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	c := NewCluster(Config{LoadBalancing: checks(&xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Http{Http: &xdsv1.HTTPCheck{Path: "/"}}})})
	c.SetEndpoints([]*xdsv1.Endpoint{e})
	until(t, "a check", func() bool { return asked.Load() > 0 })
	k := c.checker
	c.Close()
	if k.ctx.Err() == nil {
		t.Error("the checker goes on")
	}
}
