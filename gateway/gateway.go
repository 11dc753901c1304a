// Package gateway is the data plane: a Gateway takes configuration through Apply and serves it.
//
// Where a request goes: server/serve.go is the way of every request; table finds its rule; filter changes it; forward
// sends it to a backend and llm to a model provider, both through upstream.
package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/admin"
	"github.com/nantian-gw/nantian/gateway/auth"
	"github.com/nantian-gw/nantian/gateway/authz"
	"github.com/nantian-gw/nantian/gateway/config"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/forward"
	"github.com/nantian-gw/nantian/gateway/limit"
	"github.com/nantian-gw/nantian/gateway/llm"
	"github.com/nantian-gw/nantian/gateway/observe"
	"github.com/nantian-gw/nantian/gateway/server"
	"github.com/nantian-gw/nantian/gateway/session"
	"github.com/nantian-gw/nantian/gateway/table"
	"github.com/nantian-gw/nantian/gateway/traffic"
	"github.com/nantian-gw/nantian/gateway/upstream"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// Options configure a Gateway. The zero value of a field is its default.
type Options struct {
	// Bind is the address of listeners that name none; empty: all.
	Bind string
	// Log takes what happens to the data plane; nil: nothing.
	Log *slog.Logger
	// AccessLog takes a line of JSON a request; nil: none.
	AccessLog io.Writer
	// Zone is where the data plane is, in the words of topology.kubernetes.io/zone; empty: not known.
	Zone string
	// SessionKey is the secret of session persistence, 16 bytes or more, which replicas share; nil: one of its own, so that
	// sessions end with the process.
	SessionKey []byte
	// LLM configures model calls. Its Observer and Limits are set by New.
	LLM llm.Options
	// Redis is the URL of the store of limits (limit.ParseURL) and Replicas how many gateways share it. Both go before what the
	// configuration says; empty and 0: that, or in memory and 1.
	Redis    string
	Replicas int
}

// Gateway is a data plane. It is safe for concurrent use.
type Gateway struct {
	log      *slog.Logger
	server   *server.Server
	store    *config.Store
	observer *observe.Observer
	build    *builder
	limits   *limit.Limits
	stopping atomic.Bool
}

var (
	_ config.Sink   = (*Gateway)(nil)
	_ admin.Source  = (*Gateway)(nil)
	_ table.Builder = (*builder)(nil)
)

// New makes a Gateway that serves nothing yet.
func New(o Options) (*Gateway, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gateway{log: o.Log, observer: &observe.Observer{Metrics: observe.NewMetrics(), Log: o.Log}}
	if o.AccessLog != nil {
		g.observer.Access = observe.NewAccessLog(o.AccessLog, g.observer.LogDropped)
	}
	s, err := server.New(server.Options{Bind: o.Bind, Observer: g.observer, Log: o.Log})
	if err != nil {
		return nil, err
	}
	g.server = s
	g.build = &builder{zone: o.Zone, metrics: g.observer.Metrics}
	if g.build.sessions, err = session.NewKeys(o.SessionKey); err != nil {
		return nil, err
	}
	if err := g.openLimits(&o); err != nil {
		return nil, err
	}
	o.LLM.Observer, o.LLM.Guards = models{g.observer.Metrics}, g.observer.Metrics.Guards()
	g.build.llm, g.build.limits = llm.New(o.LLM), g.limits
	g.build.auth = auth.New(auth.Options{Metrics: meters{g.observer.Metrics}, Control: o.LLM.Control, Log: o.Log})
	g.store = config.New(g.build, g.serve)
	return g, nil
}

// openLimits makes what outlives tables of TokenPolicies.
func (g *Gateway) openLimits(o *Options) (err error) {
	g.limits, err = limit.New(limit.Options{
		Log: g.log, Observer: limitMeters{g.observer.Metrics}, Trusted: &g.build.trusted, Redis: o.Redis, Replicas: o.Replicas,
	})
	if err != nil {
		return fmt.Errorf("the URL of the store of limits: %w", err)
	}
	g.observer.WatchLimits(func() observe.LimitStats { return observe.LimitStats(g.limits.Stats()) })
	o.LLM.Limits = g.limits
	return nil
}

// Apply implements config.Sink. An error says what was refused.
func (g *Gateway) Apply(ctx context.Context, u config.Update) error {
	err := g.store.Apply(ctx, u)
	g.observer.Config(err == nil)
	return err
}

// serve makes a new table the one that requests meet.
func (g *Gateway) serve(t *table.Table, rs map[string]*xdsv1.Resource) {
	r := rs[xdsv1.RuntimeKey].GetRuntime()
	g.server.SetLimits(server.Limits{
		MaxRequestHead: int(r.GetLimits().GetMaxRequestHead()),
		HeadTimeout:    r.GetLimits().GetHeadTimeout().AsDuration(),
		IdleTimeout:    r.GetLimits().GetIdleTimeout().AsDuration(),
	})
	g.observer.SetAccessLog(!r.GetAccessLog().GetDisabled())
	g.build.trust(r.GetTrustedProxies())
	g.build.auth.Update(rs)
	g.limits.Keep(rs)
	if err := g.limits.SetStore(r.GetRateLimitStore(), rs); err != nil {
		g.log.Error("the store of limits stays as it was", "error", err)
	}
	if err := g.server.Update(t); err != nil {
		g.log.Error("some ports cannot be opened, the others serve; the next change tries again", "error", err)
	}
}

// Addrs lists the addresses that are listened at.
func (g *Gateway) Addrs() []net.Addr { return g.server.Addrs() }

// Admin is the handler of the admin listener.
func (g *Gateway) Admin() http.Handler { return admin.Handler(g, g.observer.Handler()) }

// Received implements admin.Source.
func (g *Gateway) Received() (map[string]*xdsv1.Resource, map[string]*xdsv1.Endpoints) {
	return g.store.Received()
}

// Estimates implements admin.Source.
func (g *Gateway) Estimates() []approx.Learned { return g.build.llm.Calibration.Learned() }

// Limits implements admin.Source.
func (g *Gateway) Limits(ctx context.Context, q limit.Query) (*limit.Report, error) {
	return g.limits.Look(ctx, q)
}

// Ready implements admin.Source.
func (g *Gateway) Ready() error {
	switch {
	case g.stopping.Load():
		return errors.New("shutting down")
	case !g.store.Applied():
		return errors.New("no configuration has been applied yet")
	}
	return nil
}

// Shutdown closes the ports and waits until requests and streams in flight have ended, or ctx has.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.stopping.Store(true)
	g.limits.StopWaiting()
	err := g.server.Shutdown(ctx)
	if unsettled := g.limits.Close(ctx); unsettled != nil {
		g.log.Error("not all that was used could be told to the store of limits", "error", unsettled)
	}
	g.store.Close()
	g.build.auth.Close()
	if g.observer.Access != nil {
		g.observer.Access.Close()
	}
	return err
}

// builder makes the handlers of a table.
type builder struct {
	zone     string
	sessions *session.Keys
	metrics  *observe.Metrics
	llm      *llm.LLM
	auth     *auth.Auth
	limits   *limit.Limits
	trusted  exchange.Proxies
}

// trust sets the proxies that all handlers believe, those of earlier tables too.
func (b *builder) trust(cidrs []string) {
	var list []netip.Prefix
	for _, cidr := range cidrs {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			list = append(list, p)
		}
	}
	b.trusted.Set(list)
}

// Cluster implements table.Builder.
func (b *builder) Cluster(c upstream.Config) *upstream.Cluster {
	c.Zone, c.Meter = b.zone, b.metrics.Backend(c.Name)
	return upstream.NewCluster(c)
}

// Session implements table.Builder.
func (b *builder) Session(s *xdsv1.SessionPersistence, scope string) table.Session {
	return b.sessions.New(s, scope)
}

// Forward implements table.Builder.
func (b *builder) Forward(f table.Forward) exchange.Handler {
	return forward.New(forward.Options{
		Cluster: f.Cluster, Name: f.Backend, BackendTimeout: f.BackendTimeout, IdleTimeout: f.IdleTimeout,
		Retry: retry(f.Retry), GRPC: f.GRPC, Forwarded: forward.Forwarded{Trusted: &b.trusted},
	})
}

func retry(r *xdsv1.Retry) forward.Retry {
	if r == nil {
		return forward.Retry{}
	}
	out := forward.Retry{Attempts: int(r.Attempts), Codes: map[int]bool{}, Backoff: r.Backoff.AsDuration()}
	codes := r.Codes
	if len(codes) == 0 {
		codes = []uint32{500, 502, 503, 504}
	}
	for _, c := range codes {
		out.Codes[int(c)] = true
	}
	return out
}

// Models implements table.Builder.
func (b *builder) Models(key string, rs map[string]*xdsv1.Resource, clusters *table.Clusters) (table.Models, error) {
	return b.llm.Models(key, rs, source{clusters})
}

// Policies implements table.Builder.
func (b *builder) Policies(list []*xdsv1.Policy) (filter.Chain, error) {
	who, err := b.auth.Filters(list)
	if err != nil {
		return who, err
	}
	bounds, err := traffic.Filters(list, b.limits)
	who.Request, who.Response = append(who.Request, bounds.Request...), append(who.Response, bounds.Response...)
	return who, err
}

// Authorize implements table.Builder.
func (b *builder) Authorize(m *xdsv1.ExternalAuth, cl *upstream.Cluster) filter.Authorizer {
	return authz.New(m, authz.Options{Cluster: cl, Meter: b.metrics.ExternalAuth(cl.Name), Forwarded: forward.Forwarded{Trusted: &b.trusted}})
}

// source lends a table's clusters to model providers.
type source struct{ *table.Clusters }

// ForConfig implements llm.ClusterSource.
func (s source) ForConfig(c upstream.Config, hash string) (*upstream.Cluster, error) {
	return s.Clusters.ForConfig(c, hash), nil
}

// Mirrored implements filter.Metrics.
func (b *builder) Mirrored(_ string, o filter.Outcome) { b.metrics.Mirrored(string(o)) }

// models lends the instruments of model calls.
type models struct{ m *observe.Metrics }

// Target implements llm.Observer.
func (m models) Target(provider, model string) llm.Meter { return m.m.Target(provider, model) }

// limitMeters lends the instruments of TokenPolicies.
type limitMeters struct{ *observe.Metrics }

// Limit implements limit.Observer.
func (m limitMeters) Limit(policy, name, unit string) limit.Meter {
	return m.Metrics.Limit(policy, name, unit)
}

// meters lends the instruments of AuthPolicies.
type meters struct{ *observe.Metrics }

// AuthPolicy implements auth.Metrics.
func (m meters) AuthPolicy(policy string) auth.Meter { return m.Metrics.AuthPolicy(policy) }

// AdminServer makes the HTTP server of the admin listener.
func (g *Gateway) AdminServer() *http.Server {
	return &http.Server{Handler: g.Admin(), ReadHeaderTimeout: 10 * time.Second}
}

// HealthServer makes the HTTP server of the listener that a cluster asks for health and metrics. also says what else keeps the
// data plane from being ready.
func (g *Gateway) HealthServer(also func() error) *http.Server {
	ready := func() error { return cmp.Or(g.Ready(), also()) }
	return &http.Server{Handler: admin.Health(ready, g.observer.Handler()), ReadHeaderTimeout: 10 * time.Second}
}

// ControlPlane are the instruments of the stream to a control plane; it may be called once.
func (g *Gateway) ControlPlane() *observe.ControlPlane { return g.observer.Metrics.ControlPlane() }
