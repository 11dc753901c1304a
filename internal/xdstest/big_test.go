package xdstest

import (
	"strconv"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	control "github.com/nantian-gw/nantian/controlplane/xds"
)

func sized(name string, bytes int) *xdsv1.Resource { return secret(name, strings.Repeat("x", bytes)) }

// A first response over gRPC's default of 4 MiB arrives, and a reconnect with many versions as well.
func TestBigFirstResponse(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	rs := []*xdsv1.Resource{listener()}
	for i := range 10000 {
		rs = append(rs, sized("s"+strconv.Itoa(i)+strings.Repeat("n", 200), 1000))
	}
	all := snap(t, rs...)
	p.set(all, nil)
	l, m := &line{plane: p}, &counter{}
	o := options(l, s)
	o.Metrics = m
	run(t, o)
	w.until(t, "ACK", acked(control.Version(all.Versions)))
	if m.mu.Lock(); m.bytes < 10<<20 {
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
