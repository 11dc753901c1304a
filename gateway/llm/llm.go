package llm

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"time"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/guard"
	"github.com/nantian-gw/nantian/gateway/limit"
	"github.com/nantian-gw/nantian/gateway/upstream"
	"github.com/nantian-gw/nantian/tokenizer"
	"github.com/nantian-gw/nantian/tokenizer/approx"
)

// Options are what New takes. The zero value works.
type Options struct {
	// Tokenizers count what a provider does not report; nil: a registry of its own.
	Tokenizers *tokenizer.Registry
	// Calibration makes estimates of models without a public vocabulary better by what providers report; nil: one of its own.
	Calibration *approx.Calibration
	// Observer records what happens; nil: nobody.
	Observer Observer
	// Guards records what prompt guards find; nil: nobody.
	Guards guard.Observer
	// Limits enforce TokenPolicies; nil: in memory, by one of its own.
	Limits *limit.Limits
	// Prices are what models cost that their AIProvider does not price; nil: the built-in ones.
	Prices *Prices
	// MaxRequestBody in bytes goes before the limit of Runtime; 0: that one, or 32 MiB.
	MaxRequestBody int64
	// MaxAnswer bounds an answer that is not streamed, in bytes; 0: 64 MiB.
	MaxAnswer int64
	// Control refuses addresses of endpoint URLs before they are dialled (see net.Dialer.Control); nil: none.
	Control func(network, address string) error
	// UserAgent is what providers see; empty: "nantian".
	UserAgent string
	// Now is the clock of cool-downs and circuits; nil: time.Now.
	Now func() time.Time
	// Rand is a number from 0 up to 1, for weights and jitter; nil: math/rand/v2.
	Rand func() float64
}

const (
	defaultMaxBody   = 32 << 20
	defaultMaxAnswer = 64 << 20
	maxCalibrated    = 1000 // models, about 300 bytes each
)

// LLM is what outlives tables: the health of targets, and what was learned of models. It is safe for concurrent use.
type LLM struct {
	Options
	register register
	guards   guard.Compiler
}

// New makes an LLM. It starts nothing.
func New(o Options) *LLM {
	if o.Tokenizers == nil {
		o.Tokenizers = tokenizer.New()
	}
	if o.Calibration == nil {
		o.Calibration = approx.NewCalibration(maxCalibrated)
	}
	if o.Observer == nil {
		o.Observer = nowhere{}
	}
	if o.Limits == nil {
		o.Limits, _ = limit.New(limit.Options{}) // it has no URL that could be wrong
	}
	if o.Prices == nil {
		o.Prices = builtinPrices()
	}
	if o.MaxAnswer == 0 {
		o.MaxAnswer = defaultMaxAnswer
	}
	if o.UserAgent == "" {
		o.UserAgent = "nantian"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return &LLM{Options: o, guards: guard.Compiler{Observer: o.Guards, Control: o.Control}}
}

// ClusterSource lends the clusters of a table. A cluster asked for with an equal hash as before is the same one, with its
// connections.
type ClusterSource interface {
	// For is the cluster of a Backend.
	For(backendKey string) (*upstream.Cluster, error)
	// ForConfig is the cluster of a configuration, which hash identifies.
	ForConfig(c upstream.Config, hash string) (*upstream.Cluster, error)
	// TLS is the client side of TLS; host is the server name where t names none.
	TLS(t *xdsv1.BackendTLS, host string) (*tls.Config, error)
}

// Models are the models of one Provider or ModelMap, compiled. They are immutable and safe for concurrent use.
type Models struct {
	llm     *LLM
	models  *models
	maxBody int64
	// key is that of the Provider or ModelMap; policies are those on models and providers.
	key      string
	policies modelPolicies
}

// Models compiles the Provider or ModelMap of key, with the resources that it refers to. Its errors name the resource and
// the field.
func (l *LLM) Models(key string, rs map[string]*xdsv1.Resource, clusters ClusterSource) (*Models, error) {
	k := compiler{llm: l, rs: rs, clusters: clusters, providers: map[string]*provider{}, prices: l.Prices.before(rs[xdsv1.RuntimeKey].GetRuntime().GetPrices())}
	m := &Models{llm: l, maxBody: l.maxBody(rs), key: key, policies: newModelPolicies(rs)}
	var err error
	switch r := rs[key]; {
	case r.GetProvider() != nil:
		m.models, err = k.direct(r.GetProvider())
	case r.GetModelMap() != nil:
		m.models, err = k.modelMap(r.GetModelMap())
	default:
		err = fmt.Errorf("%s: there is no such AIProvider or AIBackend", key)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Under makes the handler of a rule, under the policies of the rule and of all above it.
func (m *Models) Under(rule []*xdsv1.Policy) (exchange.Handler, error) {
	g, err := m.guards(rule)
	if err != nil {
		return nil, err
	}
	h := &Handler{llm: m.llm, models: m.models, maxBody: m.maxBody, guards: g}
	if err := h.limit(m, rule); err != nil {
		return nil, err
	}
	return h, nil
}

func (l *LLM) maxBody(rs map[string]*xdsv1.Resource) int64 {
	if l.MaxRequestBody > 0 {
		return l.MaxRequestBody
	}
	if n := rs[xdsv1.RuntimeKey].GetRuntime().GetLimits().GetMaxRequestBody(); n > 0 {
		return int64(min(n, 1<<40))
	}
	return defaultMaxBody
}
