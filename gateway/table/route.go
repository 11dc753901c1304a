package table

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/grpcweb"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// route is a compiled route, kept so that the next table can use it again.
type route struct {
	msg     *xdsv1.Route
	parents []parent
	// needs are what the rules were built with; patterns are the expressions in them.
	needs    []need
	patterns []string
	policies []*xdsv1.Policy
}

// parent is a route at one listener. The rules name the listener, so each has its own.
type parent struct {
	listener  *xdsv1.Listener
	hostnames []string
	matches   []*match
	stream    *Stream // of connections and datagrams
}

// need is a cluster or the models that rules refer to by key.
type need struct {
	ask
	got any
}

// ask says what is wanted behind a key.
type ask struct {
	key string
	// grpc asks for HTTP/2. certificate is the key of what the listener's Gateway shows to backends with TLS; empty: nothing.
	grpc        bool
	certificate string
}

// ruleSpec is what HTTP and gRPC rules have in common.
type ruleSpec struct {
	name                           string
	index                          int
	matches                        []match // without rule
	filters                        []*xdsv1.Filter
	backends                       []*xdsv1.WeightedBackend
	requestTimeout, backendTimeout *durationpb.Duration // nil: the rule says nothing
	idleTimeout                    time.Duration        // of answers
	retry                          *xdsv1.Retry
	grpc                           bool
	session                        *xdsv1.SessionPersistence
	policies                       []*xdsv1.Policy // at the listener that is built for
}

// field is the route's field that the rule stands in.
func (s *ruleSpec) field() string {
	if s.grpc {
		return "grpc"
	}
	return "http"
}

// route compiles a route, or takes it from the table before.
func (c *compiler) route(msg *xdsv1.Route) (*route, error) {
	if old := c.prev.routes[msg.GetKey()]; old != nil && proto.Equal(old.msg, msg) {
		if same, err := c.unchanged(old); same || err != nil {
			return old, err
		}
	}
	b := &routeBuilder{compiler: c, route: &route{msg: msg, policies: c.policies.route(msg)}}
	if msg.GetL4() != nil {
		return b.route, b.streams()
	}
	specs, kind, err := b.specs()
	if err != nil {
		return nil, err
	}
	for i, p := range msg.GetParents() {
		l := c.listeners[p.GetListener()]
		if l == nil {
			return nil, fmt.Errorf("parents[%d].listener: there is no %s", i, p.GetListener())
		}
		if err := b.parent(l.msg, hostnamesOf(p), specs, kind); err != nil {
			return nil, err
		}
	}
	return b.route, nil
}

// unchanged says whether all that a route's rules were built with is as it was.
func (c *compiler) unchanged(r *route) (bool, error) {
	if !samePolicies(r.policies, c.policies.route(r.msg)) {
		return false, nil
	}
	for i := range r.parents {
		old := r.parents[i].listener
		l := c.listeners[old.GetKey()]
		if l == nil || l.Gateway != old.GetGateway() || l.Name != old.GetName() || l.Hostname != old.GetHostname() ||
			l.msg.GetPort() != old.GetPort() || l.msg.GetClientCertificate() != old.GetClientCertificate() {
			return false, nil
		}
	}
	for _, n := range r.needs {
		got, err := c.resolve(n.ask)
		if err != nil || !identical(got, n.got) {
			return false, err
		}
	}
	for _, text := range r.patterns {
		if _, err := c.pattern(text); err != nil {
			return false, err
		}
	}
	return true, nil
}

// identical compares without a panic for handlers that are functions.
func identical(a, b any) bool {
	t := reflect.TypeOf(a)
	return t != nil && t.Comparable() && t == reflect.TypeOf(b) && a == b
}

// resolve finds the cluster of a backend, or the Models of a provider or model map.
func (c *compiler) resolve(a ask) (any, error) {
	key := a.key
	k, err := xdsv1.ParseKey(key)
	if err != nil {
		return nil, err
	}
	if k.Kind == xdsv1.KindBackend {
		return c.table.clusters.forBackend(a)
	}
	if h := c.models[key]; h != nil {
		return h, nil
	}
	h, err := c.builder.Models(key, c.resources, c.table.clusters)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	c.models[key] = h
	return h, nil
}

// routeBuilder compiles one route.
type routeBuilder struct {
	*compiler
	route *route
}

func (b *routeBuilder) resolve(a ask) (any, error) {
	got, err := b.compiler.resolve(a)
	if err == nil {
		b.route.needs = append(b.route.needs, need{ask: a, got: got})
	}
	return got, err
}

// cluster is resolve for what has to be a backend.
func (b *routeBuilder) cluster(a ask) (*upstream.Cluster, error) {
	got, err := b.resolve(a)
	if err != nil {
		return nil, err
	}
	cl, ok := got.(*upstream.Cluster)
	if !ok {
		return nil, fmt.Errorf("%q is not the key of a backend", a.key)
	}
	return cl, nil
}

func (b *routeBuilder) parent(l *xdsv1.Listener, hostnames []string, specs []ruleSpec, kind string) error {
	p := parent{listener: l, hostnames: hostnames}
	for i := range specs {
		s := &specs[i]
		r, err := b.rule(l, s, kind)
		if err != nil {
			return fmt.Errorf("%s.rules[%d].%w", s.field(), s.index, err)
		}
		for _, m := range s.matches {
			m.rule = r
			p.matches = append(p.matches, &m)
		}
	}
	b.route.parents = append(b.route.parents, p)
	return nil
}

func (b *routeBuilder) rule(l *xdsv1.Listener, s *ruleSpec, kind string) (*Rule, error) {
	r := &Rule{RouteInfo: exchange.RouteInfo{
		Gateway: l.GetGateway(), Listener: l.GetName(),
		Kind: kind, Route: b.route.msg.GetNamespace() + "/" + b.route.msg.GetName(), Rule: s.name,
		Memo: new(exchange.Memo),
	}}
	if r.Rule == "" {
		r.Rule = strconv.Itoa(s.index)
	}
	env := b.env(l, s)
	s.policies = b.policies.rule(l.GetKey(), b.route.msg.GetKey(), s.name)
	b.bound(s)
	chain, err := filter.Build(s.filters, env)
	if err == nil {
		err = b.filters(r, s, chain)
	}
	if err != nil {
		return nil, err
	}
	r.Timeout = s.requestTimeout.AsDuration()
	if chain.Handler != nil {
		r.Backends, r.total = []WeightedBackend{{Weight: 1, Handler: chain.Handler}}, 1
		return r, nil
	}
	for i, w := range s.backends {
		wb, err := b.backend(l, w, s, env)
		if err != nil {
			return nil, fmt.Errorf("backends[%d].%w", i, err)
		}
		r.Backends = append(r.Backends, wb)
		r.total += wb.Weight
	}
	return r, nil
}

// filters puts the filters of a rule in order: what answers preflights, what policies and authorization servers refuse, and then
// what changes or copies requests.
func (b *routeBuilder) filters(r *Rule, s *ruleSpec, chain filter.Chain) error {
	front, err := b.builder.Policies(s.policies)
	if err != nil {
		return err
	}
	r.Request = slices.Concat(chain.Preflight, front.Request, chain.Authorize)
	r.Response = slices.Concat(front.Response, chain.Response)
	if s.grpc {
		r.Request, r.Response = append(r.Request, webRequest...), slices.Concat(webResponse, r.Response)
	}
	r.Request = append(r.Request, chain.Request...)
	if s.session != nil {
		scope := b.route.msg.GetKey() + " " + r.Rule
		keeper := b.builder.Session(s.session, scope)
		r.Request, r.Response = append(r.Request, keeper), append(r.Response, keeper)
	}
	return nil
}

// bound gives a rule the timeouts of the RoutePolicy that holds for it, where it has none of its own.
func (b *routeBuilder) bound(s *ruleSpec) {
	t := traffic(s.policies)
	s.requestTimeout, s.backendTimeout = cmp.Or(s.requestTimeout, t.GetRequestTimeout()), cmp.Or(s.backendTimeout, t.GetBackendTimeout())
	s.idleTimeout = t.GetIdleTimeout().AsDuration()
}

// webRequest and webResponse make calls of gRPC-Web calls of gRPC: in front of GRPCRoutes, and of backends of other routes that
// speak HTTP/2, which gRPC needs.
var (
	webRequest  = []filter.Request{grpcweb.Filter{}}
	webResponse = []filter.Response{grpcweb.Filter{}}
)

// env is what the filters of a rule are made with.
func (b *routeBuilder) env(l *xdsv1.Listener, s *ruleSpec) filter.Env {
	cluster := func(key string, h2 bool) (*upstream.Cluster, error) {
		return b.cluster(ask{key, h2, l.GetClientCertificate()})
	}
	return filter.Env{
		Port: l.GetPort(), Mirrors: b.table.mirrors,
		Cluster: func(key string) (*upstream.Cluster, error) { return cluster(key, s.grpc) },
		Authorize: func(m *xdsv1.ExternalAuth) (filter.Authorizer, error) {
			cl, err := cluster(m.GetBackend(), m.GetGrpc())
			if err != nil {
				return nil, err
			}
			return b.builder.Authorize(m, cl), nil
		},
	}
}

func (b *routeBuilder) backend(l *xdsv1.Listener, w *xdsv1.WeightedBackend, s *ruleSpec, env filter.Env) (WeightedBackend, error) {
	chain, err := filter.Build(w.GetFilters(), env)
	if err != nil {
		return WeightedBackend{}, err
	}
	wb := WeightedBackend{Weight: w.GetWeight(), Request: slices.Concat(chain.Preflight, chain.Authorize, chain.Request), Response: chain.Response, Handler: chain.Handler, Key: w.GetBackend()}
	if !s.grpc && b.resources[w.GetBackend()].GetBackend().GetProtocol() == xdsv1.BackendProtocol_H2C {
		wb.Request, wb.Response = slices.Concat(webRequest, wb.Request), slices.Concat(webResponse, wb.Response)
	}
	if own := b.resources[w.GetBackend()].GetBackend().GetLoadBalancing().GetSessionPersistence(); own != nil && s.session == nil {
		keeper := b.builder.Session(own, w.GetBackend())
		wb.Request, wb.Response = append(wb.Request, keeper), append(slices.Clone(wb.Response), keeper)
	}
	if wb.Handler == nil {
		wb.Handler, err = b.handler(l, w, s)
	}
	return wb, err
}

func (b *routeBuilder) handler(l *xdsv1.Listener, w *xdsv1.WeightedBackend, s *ruleSpec) (exchange.Handler, error) {
	switch t := w.GetTarget().(type) {
	case *xdsv1.WeightedBackend_Backend:
		return b.forward(ask{t.Backend, s.grpc, l.GetClientCertificate()}, s)
	case *xdsv1.WeightedBackend_Provider:
		return b.model("provider", t.Provider, s)
	case *xdsv1.WeightedBackend_Models:
		return b.model("models", t.Models, s)
	case *xdsv1.WeightedBackend_Invalid:
		return &filter.Failure{Note: "invalid backend: " + t.Invalid}, nil
	}
	return nil, errors.New("target: is not set")
}

func (b *routeBuilder) forward(a ask, s *ruleSpec) (exchange.Handler, error) {
	cl, err := b.cluster(a)
	if err != nil {
		return nil, fmt.Errorf("backend: %w", err)
	}
	return b.builder.Forward(Forward{
		Cluster: cl, Backend: cl.Name, BackendTimeout: s.backendTimeout.AsDuration(), IdleTimeout: s.idleTimeout, Retry: s.retry, GRPC: s.grpc,
	}), nil
}

func (b *routeBuilder) model(field, key string, s *ruleSpec) (exchange.Handler, error) {
	got, err := b.resolve(ask{key: key})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	m, ok := got.(Models)
	if !ok {
		return nil, fmt.Errorf("%s: %q is the key of a backend", field, key)
	}
	h, err := m.Under(s.policies)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return h, nil
}
