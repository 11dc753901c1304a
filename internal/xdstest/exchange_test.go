package xdstest

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// What the control plane sets is what the data plane serves: the first time, after an edit, and after a removal.
func TestExchange(t *testing.T) {
	p, s := start(t, control.Options{}), newSink()
	l := &line{plane: p}
	c, _ := run(t, options(l, s))
	if c.Ready() == nil {
		t.Error("ready before anything has come")
	}

	p.set(snap(t, listener(), route("a", "/a", "backend/prod/echo/80"), route("b", "/b", "backend/prod/echo/80"), backend("echo")), echo("10.0.0.1"))
	want := []string{"backend/prod/echo/80", "listener/prod/web/http", "route/http/prod/a", "route/http/prod/b"}
	eventually(t, "all resources serve", func() bool { return slices.Equal(s.keys(), want) })
	eventually(t, "ready", func() bool { return c.Ready() == nil })

	p.set(snap(t, listener(), route("a", "/edited", "backend/prod/echo/80"), backend("echo")), echo("10.0.0.1"))
	eventually(t, "the removal serves", func() bool { return len(s.keys()) == 3 })
	u := s.last()
	if u.Full || len(u.Set) != 1 || !slices.Equal(u.Removed, []string{"route/http/prod/b"}) || len(u.Endpoints) > 0 {
		t.Errorf("an edit and a removal came as %v", u)
	}
	if got := u.Set["route/http/prod/a"]; !proto.Equal(got, route("a", "/edited", "backend/prod/echo/80")) {
		t.Errorf("the edited route came as %v", got)
	}
}
