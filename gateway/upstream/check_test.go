package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// TestMain wants that nothing of a cluster goes on when its tests have ended.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

// overTLS starts a server with TLS, and HTTP/2 by ALPN. roots trust it.
func overTLS(t *testing.T, f http.HandlerFunc) (e *xdsv1.Endpoint, roots *x509.CertPool) {
	s := httptest.NewUnstartedServer(f)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of clients that do not trust it
	s.StartTLS()
	t.Cleanup(s.Close)
	roots = x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return endpoint(s.Listener.Addr()), roots
}

// TestServersWithTLSAreChecked: by each kind of check, and one whose certificate is not trusted is not well.
func TestServersWithTLSAreChecked(t *testing.T) {
	var serving atomic.Bool
	serving.Store(true)
	f := func(name string, check *xdsv1.HealthCheck, answer http.HandlerFunc, h2 bool) {
		for _, trusted := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " h2 ", h2, " trusted ", trusted), func(t *testing.T) {
				e, roots := overTLS(t, answer)
				other, _ := overTLS(t, answer)
				if !trusted {
					roots = x509.NewCertPool()
				}
				c := NewCluster(Config{H2: h2, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}, LoadBalancing: checks(proto.CloneOf(check))})
				t.Cleanup(c.Close)
				var m counter
				c.Meter = &m
				c.SetEndpoints([]*xdsv1.Endpoint{e, other}) // the same certificate, so both or none are trusted
				if trusted {
					until(t, "four checks", func() bool { return m.ok.Load() >= 4 })
					if m.failed.Load() > 0 {
						t.Errorf("%d checks failed", m.failed.Load())
					}
					return
				}
				until(t, "both are out", func() bool {
					c.mu.Lock()
					defer c.mu.Unlock()
					return c.list[0].sick && c.list[1].sick
				})
				if m.ok.Load() > 0 {
					t.Errorf("%d checks were well", m.ok.Load())
				}
			})
		}
	}
	get := &xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Http{Http: &xdsv1.HTTPCheck{Path: "/"}}}
	fine := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }
	f("HTTP", get, fine, false)
	f("HTTP", get, fine, true)
	f("TCP", &xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Tcp{Tcp: &xdsv1.TCPCheck{}}}, fine, false)
	f("gRPC", &xdsv1.HealthCheck{Kind: &xdsv1.HealthCheck_Grpc{Grpc: &xdsv1.GRPCCheck{Service: "s"}}}, grpcHealth("s", &serving), true)
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
