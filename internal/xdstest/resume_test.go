package xdstest

import (
	"maps"
	"slices"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// After a reconnect to any replica only what has changed meanwhile is sent, removals included.
func TestResume(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	l := &line{plane: p}
	run(t, options(l, s))
	first := snap(t, listener(), route("a", "/a", echoKey), route("b", "/b", echoKey), route("c", "/c", echoKey), backend("echo"))
	p.set(first, echo("10.0.0.1"))
	w.until(t, "ACK", acked(control.Version(first.Versions)))
	before := s.count()

	l.to(nil)
	p.stop()
	w2 := newWatcher()
	replica := start(t, control.Options{Observer: w2})
	second := snap(t, listener(), route("a", "/a", echoKey), route("b", "/edited", echoKey), backend("echo"))
	replica.set(second, echo("10.0.0.1"))
	l.to(replica)
	w2.until(t, "ACK on the other replica", acked(control.Version(second.Versions)))
	s.since(t, before, []string{"route/http/prod/b"}, []string{"route/http/prod/c"})

	// Again, with no change at all: the version is acknowledged, and nothing is sent or compiled.
	tables, before := s.compiled(), s.count()
	l.to(nil)
	replica.stop()
	w3 := newWatcher()
	third := start(t, control.Options{Observer: w3})
	third.set(second, echo("10.0.0.1"))
	l.to(third)
	w3.until(t, "ACK of what it had", acked(control.Version(second.Versions)))
	s.since(t, before, nil, nil)
	if got := s.compiled(); got != tables {
		t.Errorf("a reconnect compiled %d tables", got-tables)
	}
}

// After a refusal, resume says what was received: the replica sends the repair alone, and all of it serves.
func TestResumeAfterRefusal(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	l := &line{plane: p}
	run(t, options(l, s))
	p.set(snap(t, listener(), route("a", "/old", echoKey), route("b", "/b", echoKey), backend("echo")), echo())
	w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })
	p.set(snap(t, listener(), route("a", "/new", echoKey), broken("b"), backend("echo")), echo())
	w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil })
	before := s.count()

	l.to(nil)
	p.stop()
	w2 := newWatcher()
	replica := start(t, control.Options{Observer: w2})
	repaired := snap(t, listener(), route("a", "/new", echoKey), route("b", "/repaired", echoKey), backend("echo"))
	replica.set(repaired, echo())
	l.to(replica)
	w2.until(t, "ACK", acked(control.Version(repaired.Versions)))
	s.since(t, before, []string{"route/http/prod/b"}, nil)
	if a, b := s.path("a"), s.path("b"); a != "/new" || b != "/repaired" {
		t.Errorf("a serves %s and b %s", a, b)
	}
}

// What was refused is refused again on a replica that has the same: nothing is sent, and nothing is taken for accepted.
func TestResumeRefused(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	l := &line{plane: p}
	run(t, options(l, s))
	bad := snap(t, listener(), broken("b"), backend("echo"))
	p.set(bad, echo())
	w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil })
	before := s.count()
	l.to(nil)
	p.stop()
	w2 := newWatcher()
	replica := start(t, control.Options{Observer: w2})
	replica.set(bad, echo())
	l.to(replica)
	dp := w2.until(t, "an answer", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil || dp.Resources.Acked != "" })
	if r := dp.Resources.Refused; r == nil || !slices.Equal(r.Keys, []string{"route/http/prod/b"}) {
		t.Errorf("after a reconnect: %+v", dp.Resources)
	}
	s.since(t, before, nil, nil)
}

// A data plane that is started anew announces what it finds on disk.
func TestResumeAfterRestart(t *testing.T) {
	w := newWatcher()
	p, l := start(t, control.Options{Observer: w}), &line{}
	l.to(p)
	o := options(l, newSink())
	o.Dir, o.Key = t.TempDir(), key("k")
	_, stop := run(t, o)
	first := snap(t, listener(), route("a", "/a", echoKey), route("b", "/b", echoKey), backend("echo"), secret("s", "1"))
	p.set(first, at(map[string][]string{"echo": {"10.0.0.1"}, "gone": {"10.0.0.2"}}))
	w.until(t, "ACK", acked(control.Version(first.Versions)))
	stop()

	second := snap(t, listener(), route("b", "/edited", echoKey), backend("echo"), secret("s", "1"))
	p.set(second, echo("10.0.0.1"))
	s := newSink()
	o.Sink = s
	run(t, o)
	w.until(t, "ACK after the restart", acked(control.Version(second.Versions)))
	var full bool
	s.see(func() { full = s.updates[0].Full && len(s.updates[0].Set) == 5 })
	if !full {
		t.Error("the first update is not the set on disk")
	}
	eventually(t, "the endpoints that went are removed", func() bool { return s.addresses("gone") == nil })
	s.since(t, 1, []string{"route/http/prod/b"}, []string{"route/http/prod/a"})
}

// A replica that does not know the group yet must not take its configuration away.
func TestResumeWhereTheGroupIsNotKnown(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	l := &line{plane: p}
	run(t, options(l, s))
	p.set(snap(t, listener()), nil)
	w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })
	p.stop()
	w2 := newWatcher()
	replica := start(t, control.Options{Observer: w2})
	l.to(replica)
	w2.until(t, "connected", func(control.DataPlane) bool { return true })
	if got := s.keys(); len(got) != 1 {
		t.Errorf("serves %v", got)
	}
	edited := snap(t, listener(), secret("s", "1"))
	replica.set(edited, nil)
	w2.until(t, "ACK once the group is known", acked(control.Version(edited.Versions)))
}

// since checks which resources came in all updates after the first n.
func (s *sink) since(t *testing.T, n int, set, removed []string) {
	t.Helper()
	all, gone := map[string]*xdsv1.Resource{}, []string(nil)
	full := false
	s.see(func() {
		for _, u := range s.updates[n:] {
			full = full || u.Full
			maps.Copy(all, u.Set)
			gone = append(gone, u.Removed...)
		}
	})
	if got := slices.Sorted(maps.Keys(all)); full || !slices.Equal(got, set) || !slices.Equal(gone, removed) {
		t.Errorf("full %v, set %v, removed %v; expected %v and %v", full, got, gone, set, removed)
	}
}

func (s *sink) compiled() (n int) {
	s.see(func() { n = s.tables })
	return n
}
