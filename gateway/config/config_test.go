package config

import (
	"context"
	"errors"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/table"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// builder remembers the clusters of the table that was built last.
type builder struct{ clusters map[string]*upstream.Cluster }

func (b *builder) Cluster(c upstream.Config) *upstream.Cluster { return upstream.NewCluster(c) }

func (b *builder) Session(*xdsv1.SessionPersistence, string) table.Session { return nil }

func (b *builder) Forward(f table.Forward) exchange.Handler {
	b.clusters[f.Backend] = f.Cluster
	return exchange.HandlerFunc(func(*exchange.Exchange) {})
}

func (b *builder) Models(string, map[string]*xdsv1.Resource, *table.Clusters) (table.Models, error) {
	return nil, errors.New("no models here")
}

func (b *builder) Policies([]*xdsv1.Policy) (filter.Chain, error) { return filter.Chain{}, nil }

func (b *builder) Authorize(*xdsv1.ExternalAuth, *upstream.Cluster) filter.Authorizer {
	panic("none is here")
}

func (b *builder) Mirrored(string, filter.Outcome) {}

// store counts the tables that it was given.
type store struct {
	*Store
	*builder
	t      *testing.T
	tables int
}

func newStore(t *testing.T) *store {
	s := &store{t: t, builder: &builder{clusters: map[string]*upstream.Cluster{}}}
	s.Store = New(s.builder, func(*table.Table, map[string]*xdsv1.Resource) { s.tables++ })
	return s
}

// apply wants the update to be applied or refused, and tables to be served so far.
func (s *store) apply(u Update, ok bool, tables int) {
	s.t.Helper()
	if err := s.Apply(context.Background(), u); (err == nil) != ok {
		s.t.Errorf("error %v, want applied %v", err, ok)
	}
	if s.tables != tables {
		s.t.Errorf("%d tables served, want %d", s.tables, tables)
	}
}

var (
	listenerKey = xdsv1.ListenerKey("default", "gw", "http")
	backendKey  = xdsv1.BackendKey("default", "a", 80)
	routeA      = xdsv1.RouteKey(xdsv1.RouteHTTP, "default", "a")
	routeB      = xdsv1.RouteKey(xdsv1.RouteHTTP, "default", "b")
)

const backendName = "default/a:80"

func listener() *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Listener{Listener: &xdsv1.Listener{Key: listenerKey, Gateway: "default/gw",
		Name: "http", Port: 8080, Protocol: xdsv1.Protocol_HTTP}}}
}

func backend() *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{Key: backendKey, Protocol: xdsv1.BackendProtocol_HTTP1,
		Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}}}}}
}

// route matches path as a regular expression, which may be one that is not valid.
func route(key, name, path string) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: &xdsv1.Route{Key: key, Namespace: "default", Name: name,
		Parents: []*xdsv1.Parent{{Listener: listenerKey}},
		Rules: &xdsv1.Route_Http{Http: &xdsv1.HTTPRules{Rules: []*xdsv1.HTTPRule{{
			Matches:  []*xdsv1.HTTPMatch{{Path: &xdsv1.PathMatch{Kind: xdsv1.PathMatch_REGEX, Value: path}}},
			Backends: []*xdsv1.WeightedBackend{{Weight: 1, Target: &xdsv1.WeightedBackend_Backend{Backend: backendKey}}},
		}}}}}}}
}

func endpoints(addr string) map[string]*xdsv1.Endpoints {
	return map[string]*xdsv1.Endpoints{backendKey: {Key: backendKey, Endpoints: []*xdsv1.Endpoint{{Address: addr, Port: 80}}}}
}

func first() Update {
	return Update{Full: true, Endpoints: endpoints("10.0.0.1"), Set: map[string]*xdsv1.Resource{
		listenerKey: listener(), backendKey: backend(), routeA: route(routeA, "a", "/a1"), routeB: route(routeB, "b", "/b1")}}
}

// pathOf is what a route that was received matches.
func (s *store) pathOf(key string) string {
	rs, _ := s.Received()
	return rs[key].GetRoute().GetHttp().GetRules()[0].GetMatches()[0].GetPath().GetValue()
}

// A refused update is remembered: what was right in it comes to life with the one that repairs it.
func TestRefusedIsRemembered(t *testing.T) {
	s := newStore(t)
	if s.Applied() {
		t.Error("applied before anything came")
	}
	s.apply(first(), true, 1)
	s.apply(Update{Set: map[string]*xdsv1.Resource{routeA: route(routeA, "a", "/a2"), routeB: route(routeB, "b", "/(")}}, false, 1)
	s.apply(Update{Set: map[string]*xdsv1.Resource{routeB: route(routeB, "b", "/b2")}}, true, 2)
	if a, b := s.pathOf(routeA), s.pathOf(routeB); a != "/a2" || b != "/b2" || !s.Applied() {
		t.Errorf("routes match %s and %s", a, b)
	}
	s.apply(Update{Set: map[string]*xdsv1.Resource{routeB: route(routeB, "b", "/(")}}, false, 2)
	s.apply(Update{Removed: []string{routeB}}, true, 3)
}

func TestEndpointsDoNotCompile(t *testing.T) {
	s := newStore(t)
	s.apply(Update{Endpoints: endpoints("10.0.0.1")}, true, 0)
	first := first()
	first.Full, first.Endpoints = false, nil
	s.apply(first, true, 1)
	c := s.clusters[backendName]
	if !c.Ready() {
		t.Error("endpoints that came before their backend are lost")
	}
	s.apply(Update{Endpoints: endpoints("not an address")}, false, 1)
	if !c.Ready() {
		t.Error("endpoints that are not valid have replaced those before")
	}
	s.apply(Update{RemovedEndpoints: []string{backendKey}}, true, 1)
	if c.Ready() {
		t.Error("endpoints that were removed are still there")
	}
	s.apply(Update{Endpoints: endpoints("10.0.0.2")}, true, 1)
	if !c.Ready() {
		t.Error("no endpoints")
	}
}

// What an update removes goes on serving when the update is refused.
func TestRefusedRemovalTakesNothing(t *testing.T) {
	s := newStore(t)
	s.apply(first(), true, 1)
	c := s.clusters[backendName]
	s.apply(Update{Full: true, Set: map[string]*xdsv1.Resource{listenerKey: listener(), routeB: route(routeB, "b", "/(")}}, false, 1)
	if !c.Ready() {
		t.Error("a refused update took the endpoints of what serves")
	}
	u := first()
	u.Endpoints = nil
	s.apply(u, true, 2)
	if s.clusters[backendName] != c || c.Ready() {
		t.Error("the endpoints were not removed with the next table, or the cluster was made anew")
	}
}

// Endpoints that a refused change removes stay until it is repaired, whatever comes for endpoints meanwhile.
func TestEndpointsOfARefusedChangeStay(t *testing.T) {
	s := newStore(t)
	s.apply(first(), true, 1)
	c := s.clusters[backendName]
	broken := first()
	broken.Full, broken.Endpoints, broken.RemovedEndpoints = false, nil, []string{backendKey}
	for key, r := range broken.Set {
		if l := r.GetListener(); l != nil {
			l.Port = 0
			broken.Set = map[string]*xdsv1.Resource{key: r}
			break
		}
	}
	s.apply(broken, false, 1)
	s.apply(Update{RemovedEndpoints: []string{xdsv1.BackendKey("default", "other", 80)}}, true, 1)
	if !c.Ready() {
		t.Error("the endpoints are gone though nothing without them is served")
	}
}
