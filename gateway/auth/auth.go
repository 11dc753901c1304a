// Package auth finds out who calls, as AuthPolicies ask: by the API keys of Secrets, of which the data plane knows hashes alone,
// and by tokens (JWT, RFC 7519) of issuers whose public keys it has or fetches.
//
// Compiled policies are filters in front of rules. What outlives tables is here: the callers, the keys of issuers, and the tokens
// that were verified before. The package must not import table or server.
package auth

import (
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// Options are what New takes. The zero value works.
type Options struct {
	// Metrics records what happens; nil: nobody.
	Metrics Metrics
	// Control refuses addresses before keys are fetched from them (see net.Dialer.Control); nil: none.
	Control func(network, address string) error
	// Log tells when keys cannot be fetched; nil: nobody.
	Log *slog.Logger
	// Now is the clock of tokens; nil: time.Now.
	Now func() time.Time
}

// Metrics records what happens. It is safe for concurrent use.
type Metrics interface {
	// AuthPolicy makes the instrument of a policy, "<ns>/<name>".
	AuthPolicy(policy string) Meter
	// Callers sets how many API keys are known, CachedTokens how many verified tokens are remembered.
	Callers(n int)
	CachedTokens(n int)
}

// Meter counts for one policy.
type Meter interface {
	// Checked counts a request; verified says that a signature was verified for it.
	Checked(result string, verified bool)
	// Fetched counts an attempt to fetch the keys of an issuer.
	Fetched(ok bool)
}

// Auth is what outlives tables. It is safe for concurrent use.
type Auth struct {
	Options
	callers callers
	tokens  *tokens

	mu sync.Mutex
	// serving are the policies that requests meet, by key; next are those compiled since, of a table that may be refused yet.
	serving, next map[string]*policy
	running       map[*remote]bool
	closed        bool
}

// New makes an Auth. It starts nothing.
func New(o Options) *Auth {
	if o.Metrics == nil {
		o.Metrics = nowhere{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	a := &Auth{Options: o, serving: map[string]*policy{}, next: map[string]*policy{}, running: map[*remote]bool{}}
	a.tokens = newTokens(maxTokens, o.Metrics.CachedTokens)
	return a
}

// Filters compiles those policies of a rule that are to be checked before it: AuthPolicies, and of whatever kind those that
// cannot be run, which make the rule answer 503.
func (a *Auth) Filters(list []*xdsv1.Policy) (filter.Chain, error) {
	g := &guard{auth: a}
	for _, m := range list {
		if m.GetAuth() == nil && m.GetInvalid() == "" {
			continue
		}
		p, err := a.policy(m)
		if err != nil {
			return filter.Chain{}, err
		}
		g.policies = append(g.policies, p)
	}
	if len(g.policies) == 0 {
		return filter.Chain{}, nil
	}
	return filter.Chain{Request: []filter.Request{g}}, nil
}

// policy compiles a policy, or gives one that was compiled from an equal message.
func (a *Auth) policy(m *xdsv1.Policy) (*policy, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.locked(m)
}

func (a *Auth) locked(m *xdsv1.Policy) (*policy, error) {
	old := [2]*policy{a.serving[m.GetKey()], a.next[m.GetKey()]}
	for _, p := range old {
		if p != nil && proto.Equal(p.msg, m) {
			return p, nil
		}
	}
	p, err := a.compile(m, old[:])
	if err == nil {
		a.next[m.GetKey()] = p
	}
	return p, err
}

// Update is told of the resources of a table before it is served: their callers are known from then on, and the keys of their
// issuers fetched, and those of no issuer else.
func (a *Auth) Update(rs map[string]*xdsv1.Resource) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Metrics.Callers(a.callers.update(rs))
	serving, wanted := map[string]*policy{}, map[*remote]bool{}
	for key, r := range rs {
		if r.GetPolicy().GetAuth() == nil {
			continue
		}
		p, err := a.locked(r.GetPolicy())
		if err != nil {
			continue // the table was compiled from it, so there is none
		}
		serving[key] = p
		for _, r := range p.remotes() {
			wanted[r] = true
		}
	}
	a.serving, a.next = serving, map[string]*policy{}
	a.run(wanted)
}

// run starts and ends the fetching of keys.
func (a *Auth) run(wanted map[*remote]bool) {
	for r := range a.running {
		if !wanted[r] {
			r.stop()
			delete(a.running, r)
		}
	}
	for r := range wanted {
		if !a.running[r] && !a.closed {
			a.running[r] = true
			r.start()
		}
	}
}

// Close ends the fetching of keys, and waits for it.
func (a *Auth) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.run(nil)
}

// nowhere is Metrics that nobody reads.
type nowhere struct{}

func (nowhere) AuthPolicy(string) Meter { return nowhere{} }
func (nowhere) Callers(int)             {}
func (nowhere) CachedTokens(int)        {}
func (nowhere) Checked(string, bool)    {}
func (nowhere) Fetched(bool)            {}
