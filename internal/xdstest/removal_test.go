package xdstest

import (
	"testing"

	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// A group that is removed takes its configuration away from its data planes, and gives it back when it comes again.
func TestGroupRemoval(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	run(t, options(&line{plane: p}, s))
	all := snap(t, listener(), route("a", "/a", echoKey), backend("echo"))
	p.set(all, echo("10.0.0.1"))
	w.until(t, "ACK", acked(control.Version(all.Versions)))

	p.server.RemoveGroup(group)
	w.until(t, "ACK of nothing", acked(control.Version(nil)))
	if got := s.keys(); len(got) != 0 {
		t.Errorf("serves %v", got)
	}
	eventually(t, "no endpoints", func() bool { return s.addresses("echo") == nil })

	p.set(all, echo("10.0.0.2"))
	w.until(t, "ACK of the group that is back", acked(control.Version(all.Versions)))
	eventually(t, "its endpoints", func() bool { return len(s.addresses("echo")) == 1 })
}

// One that had not answered when its group was removed learns of it with its next answer.
func TestGroupRemovalDuringResponse(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener()), nil)
	c := open(t, p)
	c.subscribe(control.TypeResource, nil)
	first := c.recv()
	p.server.RemoveGroup(group)
	p.server.RemoveGroup(group)
	p.server.RemoveGroup("prod/other")
	c.ack(first)
	if got := c.recv(); len(got.RemovedResources) != 1 {
		t.Errorf("got %v", got)
	}
	late := open(t, p)
	late.subscribe(control.TypeResource, nil)
	late.quiet()
}

// Other groups hear nothing of it.
func TestGroupsAreApart(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener()), nil)
	c := open(t, p)
	c.subscribe(control.TypeResource, nil)
	c.ack(c.recv())
	if err := p.server.SetGroup("prod/other", snap(t, listener(), secret("s", "1")), nil); err != nil {
		t.Fatal(err)
	}
	p.server.RemoveGroup("prod/other")
	c.quiet()
}
