package auth

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/exchange"
	"github.com/nantian-gw/nantian/gateway/filter"
)

// result is what became of a request at one policy, in the order in which they matter: of several ways that fail, the
// furthest is told.
type result int

const (
	missing result = iota // no credential was shown
	unknown               // one that nobody knows, or that is not valid
	expired
	unavailable // the issuer's keys cannot be had
	forbidden   // it is genuine, and not for this
	passed
)

// String is the result as a label.
func (r result) String() string {
	return [...]string{"missing", "invalid", "expired", "unavailable", "forbidden", "passed"}[r]
}

// policy is one AuthPolicy, compiled. It is immutable.
type policy struct {
	msg *xdsv1.Policy
	// name is "<ns>/<name>".
	name  string
	meter Meter
	// invalid: the object cannot be run.
	invalid bool
	// keys are the fields that carry API keys; nil: none are taken.
	keys []field
	ways []way
}

// way is the verifiers of tokens in one field.
type way struct {
	field     field
	verifiers []*verifier
}

// compile compiles a policy. What old ones know of the keys of issuers is taken over.
func (a *Auth) compile(m *xdsv1.Policy, old []*policy) (*policy, error) {
	name := m.GetNamespace() + "/" + m.GetName()
	p := &policy{msg: m, name: name, meter: a.Metrics.AuthPolicy(name), invalid: m.GetInvalid() != ""}
	if m.GetAuth().GetApiKeys() {
		p.keys = fieldsOf(m.GetAuth().GetApiKeyHeader(), keyFields...)
	}
	for i, j := range m.GetAuth().GetJwt() {
		v, err := a.verifier(p, j, old)
		if err != nil {
			return nil, fmt.Errorf("%s: auth.jwt[%d].%w", m.GetKey(), i, err)
		}
		p.add(fieldsOf(j.GetHeader(), tokenField)[0], v)
	}
	return p, nil
}

func (p *policy) add(f field, v *verifier) {
	for i := range p.ways {
		if p.ways[i].field == f {
			p.ways[i].verifiers = append(p.ways[i].verifiers, v)
			return
		}
	}
	p.ways = append(p.ways, way{f, []*verifier{v}})
}

// remotes are the keys that are fetched for the policy.
func (p *policy) remotes() []*remote {
	var out []*remote
	for _, w := range p.ways {
		for _, v := range w.verifiers {
			if r, ok := v.keys.(*remote); ok {
				out = append(out, r)
			}
		}
	}
	return out
}

// remoteOf is what a policy already has for an equal message.
func (p *policy) remoteOf(m *xdsv1.RemoteJWKS) *remote {
	if p == nil {
		return nil
	}
	i := slices.IndexFunc(p.remotes(), func(r *remote) bool { return proto.Equal(r.msg, m) })
	if i < 0 {
		return nil
	}
	return p.remotes()[i]
}

// check tries each way of the policy, the cheap ones first. verified says that a signature had to be verified.
func (p *policy) check(a *Auth, x *exchange.Exchange) (id *exchange.Identity, r result, verified bool) {
	for i := range p.keys {
		key, there := p.keys[i].credential(x)
		if !there {
			continue
		}
		if id := a.callers.find(p.msg.Key, key); id != nil {
			return id, passed, false
		}
		r = unknown
	}
	for i := range p.ways {
		id, next, slow := p.ways[i].check(a, x)
		if r, verified = max(r, next), verified || slow; r == passed {
			return id, passed, verified
		}
	}
	return nil, r, verified
}

// strip removes the API keys of the policy from a request: what is behind the gateway has no use for them.
func (p *policy) strip(a *Auth, x *exchange.Exchange) {
	for i := range p.keys {
		if key, there := p.keys[i].credential(x); there && a.callers.find(p.msg.Key, key) != nil {
			x.Req.Del(p.keys[i].name)
		}
	}
}

// guard is what stands in front of a rule: all of its AuthPolicies.
type guard struct {
	auth     *Auth
	policies []*policy
}

var _ filter.Request = (*guard)(nil)

// OnRequest lets those pass whom every policy knows.
func (g *guard) OnRequest(x *exchange.Exchange) filter.Verdict {
	var who *exchange.Identity
	for _, p := range g.policies {
		if p.invalid {
			p.meter.Checked(unavailable.String(), false)
			return g.refuse(x, p, unavailable)
		}
		id, r, verified := p.check(g.auth, x)
		if r == unknown && g.elsewhere(x, p) {
			r = forbidden
		}
		p.meter.Checked(r.String(), verified)
		if r != passed {
			x.Identity = who
			return g.refuse(x, p, r)
		}
		who = join(who, id)
	}
	for _, p := range g.policies {
		p.strip(g.auth, x)
	}
	x.Identity = who
	return filter.Continue
}

// elsewhere says whether an API key that a policy does not know is one of another policy of the rule.
func (g *guard) elsewhere(x *exchange.Exchange, p *policy) bool {
	for i := range p.keys {
		key, _ := p.keys[i].credential(x)
		for _, other := range g.policies {
			if g.auth.callers.find(other.msg.Key, key) != nil {
				return true
			}
		}
	}
	return false
}

// join is who somebody is that two policies know: what the narrower one knows, and what the other one does in place of what it
// does not. Both restrict.
func join(wide, narrow *exchange.Identity) *exchange.Identity {
	if wide == nil || wide == narrow {
		return narrow
	}
	both := *narrow
	both.Also = wide
	both.APIKey = cmp.Or(narrow.APIKey, wide.APIKey)
	both.Metadata = narrow.Metadata
	if narrow.APIKey == "" {
		both.Metadata = wide.Metadata
	}
	if narrow.Issuer == "" {
		both.Issuer, both.Subject, both.Claims = wide.Issuer, wide.Subject, wide.Claims
	}
	return &both
}
