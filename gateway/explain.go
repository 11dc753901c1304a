package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
	"github.com/nantian-gw/nantian/gateway/llm"
	"github.com/nantian-gw/nantian/gateway/table"
)

// Explanation is what would become of one request. It holds nothing of a body but the places in it.
type Explanation struct {
	Gateway    string             `json:"gateway,omitempty"`
	Listener   string             `json:"listener,omitempty"`
	Route      string             `json:"route,omitempty"`
	Rule       string             `json:"rule,omitempty"`
	Considered []table.Considered `json:"considered"`
	Filters    []string           `json:"filters"`
	Policies   []ExplainedPolicy  `json:"policies"`
	Backends   []ExplainedBackend `json:"backends"`
	// Status and Refused are what the client would be told where there is no rule.
	Status  int    `json:"status,omitempty"`
	Refused string `json:"refused,omitempty"`
}

// ExplainedPolicy is a policy in force on the way of the request, the widest first, and after them those of models and providers.
type ExplainedPolicy struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Invalid is why it cannot be run: what it is for answers 503.
	Invalid string `json:"invalid,omitempty"`
}

// ExplainedBackend is a backend of the rule, with its share of the requests.
type ExplainedBackend struct {
	Name    string         `json:"name"`
	Weight  uint32         `json:"weight"`
	Filters []string       `json:"filters,omitempty"`
	Call    *llm.Explained `json:"call,omitempty"`
}

// Explain compiles resources as a data plane does and says what would become of a request at a port. Nothing is listened at and
// nothing is sent. x is used up.
func Explain(o Options, rs map[string]*xdsv1.Resource, port uint32, x *exchange.Exchange) (*Explanation, error) {
	g, err := New(o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = g.Shutdown(context.Background()) }()
	t, err := table.Compile(rs, nil, g.build)
	if err != nil {
		return nil, err
	}
	e := &Explanation{}
	for _, p := range t.Ports() {
		if p.Port == port && (p.Protocol == xdsv1.Protocol_HTTP || p.Protocol == xdsv1.Protocol_HTTPS) {
			e.explain(t.Explain(p, x, rs), rs, x)
			return e, nil
		}
	}
	e.refuse(0, fmt.Sprintf("no listener for HTTP at port %d", port))
	return e, nil
}

func (e *Explanation) refuse(status int, text string) { e.Status, e.Refused = status, text }

func (e *Explanation) explain(m table.Explanation, rs map[string]*xdsv1.Resource, x *exchange.Exchange) {
	if m.Listener == nil {
		e.refuse(404, "no listener of the port has this host")
		return
	}
	e.Gateway, e.Listener, e.Considered = m.Listener.Gateway, m.Listener.Name, m.Considered
	if m.Rule == nil {
		e.refuse(404, "no route matches this host and path")
		return
	}
	e.Route, e.Rule = m.Rule.Kind+" "+m.Rule.Route, m.Rule.RouteInfo.Rule
	for _, p := range m.Policies {
		e.addPolicy(p)
	}
	filters, backends := specOf(rs[m.RouteKey].GetRoute(), e.Rule)
	e.Filters = filterNames(filters)
	rewrite(filters, x)
	for i := range m.Rule.Backends {
		b := ExplainedBackend{Name: "not known", Weight: m.Rule.Backends[i].Weight}
		if i < len(backends) {
			b.Name, b.Filters = backendName(backends[i]), filterNames(backends[i].GetFilters())
			e.targeted(rs, b.Name)
		}
		if h, ok := m.Rule.Backends[i].Handler.(*llm.Handler); ok {
			b.Call = h.Explain(x)
		}
		e.Backends = append(e.Backends, b)
	}
}

// targeted adds the policies of an AIBackend or AIProvider, and of the providers of an AIBackend.
func (e *Explanation) targeted(rs map[string]*xdsv1.Resource, key string) {
	keys := map[string]bool{key: true}
	for _, m := range rs[key].GetModelMap().GetModels() {
		for _, t := range m.GetTargets() {
			keys[t.GetProvider()] = true
		}
	}
	for _, k := range slices.Sorted(maps.Keys(rs)) {
		for _, t := range rs[k].GetPolicy().GetTargets() {
			if keys[t.GetKey()] {
				e.addPolicy(rs[k].GetPolicy())
				break
			}
		}
	}
}

func (e *Explanation) addPolicy(p *xdsv1.Policy) {
	out := ExplainedPolicy{Kind: policyKind(p.GetKey()), Name: p.GetNamespace() + "/" + p.GetName(), Invalid: p.GetInvalid()}
	for _, have := range e.Policies {
		if have == out {
			return
		}
	}
	e.Policies = append(e.Policies, out)
}

// rewrite applies the filters that change what a model's handler reads: the path and the header. Others are only named, since they
// would send something or ask who calls.
func rewrite(list []*xdsv1.Filter, x *exchange.Exchange) {
	own := slices.DeleteFunc(slices.Clone(list), func(f *xdsv1.Filter) bool { return f.GetRewrite() == nil && f.GetRequestHeaders() == nil })
	chain, err := filter.Build(own, filter.Env{})
	if err != nil {
		return
	}
	for _, f := range chain.Request {
		f.OnRequest(x)
	}
}

var policyKinds = map[string]string{xdsv1.PolicyAuth: "AuthPolicy", xdsv1.PolicyToken: "TokenPolicy", xdsv1.PolicyGuard: "PromptGuardPolicy", xdsv1.PolicyRoute: "RoutePolicy"}

// policyKind is the kind of the object that a policy's key names.
func policyKind(key string) string {
	for kind, name := range policyKinds {
		if strings.HasPrefix(key, xdsv1.PolicyKey(kind, "", "")[:len("policy//")+len(kind)]) {
			return name
		}
	}
	return "policy"
}

func specOf(r *xdsv1.Route, rule string) ([]*xdsv1.Filter, []*xdsv1.WeightedBackend) {
	for i, s := range r.GetHttp().GetRules() {
		if s.GetName() == rule || s.GetName() == "" && strconv.Itoa(i) == rule {
			return s.GetFilters(), s.GetBackends()
		}
	}
	for i, s := range r.GetGrpc().GetRules() {
		if s.GetName() == rule || s.GetName() == "" && strconv.Itoa(i) == rule {
			return s.GetFilters(), s.GetBackends()
		}
	}
	return nil, nil
}

// filterNames are the kinds of filters by the names of their fields.
func filterNames(list []*xdsv1.Filter) []string {
	var names []string
	for _, f := range list {
		m := f.ProtoReflect()
		if field := m.WhichOneof(m.Descriptor().Oneofs().Get(0)); field != nil {
			names = append(names, field.JSONName())
		}
	}
	return names
}

func backendName(b *xdsv1.WeightedBackend) string {
	switch t := b.GetTarget().(type) {
	case *xdsv1.WeightedBackend_Backend:
		return t.Backend
	case *xdsv1.WeightedBackend_Provider:
		return t.Provider
	case *xdsv1.WeightedBackend_Models:
		return t.Models
	case *xdsv1.WeightedBackend_Invalid:
		return "invalid: " + t.Invalid
	}
	return "none"
}
