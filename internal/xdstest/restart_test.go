package xdstest

import (
	"testing"
	"time"

	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// While the control plane is away everything goes on; when it is back, all data planes are, and what changed meanwhile.
func TestControlPlaneRestart(t *testing.T) {
	const clients = 20
	p := start(t, control.Options{})
	l := &line{plane: p}
	p.set(snap(t, listener(), route("a", "/a", echoKey), backend("echo")), echo())
	var sinks []*sink
	for range clients {
		s := newSink()
		sinks = append(sinks, s)
		run(t, options(l, s))
	}
	all := func(path string) func() bool {
		return func() bool {
			for _, s := range sinks {
				if len(s.keys()) != 3 || s.path("a") != path {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "all serve", all("/a"))
	for _, path := range []string{"/b", "/c", "/d"} {
		l.to(nil)
		p.stop()
		time.Sleep(30 * time.Millisecond)
		p = start(t, control.Options{})
		l.to(p)
		p.set(snap(t, listener(), route("a", path, echoKey), backend("echo")), echo())
		eventually(t, "all serve "+path, all(path))
	}
	if got := len(p.server.DataPlanes(group)); got != clients {
		t.Errorf("%d data planes are connected, expected %d", got, clients)
	}
}

// Stopping does not wait for data planes that do not read.
func TestStopWithStuckClient(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener(), sized("s", 3<<20)), nil)
	c := open(t, p)
	c.subscribe(control.TypeResource, nil)
	eventually(t, "the stream is open", func() bool { return len(p.server.DataPlanes(group)) == 1 })
	p.stop()
}
