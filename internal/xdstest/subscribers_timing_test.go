package xdstest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	control "github.com/nantian-gw/nantian/controlplane/xds"
)

const (
	subscribers = 1000
	services    = 1000 // of ten endpoints each
	// subscribersAt makes the test binary play the data planes of the control plane at an address, in a process of its own, so
	// that their CPU is not taken for the control plane's.
	subscribersAt = "XDSTEST_SUBSCRIBERS_AT"
)

// tally is what the subscribers saw.
type tally struct {
	Lags      []time.Duration // of each response of endpoints, from the change to its arrival
	Resources int             // responses of resources
	Changes   int             // endpoints that came
	CPU       time.Duration
}

// BenchmarkSubscribers changes the endpoints of one of 1,000 services a hundred times a second, with 1,000 data planes
// subscribed. An iteration is a change. It reports how long changes took to arrive, the gathering time included, and the CPU
// of the control plane's process.
func BenchmarkSubscribers(b *testing.B) {
	server, err := control.New(control.Options{Authenticator: everyone(group)})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(b.Context())
	go func() { done <- server.Serve(ctx, l) }()
	defer func() { cancel(); <-done }()
	rs, all := routesTo(1000), map[string]*xdsv1.Endpoints{}
	for i := range services {
		m := backend("s" + strconv.Itoa(i))
		rs[xdsv1.KeyOf(m)] = m
		all[xdsv1.KeyOf(m)] = tenEndpoints(i, 0)
	}
	if err := server.SetGroup(group, snap(b, values(rs)...), all); err != nil {
		b.Fatal(err)
	}
	child := startSubscribers(b, l.Addr().String())
	for len(server.DataPlanes(group)) < subscribers || !answered(server) {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Second)

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	n, cpu, begin := 0, cpuTime(), time.Now()
	for b.Loop() {
		<-tick.C
		n++
		e := tenEndpoints(n%services, time.Now().UnixNano())
		server.SetEndpoints(group, map[string]*xdsv1.Endpoints{e.Key: e}, nil)
	}
	took := time.Since(begin)
	time.Sleep(500 * time.Millisecond)
	spent := cpuTime() - cpu
	seen := child()
	slices.Sort(seen.Lags)
	if len(seen.Lags) == 0 || seen.Resources != subscribers {
		b.Fatalf("%d responses of endpoints and %d of resources", len(seen.Lags), seen.Resources)
	}
	b.ReportMetric(float64(seen.Lags[len(seen.Lags)/2].Microseconds())/1000, "ms/lag-p50")
	b.ReportMetric(float64(seen.Lags[len(seen.Lags)*99/100].Microseconds())/1000, "ms/lag-p99")
	b.ReportMetric(spent.Seconds()/took.Seconds(), "cores")
	b.ReportMetric(seen.CPU.Seconds()/took.Seconds(), "subscriber-cores")
	b.ReportMetric(float64(n)/took.Seconds(), "changes/s")
	b.ReportMetric(float64(seen.Changes)/float64(n*subscribers)*100, "%arrived")
}

// tenEndpoints of a service; the zone carries the time of the change.
func tenEndpoints(service int, at int64) *xdsv1.Endpoints {
	e := &xdsv1.Endpoints{Key: xdsv1.BackendKey("prod", "s"+strconv.Itoa(service), 80)}
	for i := range 10 {
		e.Endpoints = append(e.Endpoints, &xdsv1.Endpoint{Address: fmt.Sprintf("10.%d.%d.%d", service/250, service%250, i), Port: 8080, Zone: strconv.FormatInt(at, 10)})
	}
	return e
}

func values(m map[string]*xdsv1.Resource) (out []*xdsv1.Resource) {
	for _, r := range m {
		out = append(out, r)
	}
	return out
}

func answered(s *control.Server) bool {
	return !slices.ContainsFunc(s.DataPlanes(group), func(dp control.DataPlane) bool {
		return dp.Resources.Acked == "" || dp.Endpoints.Acked == ""
	})
}

// startSubscribers starts the other process; what it returns ends it and says what it saw.
func startSubscribers(b *testing.B, address string) func() tally {
	cmd := exec.Command(os.Args[0], "-test.run=^TestSubscribers$")
	cmd.Env = append(os.Environ(), subscribersAt+"="+address)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return func() (t tally) {
		in.Close()
		if err := json.NewDecoder(out).Decode(&t); err != nil {
			b.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
		return t
	}
}

// TestSubscribers is the other process of BenchmarkSubscribers; by itself it checks that the messages can be told apart.
func TestSubscribers(t *testing.T) {
	address := os.Getenv(subscribersAt)
	if address == "" {
		if e := tenEndpoints(7, 5); e.Key != "backend/prod/s7/80" || e.Endpoints[9].Zone != "5" {
			t.Errorf("%v", e)
		}
		return
	}
	var mu sync.Mutex
	var all tally
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range subscribers {
		wg.Go(func() {
			own := subscriber(ctx, address, i)
			mu.Lock()
			defer mu.Unlock()
			all.Lags = append(all.Lags, own.Lags...)
			all.Resources += own.Resources
			all.Changes += own.Changes
		})
		if i%50 == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	os.Stdin.Read(make([]byte, 1)) // until the benchmark closes it
	all.CPU = cpuTime()
	cancel()
	wg.Wait()
	json.NewEncoder(os.Stdout).Encode(all)
}

// subscriber is a data plane that acknowledges everything and looks only at when it came.
func subscriber(ctx context.Context, address string, n int) (t tally) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithSharedWriteBuffer(true))
	if err != nil {
		return t
	}
	defer conn.Close()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx, grpc.WaitForReady(true))
	if err != nil {
		return t
	}
	for _, typeURL := range []string{control.TypeEndpoints, control.TypeResource} {
		if stream.Send(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: strconv.Itoa(n)}, TypeUrl: typeURL}) != nil {
			return t
		}
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			return t
		}
		t.note(resp, time.Now())
		if stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce}) != nil {
			return t
		}
	}
}

func (t *tally) note(resp *discovery.DeltaDiscoveryResponse, now time.Time) {
	if resp.TypeUrl == control.TypeResource {
		t.Resources++
		return
	}
	if len(resp.Resources) == services { // the first
		return
	}
	for _, n := range resp.Resources {
		e := &xdsv1.Endpoints{}
		if proto.Unmarshal(n.Resource.Value, e) != nil {
			continue
		}
		at, _ := strconv.ParseInt(e.Endpoints[0].Zone, 10, 64)
		t.Lags = append(t.Lags, now.Sub(time.Unix(0, at)))
		t.Changes++
	}
}
