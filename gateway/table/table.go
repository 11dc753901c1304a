package table

import (
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/upstream"
)

// Table is a compiled configuration. It is immutable and safe for concurrent use.
type Table struct {
	ports    []*Port
	routes   map[string]*route
	clusters *Clusters
	patterns patterns
	mirrors  *filter.Mirrors
}

// Builder makes what is behind a rule. Its handlers are shared by all requests and may outlive the table.
type Builder interface {
	// Forward makes the handler that forwards to a cluster.
	Forward(f Forward) exchange.Handler
	// Models compiles a Provider or a ModelMap. It is asked once for each key and table; to give the Models of the table
	// before again lets the rules that use them stay as well.
	Models(key string, rs map[string]*xdsv1.Resource, clusters *Clusters) (Models, error)
	// Cluster makes a cluster, with what all clusters have in common.
	Cluster(cfg upstream.Config) *upstream.Cluster
	// Session makes what keeps the sessions of a rule; scope names the rule.
	Session(s *xdsv1.SessionPersistence, scope string) Session
	// Policies makes the filters that policies put in front of a rule, whatever it leads to. Those of the rule itself come
	// after them. list has all policies of the listener, the route and the rule, the widest first.
	Policies(list []*xdsv1.Policy) (filter.Chain, error)

	// Authorize makes the filter that asks the authorization server at a cluster.
	Authorize(m *xdsv1.ExternalAuth, cl *upstream.Cluster) filter.Authorizer

	filter.Metrics
}

// Session is a filter of requests and of responses.
type Session interface {
	filter.Request
	filter.Response
}

// Models are the models of one Provider or ModelMap, whatever rule leads there.
type Models interface {
	// Under makes the handler of a rule, whose policies hold for each of its calls.
	Under(rule []*xdsv1.Policy) (exchange.Handler, error)
}

// Forward says how a rule forwards to one of its backends. Durations of 0 are no limit.
type Forward struct {
	Cluster *upstream.Cluster
	// Backend is "<ns>/<service>:<port>", for logs and metrics.
	Backend string
	// BackendTimeout bounds one attempt.
	BackendTimeout time.Duration
	// IdleTimeout bounds each wait for a piece of the answer's body.
	IdleTimeout time.Duration
	Retry       *xdsv1.Retry
	GRPC        bool
}

// Ports are the addresses and ports to listen at, in order of port and address.
func (t *Table) Ports() []*Port { return t.ports }

// Cluster is the cluster of a backend; nil when no rule uses it. A backend that GRPCRoutes share with others has two, see
// SetEndpoints.
func (t *Table) Cluster(key string) *upstream.Cluster {
	if cls := t.clusters.byKey[key]; len(cls) > 0 {
		return cls[0]
	}
	return nil
}

// SetEndpoints gives the clusters of a backend their endpoints, and says whether there are any. Clusters of a table that
// was compiled after this one may be the same.
func (t *Table) SetEndpoints(key string, list []*xdsv1.Endpoint) bool {
	for _, cl := range t.clusters.byKey[key] {
		cl.SetEndpoints(list)
	}
	return len(t.clusters.byKey[key]) > 0
}

// Clusters are all clusters of the table.
func (t *Table) Clusters() []*upstream.Cluster {
	var out []*upstream.Cluster
	for _, cl := range t.clusters.byID {
		out = append(out, cl.Cluster)
	}
	return out
}

// Retired are the clusters of prev that t has no use for. They are to be closed when t serves. prev may be nil.
func (t *Table) Retired(prev *Table) []*upstream.Cluster {
	if prev == nil {
		return nil
	}
	var out []*upstream.Cluster
	for id, cl := range prev.clusters.byID {
		if now := t.clusters.byID[id]; now == nil || now.Cluster != cl.Cluster {
			out = append(out, cl.Cluster)
		}
	}
	return out
}
