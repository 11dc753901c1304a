package xdstest

import (
	"slices"
	"strconv"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"

	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// A data plane that has not answered gets nothing more; when it answers, all that has changed meanwhile comes at once.
func TestOneResponseAtATime(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener()), nil)
	c := open(t, p)
	c.subscribe(control.TypeResource, nil)
	first := c.recv()
	for i := range 10 {
		p.set(snap(t, listener(), secret("s", strconv.Itoa(i)), secret("s"+strconv.Itoa(i), "x")), nil)
	}
	c.ack(first)
	second := c.recv()
	if got := names(second); !slices.Equal(got, []string{"secret/prod/s", "secret/prod/s9"}) {
		t.Errorf("set %v", got)
	}
	if len(second.RemovedResources) != 9 {
		t.Errorf("removed %v", second.RemovedResources)
	}
	c.nack(second, "no")
	c.quiet()
}

// One that does not read at all delays nobody.
func TestStuckClientDelaysNobody(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	p.set(snap(t, listener(), sized("s", 8<<20)), nil)
	for range 3 {
		stuck := open(t, p)
		stuck.subscribe(control.TypeResource, nil)
		stuck.subscribe(control.TypeEndpoints, nil)
	}
	run(t, options(&line{plane: p}, s))
	for i := range 20 {
		now := snap(t, listener(), sized("s", 8<<20), secret("n", strconv.Itoa(i)))
		p.set(now, nil)
		w.until(t, "ACK", acked(control.Version(now.Versions)))
	}
}

// One that was away so long that the log has moved on must start again, and then resumes.
func TestFallenBehind(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener()), nil)
	c := open(t, p)
	c.subscribe(control.TypeResource, nil)
	first := c.recv()
	for i := range 7000 {
		p.set(snap(t, listener(), secret("s", strconv.Itoa(i))), nil)
	}
	c.ack(first)
	c.refused(codes.Aborted)
	again := open(t, p)
	again.subscribe(control.TypeResource, versionsOf(first))
	if got := names(again.recv()); !slices.Equal(got, []string{"secret/prod/s"}) {
		t.Errorf("resumed with %v", got)
	}
}

// Requests without end or out of order break nothing.
func TestRestlessClient(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener()), nil)
	c := open(t, p)
	for range 200 {
		c.subscribe(control.TypeResource, map[string]string{"x": "y"})
		c.subscribe(control.TypeEndpoints, nil)
	}
	resp := c.recv()
	for range 200 {
		c.send(&discovery.DeltaDiscoveryRequest{TypeUrl: resp.TypeUrl, ResponseNonce: "1"})
	}
	p.set(snap(t, listener(), secret("s", "1")), nil)
	for len(names(resp)) == 0 || names(resp)[0] != "secret/prod/s" {
		resp = c.recv()
	}
}

// What is not served is refused.
func TestRefusedRequests(t *testing.T) {
	p := start(t, control.Options{MaxDataPlanes: 1})
	p.set(snap(t, listener()), nil)
	f := func(req *discovery.DeltaDiscoveryRequest, want codes.Code) {
		t.Helper()
		eventually(t, "there is room", func() bool { return len(p.server.DataPlanes(group)) == 0 })
		c := open(t, p)
		c.send(req)
		c.refused(want)
	}
	f(&discovery.DeltaDiscoveryRequest{}, codes.InvalidArgument)
	f(&discovery.DeltaDiscoveryRequest{TypeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster"}, codes.InvalidArgument)
	f(&discovery.DeltaDiscoveryRequest{TypeUrl: control.TypeResource, ResourceNamesSubscribe: []string{"a"}}, codes.InvalidArgument)
	f(&discovery.DeltaDiscoveryRequest{TypeUrl: control.TypeResource, ResourceNamesUnsubscribe: []string{"*"}}, codes.InvalidArgument)

	eventually(t, "there is room", func() bool { return len(p.server.DataPlanes(group)) == 0 })
	one := open(t, p)
	one.subscribe(control.TypeResource, nil)
	one.recv()
	two := open(t, p)
	two.refused(codes.ResourceExhausted)
}
