package xdstest

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	control "github.com/nantian-gw/nantian/controlplane/xds"
)

const echoKey = "backend/prod/echo/80"

// A change that was in a refused response is not lost. The server records what it has sent, not what was accepted, so after
// the repair it sends only the repaired resource.
func TestRefusedChangeIsNotLost(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	run(t, options(&line{plane: p}, s))
	first := snap(t, listener(), route("a", "/old", echoKey), route("b", "/b", echoKey), backend("echo"))
	p.set(first, echo("10.0.0.1"))
	w.until(t, "ACK of the first snapshot", acked(control.Version(first.Versions)))

	second := snap(t, listener(), route("a", "/new", echoKey), broken("b"), backend("echo"))
	p.set(second, echo("10.0.0.1"))
	dp := w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil })
	refusal := dp.Resources.Refused
	if dp.Resources.Acked != control.Version(first.Versions) || refusal.Version != control.Version(second.Versions) {
		t.Errorf("acknowledged %s, refused %s", dp.Resources.Acked, refusal.Version)
	}
	if !slices.Equal(refusal.Keys, []string{"route/http/prod/b"}) || !strings.Contains(refusal.Message, "matches[0].path") {
		t.Errorf("refused for keys %q, reason %q", refusal.Keys, refusal.Message)
	}
	if got := s.path("a"); got != "/old" {
		t.Errorf("after a refusal a serves %s", got)
	}

	third := snap(t, listener(), route("a", "/new", echoKey), route("b", "/repaired", echoKey), backend("echo"))
	p.set(third, echo("10.0.0.1"))
	w.until(t, "ACK of the repair", acked(control.Version(third.Versions)))
	if u := s.last(); u.Full || len(u.Set) != 1 || u.Set["route/http/prod/b"] == nil {
		t.Errorf("the repair came as %v", slices.Collect(maps.Keys(u.Set)))
	}
	if a, b := s.path("a"), s.path("b"); a != "/new" || b != "/repaired" {
		t.Errorf("after the repair a serves %s and b %s", a, b)
	}
}

// A resource of a kind that the data plane does not know is refused, and what serves goes on.
func TestUnknownKindIsRefused(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	run(t, options(&line{plane: p}, s))
	p.set(snap(t, listener()), nil)
	w.until(t, "first ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" })

	future := &xdsv1.Resource{}
	future.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 25, protowire.BytesType), "wasm"))
	all := snap(t, listener())
	all.Resources["wasm/prod/x"], all.Versions["wasm/prod/x"] = future, "1"
	p.set(all, nil)
	dp := w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil })
	if !strings.Contains(dp.Resources.Refused.Message, "wasm/prod/x") {
		t.Errorf("reason %q", dp.Resources.Refused.Message)
	}
	if got := s.keys(); !slices.Equal(got, []string{"listener/prod/web/http"}) {
		t.Errorf("serves %v", got)
	}
}

// Endpoints that cannot be used are refused alone: the others of the response are taken, and those before go on.
func TestRefusedEndpoints(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	run(t, options(&line{plane: p}, s))
	rs := snap(t, listener(), backend("echo"), backend("other"))
	p.set(rs, at(map[string][]string{"echo": {"10.0.0.1"}, "other": {"10.0.0.2"}}))
	w.until(t, "first ACK", acked(control.Version(rs.Versions)))

	p.set(rs, at(map[string][]string{"echo": {"no address"}, "other": {"10.0.0.3"}}))
	dp := w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Endpoints.Refused != nil })
	if !slices.Equal(dp.Endpoints.Refused.Keys, []string{echoKey}) {
		t.Errorf("refused for keys %q: %s", dp.Endpoints.Refused.Keys, dp.Endpoints.Refused.Message)
	}
	if got := s.addresses("echo"); !slices.Equal(got, []string{"10.0.0.1"}) {
		t.Errorf("echo is at %v", got)
	}
	if got := s.addresses("other"); !slices.Equal(got, []string{"10.0.0.3"}) {
		t.Errorf("other is at %v", got)
	}
	p.set(rs, at(map[string][]string{"echo": {"10.0.0.9"}, "other": {"10.0.0.3"}}))
	w.until(t, "ACK of the repair", func(dp control.DataPlane) bool { return dp.Endpoints.Refused == nil && dp.Endpoints.Acked != "" })
	if got := s.addresses("echo"); !slices.Equal(got, []string{"10.0.0.9"}) {
		t.Errorf("repaired, echo is at %v", got)
	}
}

// What a data plane says when it refuses is bounded, and a nonce that was never sent is no answer.
func TestAnswersAreBounded(t *testing.T) {
	w := newWatcher()
	p := start(t, control.Options{Observer: w})
	p.set(snap(t, listener()), nil)
	c := open(t, p)
	c.subscribe(control.TypeResource, nil)
	resp := c.recv()
	wrong := proto.CloneOf(resp)
	wrong.Nonce = "77"
	c.ack(wrong)
	var lines strings.Builder
	for i := range 10000 {
		lines.WriteString("route/http/prod/" + string(rune('a'+i%26)) + strings.Repeat("x", i%50) + ": \xff broken\n")
	}
	c.nack(resp, strings.ToValidUTF8(lines.String(), "?"))
	dp := w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil })
	if r := dp.Resources.Refused; len(r.Message) > 4<<10 || len(r.Keys) > 20 || len(r.Keys) == 0 {
		t.Errorf("%d bytes, %d keys", len(r.Message), len(r.Keys))
	}
	if dp.Resources.Acked != "" {
		t.Error("an answer to nothing counted as an ACK")
	}
	if got := p.server.DataPlanes(group); len(got) != 1 || got[0].ID != "raw" || got[0].Resources.Refused == nil {
		t.Errorf("data planes: %+v", got)
	}
	c.cancel()
	<-w.gone
	eventually(t, "no data planes", func() bool { return len(p.server.DataPlanes(group)) == 0 })
}

func acked(version string) func(control.DataPlane) bool {
	return func(dp control.DataPlane) bool { return dp.Resources.Acked == version && dp.Resources.Refused == nil }
}

// path is the path that a route serves.
func (s *sink) path(route string) (path string) {
	s.see(func() {
		r := s.serving[xdsv1.RouteKey(xdsv1.RouteHTTP, "prod", route)]
		path = r.GetRoute().GetHttp().GetRules()[0].GetMatches()[0].GetPath().GetValue()
	})
	return path
}

// addresses of a service, as the store has them.
func (s *sink) addresses(service string) (out []string) {
	_, all := s.store.Received()
	for _, e := range all[xdsv1.BackendKey("prod", service, 80)].GetEndpoints() {
		out = append(out, e.GetAddress())
	}
	return out
}

// Endpoints that a refused change does without stay until it is repaired: what serves still uses them.
func TestRefusedChangeKeepsEndpoints(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	run(t, options(&line{plane: p}, s))
	first := snap(t, listener(), route("a", "/a", echoKey), backend("echo"))
	p.set(first, echo("10.0.0.1"))
	w.until(t, "ACK", acked(control.Version(first.Versions)))
	p.set(snap(t, listener(), broken("b")), nil)
	w.until(t, "NACK", func(dp control.DataPlane) bool { return dp.Resources.Refused != nil })
	time.Sleep(100 * time.Millisecond) // the removal of the endpoints comes after the gathering time
	if got := s.addresses("echo"); len(got) != 1 || s.path("a") != "/a" {
		t.Errorf("a serves %s, echo is at %v", s.path("a"), got)
	}
	p.set(snap(t, listener()), nil)
	eventually(t, "repaired, the endpoints go", func() bool { return len(s.addresses("echo")) == 0 && len(s.keys()) == 1 })
}
