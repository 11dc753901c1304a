package xdstest

import (
	"context"
	"net"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// raw is a client that says exactly what a test wants.
type raw struct {
	t      testing.TB
	stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel context.CancelFunc
}

func open(t testing.TB, p *plane, opts ...grpc.DialOption) *raw {
	t.Helper()
	if p != nil {
		opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return p.pipe.DialContext(ctx) }))
	}
	opts = append(opts, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))
	conn, err := grpc.NewClient("passthrough:///pipe", opts...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(func() { cancel(); conn.Close() })
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &raw{t, stream, cancel}
}

func (r *raw) send(req *discovery.DeltaDiscoveryRequest) {
	r.t.Helper()
	if err := r.stream.Send(req); err != nil {
		r.t.Fatal(err)
	}
}

// subscribe asks for a type with the versions that the client has.
func (r *raw) subscribe(typeURL string, versions map[string]string) {
	r.t.Helper()
	r.send(&discovery.DeltaDiscoveryRequest{
		Node:    &core.Node{Id: "raw", Cluster: group},
		TypeUrl: typeURL, ResourceNamesSubscribe: []string{"*"}, InitialResourceVersions: versions,
	})
}

func (r *raw) recv() *discovery.DeltaDiscoveryResponse {
	r.t.Helper()
	resp, err := r.stream.Recv()
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

func (r *raw) ack(resp *discovery.DeltaDiscoveryResponse) {
	r.t.Helper()
	r.send(&discovery.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce})
}

func (r *raw) nack(resp *discovery.DeltaDiscoveryResponse, why string) {
	r.t.Helper()
	r.send(&discovery.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: resp.Nonce, ErrorDetail: &rpc.Status{Message: why}})
}

// refused waits for the end of the stream, which must have the code.
func (r *raw) refused(want codes.Code) {
	r.t.Helper()
	for {
		if _, err := r.stream.Recv(); err != nil {
			if status.Code(err) != want {
				r.t.Errorf("the stream ended with %v, expected %v", err, want)
			}
			return
		}
	}
}

// quiet checks that nothing comes for a while; the stream cannot be used afterwards.
func (r *raw) quiet() {
	r.t.Helper()
	timer := time.AfterFunc(150*time.Millisecond, r.cancel)
	defer timer.Stop()
	if resp, err := r.stream.Recv(); err == nil {
		r.t.Errorf("unexpected response: %v", resp)
	}
}

func names(resp *discovery.DeltaDiscoveryResponse) []string {
	var out []string
	for _, n := range resp.Resources {
		out = append(out, n.Name)
	}
	return out
}

// versions after a response.
func versionsOf(resp *discovery.DeltaDiscoveryResponse) map[string]string {
	out := map[string]string{}
	for _, n := range resp.Resources {
		out[n.Name] = n.Version
	}
	return out
}

// watcher is an Observer that remembers the last state of each data plane.
type watcher struct {
	states chan control.DataPlane
	gone   chan control.DataPlane
}

func newWatcher() *watcher {
	return &watcher{make(chan control.DataPlane, 1000), make(chan control.DataPlane, 1000)}
}

func (w *watcher) Changed(dp control.DataPlane) { w.states <- dp }
func (w *watcher) Gone(dp control.DataPlane)    { w.gone <- dp }

// until waits for a state.
func (w *watcher) until(t testing.TB, what string, ok func(control.DataPlane) bool) control.DataPlane {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case dp := <-w.states:
			if ok(dp) {
				return dp
			}
		case <-timeout:
			t.Fatalf("never observed: %s", what)
		}
	}
}
