package xdstest

import (
	"slices"
	"testing"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// Endpoints are published before resources that need them, and removed after those that used them.
func TestEndpointsComeFirst(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener(), backend("echo")), echo("10.0.0.1"))
	c := open(t, p)
	c.subscribe(control.TypeEndpoints, nil)
	c.subscribe(control.TypeResource, nil)
	next := func(want string) {
		t.Helper()
		resp := c.recv()
		if resp.TypeUrl != want {
			t.Errorf("got %s, expected %s", resp.TypeUrl, want)
		}
		c.ack(resp)
	}
	next(control.TypeEndpoints)
	next(control.TypeResource)
	eventually(t, "both are answered", func() bool {
		dps := p.server.DataPlanes(group)
		return len(dps) == 1 && dps[0].Endpoints.Acked != "" && dps[0].Resources.Acked != ""
	})
	time.Sleep(200 * time.Millisecond) // the watch follows the answer
	p.set(snap(t, listener(), backend("echo"), backend("new")), at(map[string][]string{"echo": {"10.0.0.1"}, "new": {"10.0.0.2"}}))
	next(control.TypeEndpoints)
	next(control.TypeResource)
	time.Sleep(200 * time.Millisecond)
	p.set(snap(t, listener(), backend("echo")), echo("10.0.0.1"))
	next(control.TypeResource)
	next(control.TypeEndpoints)
}

// Changes of endpoints within the gathering time go out together.
func TestEndpointsAreGathered(t *testing.T) {
	p := start(t, control.Options{Gather: 2 * time.Second})
	rs := snap(t, listener(), backend("echo"), backend("other"))
	p.set(rs, at(map[string][]string{"echo": nil, "other": nil}))
	c := open(t, p)
	c.subscribe(control.TypeEndpoints, nil)
	c.ack(c.recv())
	for _, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		p.server.SetEndpoints(group, echo(address), nil)
	}
	p.server.SetEndpoints(group, nil, []string{xdsv1.BackendKey("prod", "other", 80)})
	resp := c.recv()
	if !slices.Equal(names(resp), []string{echoKey}) || len(resp.RemovedResources) != 1 {
		t.Errorf("got %v", resp)
	}
	c.ack(resp)
	c.quiet()
}

// A data plane does not swap to a table with a backend whose endpoints have not come, but for no longer than its patience.
func TestSwapWaitsForEndpoints(t *testing.T) {
	f := func(patience time.Duration, send func(p *plane), least time.Duration) {
		t.Helper()
		w := newWatcher()
		p, s := start(t, control.Options{Observer: w}), newSink()
		o := options(&line{plane: p}, s)
		o.MaxWait = patience
		run(t, o)
		p.set(snap(t, listener(), route("a", "/a", echoKey), backend("echo")), echo("10.0.0.1"))
		w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })
		begin := time.Now()
		// A snapshot whose endpoints are late: what a control plane should not do, but two replicas may.
		p.set(snap(t, listener(), route("a", "/new", "backend/prod/new/80"), backend("echo"), backend("new")), echo("10.0.0.1"))
		send(p)
		eventually(t, "the change serves", func() bool { return s.path("a") == "/new" })
		took := time.Since(begin)
		if took < least {
			t.Errorf("it served after %v, expected %v", took, least)
		}
	}
	f(300*time.Millisecond, func(*plane) {}, 300*time.Millisecond)
	f(time.Hour, func(p *plane) {
		time.Sleep(150 * time.Millisecond)
		p.server.SetEndpoints(group, at(map[string][]string{"new": {"10.0.0.7"}}), nil)
	}, 150*time.Millisecond)
	// The next response of resources does not wait behind one that does.
	f(time.Hour, func(p *plane) {
		p.server.SetEndpoints(group, at(map[string][]string{"new": nil}), nil)
	}, 0)
}

// Endpoints alone do not make a new table.
func TestEndpointsCompileNothing(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	run(t, options(&line{plane: p}, s))
	rs := snap(t, listener(), route("a", "/a", echoKey), backend("echo"))
	p.set(rs, echo("10.0.0.1"))
	w.until(t, "ACK", acked(control.Version(rs.Versions)))
	before := s.compiled()
	for _, address := range []string{"10.0.0.2", "10.0.0.3", "10.0.0.4"} {
		p.server.SetEndpoints(group, echo(address), nil)
		eventually(t, address, func() bool { return slices.Equal(s.addresses("echo"), []string{address}) })
	}
	if n := s.compiled() - before; n != 0 {
		t.Errorf("%d tables were compiled", n)
	}
}
