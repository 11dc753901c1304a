package xdstest

import (
	"strconv"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	control "github.com/nantian-gw/nantian/controlplane/xds"
)

func sized(name string, bytes int) *xdsv1.Resource { return secret(name, strings.Repeat("x", bytes)) }

// A first response over gRPC's default of 4 MiB arrives, and a reconnect with many versions as well.
func TestBigFirstResponse(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	rs := []*xdsv1.Resource{listener()}
	for i := range 20000 {
		rs = append(rs, sized("s"+strconv.Itoa(i)+strings.Repeat("n", 200), 2000))
	}
	all := snap(t, rs...)
	p.set(all, nil)
	l, m := &line{plane: p}, &counter{}
	o := options(l, s)
	o.Metrics = m
	run(t, o)
	w.until(t, "ACK", acked(control.Version(all.Versions)))
	if m.mu.Lock(); m.bytes < 40<<20 {
		t.Errorf("only %d bytes came", m.bytes)
	}
	m.mu.Unlock()
	before := s.count()
	p.stop()
	w2 := newWatcher()
	replica := start(t, control.Options{Observer: w2})
	replica.set(all, nil)
	l.to(replica)
	w2.until(t, "ACK after resume", acked(control.Version(all.Versions)))
	s.since(t, before, nil, nil)
}

// What could not arrive is refused where it is set, and what was set before stays.
func TestTooBig(t *testing.T) {
	p := start(t, control.Options{})
	p.set(snap(t, listener()), nil)
	half := strings.Repeat("x", 100<<20)
	rs := map[string]*xdsv1.Resource{}
	for _, name := range []string{"a", "b"} {
		r := secret(name, half)
		rs[xdsv1.KeyOf(r)] = r
	}
	tooBig, err := snapshot.New(rs)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.SetGroup(group, tooBig, nil); err == nil || !strings.Contains(err.Error(), group) {
		t.Errorf("accepted: %v", err)
	}
	c := open(t, p)
	c.subscribe(control.TypeResource, nil)
	if got := names(c.recv()); len(got) != 1 {
		t.Errorf("serves %v", got)
	}
}
