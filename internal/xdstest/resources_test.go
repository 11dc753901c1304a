package xdstest

import (
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/table"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// noHandlers builds tables whose requests go nowhere: what is tested is which table there is.
type noHandlers struct{}

func (noHandlers) Session(*xdsv1.SessionPersistence, string) table.Session { return nil }

func (noHandlers) Forward(table.Forward) exchange.Handler { return nil }
func (noHandlers) Models(string, map[string]*xdsv1.Resource, *table.Clusters) (table.Models, error) {
	return nil, nil
}
func (noHandlers) Policies([]*xdsv1.Policy) (filter.Chain, error) { return filter.Chain{}, nil }

func (noHandlers) Authorize(*xdsv1.ExternalAuth, *upstream.Cluster) filter.Authorizer { return nil }
func (noHandlers) Cluster(c upstream.Config) *upstream.Cluster                        { return upstream.NewCluster(c) }
func (noHandlers) Mirrored(string, filter.Outcome)                                    {}

func listener() *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Listener{Listener: &xdsv1.Listener{
		Key: "listener/prod/web/http", Gateway: group, Name: "http", Port: 8080, Protocol: xdsv1.Protocol_HTTP,
	}}}
}

// route sends a path to a backend.
func route(name, path, backend string) *xdsv1.Resource {
	rule := &xdsv1.HTTPRule{
		Matches:  []*xdsv1.HTTPMatch{{Path: &xdsv1.PathMatch{Kind: xdsv1.PathMatch_PREFIX, Value: path}}},
		Backends: []*xdsv1.WeightedBackend{{Weight: 1, Target: &xdsv1.WeightedBackend_Backend{Backend: backend}}},
	}
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Route{Route: &xdsv1.Route{
		Key: xdsv1.RouteKey(xdsv1.RouteHTTP, "prod", name), Namespace: "prod", Name: name,
		Parents: []*xdsv1.Parent{{Listener: "listener/prod/web/http"}},
		Rules:   &xdsv1.Route_Http{Http: &xdsv1.HTTPRules{Rules: []*xdsv1.HTTPRule{rule}}},
	}}}
}

// broken is a route that no data plane accepts.
func broken(name string) *xdsv1.Resource {
	r := route(name, "/", "backend/prod/echo/80")
	r.GetRoute().GetHttp().Rules[0].Matches[0].Path = &xdsv1.PathMatch{Kind: xdsv1.PathMatch_REGEX, Value: "("}
	return r
}

func backend(service string) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Backend{Backend: &xdsv1.Backend{
		Key: xdsv1.BackendKey("prod", service, 80), Protocol: xdsv1.BackendProtocol_HTTP1,
		Kind: &xdsv1.Backend_Endpoints{Endpoints: &xdsv1.EndpointsRef{}},
	}}}
}

func secret(name, value string) *xdsv1.Resource {
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{
		Key: xdsv1.SecretKey("prod", name), Kind: &xdsv1.Secret_Opaque{Opaque: &xdsv1.Opaque{Data: map[string][]byte{"key": []byte(value)}}},
	}}}
}

func snap(t testing.TB, rs ...*xdsv1.Resource) *snapshot.Snapshot {
	t.Helper()
	m := map[string]*xdsv1.Resource{}
	for _, r := range rs {
		m[xdsv1.KeyOf(r)] = r
	}
	s, err := snapshot.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at is the endpoints of services, each with the addresses given.
func at(addresses map[string][]string) map[string]*xdsv1.Endpoints {
	out := map[string]*xdsv1.Endpoints{}
	for service, list := range addresses {
		e := &xdsv1.Endpoints{Key: xdsv1.BackendKey("prod", service, 80)}
		for _, a := range list {
			e.Endpoints = append(e.Endpoints, &xdsv1.Endpoint{Address: a, Port: 8080})
		}
		out[e.Key] = e
	}
	return out
}

// echo is the endpoints of the one service that most tests use.
func echo(addresses ...string) map[string]*xdsv1.Endpoints {
	return at(map[string][]string{"echo": addresses})
}
