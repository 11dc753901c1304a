package xdstest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/test/bufconn"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	control "github.com/nantian-gw/nantian/controlplane/xds"
	"github.com/nantian-gw/nantian/gateway/config"
)

// taps is a Sink and a Metrics that tells when something has come.
type taps struct {
	noMetrics
	got   chan time.Time
	bytes int
	mu    sync.Mutex
}

type noMetrics struct{}

func (noMetrics) Connected(bool)                            {}
func (noMetrics) Failed()                                   {}
func (noMetrics) Response(string, int, bool, time.Duration) {}

func (s *taps) Apply(context.Context, config.Update) error {
	s.got <- time.Now()
	return nil
}

func (s *taps) Response(_ string, bytes int, _ bool, _ time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes += bytes
}

func (s *taps) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// byAddress is an Authenticator for connections whose address is the name of their group.
type byAddress struct{}

func (byAddress) Authenticate(ctx context.Context) (control.Identity, error) {
	p, _ := peer.FromContext(ctx)
	return control.Identity{Group: p.Addr.String()}, nil
}

// door is a pipe whose connections come from a group.
type door struct {
	*bufconn.Listener
	group string
}

type visitor struct {
	net.Conn
	group string
}

func (d door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return visitor{c, d.group}, nil
}

func (v visitor) RemoteAddr() net.Addr { return v }
func (v visitor) Network() string      { return "pipe" }
func (v visitor) String() string       { return v.group }

// BenchmarkEdit edits one of 10,000 routes and waits until the data plane's Sink has it, in 100 groups with one data plane
// each and in one. It reports the median time, the bytes that data planes were sent for an edit, and the CPU and the heap of both ends together.
func BenchmarkEdit(b *testing.B) {
	for _, groups := range []int{100, 1} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) { benchmarkEdit(b, groups, 10000/groups) })
	}
}

func benchmarkEdit(b *testing.B, groups, routes int) {
	server, err := control.New(control.Options{Authenticator: byAddress{}})
	if err != nil {
		b.Fatal(err)
	}
	sets := make([]map[string]*xdsv1.Resource, groups)
	sinks := make([]*taps, groups)
	for g := range groups {
		sets[g] = routesTo(routes)
		publish(b, server, groupName(g), sets[g])
		sinks[g] = &taps{got: make(chan time.Time, 16)}
		p := serve(b, server, groupName(g))
		o := options(&line{plane: p}, sinks[g])
		o.Node.Group, o.Metrics = groupName(g), sinks[g]
		run(b, o)
	}
	for _, s := range sinks { // the first responses of both types
		<-s.got
		<-s.got
	}
	eventually(b, "all have answered", func() bool {
		for g := range groups {
			if dps := server.DataPlanes(groupName(g)); len(dps) != 1 || dps[0].Resources.Acked == "" {
				return false
			}
		}
		return true
	})
	before := 0
	for _, s := range sinks {
		before += s.total()
	}
	cpu := cpuTime()
	var took []time.Duration
	n := 0
	for b.Loop() {
		n++
		g := n % groups
		r := route(fmt.Sprintf("r%05d", n%routes), fmt.Sprintf("/edited/%d/v%d", n%routes, n), echoKey)
		sets[g] = maps.Clone(sets[g])
		sets[g][xdsv1.KeyOf(r)] = r
		begin := time.Now()
		publish(b, server, groupName(g), sets[g])
		took = append(took, (<-sinks[g].got).Sub(begin))
	}
	spent := cpuTime() - cpu
	time.Sleep(50 * time.Millisecond)
	after := -before
	for _, s := range sinks {
		after += s.total()
	}
	slices.Sort(took)
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	b.ReportMetric(float64(mem.HeapAlloc)/(1<<20), "heap-MiB")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs/edit-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs/edit-p99")
	b.ReportMetric(float64(after)/float64(n), "B/edit")
	b.ReportMetric(float64(spent.Microseconds())/float64(n), "cpu-µs/edit")
}

// routesTo is a group with so many routes.
func routesTo(n int) map[string]*xdsv1.Resource {
	out := map[string]*xdsv1.Resource{"listener/prod/web/http": listener(), echoKey: backend("echo")}
	for i := range n {
		r := route(fmt.Sprintf("r%05d", i), fmt.Sprintf("/service/%d/v1", i), echoKey)
		out[xdsv1.KeyOf(r)] = r
	}
	return out
}

// serve gives a group a door to a server.
func serve(b *testing.B, s *control.Server, group string) *plane {
	p := &plane{t: b, server: s, pipe: bufconn.Listen(64 << 10)}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, door{p.pipe, group}) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Errorf("Serve: %v", err)
		}
	})
	return p
}

func groupName(g int) string { return fmt.Sprintf("prod/web%d", g) }

// publish makes a snapshot, hashes and all, as a control plane does after translation.
func publish(b *testing.B, s *control.Server, group string, all map[string]*xdsv1.Resource) {
	now, err := snapshot.New(all)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.SetGroup(group, now, echo("10.0.0.1")); err != nil {
		b.Fatal(err)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
