package limit

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/ratelimit"
)

const (
	defaultQueue   = 100
	defaultTimeout = 10 * time.Second
)

// policy is a TokenPolicy or what a RoutePolicy says of requests, compiled. It is immutable.
type policy struct {
	kind    string // of the object
	name    string // "<ns>/<name>"
	wire    *xdsv1.TokenLimit
	limits  []*limit
	onLimit xdsv1.TokenLimit_OnLimit
	cut     bool
	queue   int
	timeout time.Duration
}

// limit is one limit of a policy.
type limit struct {
	policy  *policy
	name    string
	unit    xdsv1.LimitUnit
	amount  int64 // in the unit; of cost in 1e-9 US dollars
	window  ratelimit.Window
	failure ratelimit.FailureMode
	key     []*xdsv1.LimitKey
	models  []pattern
	// prefix is what the limit's buckets have in common.
	prefix string
	meter  Meter
	// seen are the buckets that were used last.
	seen recent
}

// pattern is the name of models, exact or with one "*".
type pattern struct {
	prefix, suffix string
	star           bool
}

func newPattern(s string) pattern {
	before, after, star := strings.Cut(s, "*")
	return pattern{before, after, star}
}

func (p *pattern) match(name string) bool {
	if !p.star {
		return name == p.prefix
	}
	return len(name) >= len(p.prefix)+len(p.suffix) && strings.HasPrefix(name, p.prefix) && strings.HasSuffix(name, p.suffix)
}

// counts says whether the limit is for a model.
func (l *limit) counts(model string) bool {
	for i := range l.models {
		if l.models[i].match(model) {
			return true
		}
	}
	return len(l.models) == 0
}

// perAttempt says whether the limit's bucket depends on the provider, so that it is charged for each attempt.
func (l *limit) perAttempt() bool {
	for _, k := range l.key {
		if k.GetSource() == xdsv1.LimitKey_PROVIDER {
			return true
		}
	}
	return false
}

// id names a limit to people: "<ns>/<policy>/<limit>".
func (l *limit) id() string { return l.policy.name + "/" + l.name }

func (l *limit) bucket(key string) ratelimit.Bucket {
	b := ratelimit.Bucket{Key: key, Limit: l.amount, Window: l.window, Failure: l.failure}
	if l.policy.onLimit == xdsv1.TokenLimit_WARN {
		b.Limit = ratelimit.MaxLimit // it counts and never refuses
	}
	return b
}

// real is a bucket's state in terms of the limit itself.
func (l *limit) real(s ratelimit.State) ratelimit.State {
	if l.policy.onLimit != xdsv1.TokenLimit_WARN {
		return s
	}
	s.Remaining = max(0, l.amount-(s.Limit-s.Remaining))
	s.Limit = l.amount
	return s
}

// limitsOf are the limits of a policy; nil: it has none.
func limitsOf(p *xdsv1.Policy) *xdsv1.TokenLimit {
	if t := p.GetTraffic(); t != nil {
		return t.GetRequests()
	}
	return p.GetTokenLimit()
}

// compile makes a policy of the wire's, or gives the one that it was made into before.
func (l *Limits) compile(p *xdsv1.Policy) (*policy, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.policies[p.GetKey()]; old != nil && proto.Equal(old.wire, limitsOf(p)) {
		return old, nil
	}
	w := limitsOf(p)
	out := &policy{
		kind: "TokenPolicy", name: p.GetNamespace() + "/" + p.GetName(), wire: w, onLimit: w.GetOnLimit(), cut: w.GetOnStream() == xdsv1.TokenLimit_CUT,
		queue: int(w.GetQueue().GetSize()), timeout: w.GetQueue().GetTimeout().AsDuration(),
	}
	if p.GetTraffic() != nil {
		out.kind = "RoutePolicy"
	}
	if out.queue == 0 {
		out.queue = defaultQueue
	}
	if out.timeout == 0 {
		out.timeout = defaultTimeout
	}
	for i, wire := range w.GetLimits() {
		one, err := l.limit(out, p.GetKey(), wire)
		if err != nil {
			return nil, fmt.Errorf("%s: limits[%d]: %w", p.GetKey(), i, err)
		}
		out.limits = append(out.limits, one)
	}
	l.policies[p.GetKey()] = out
	return out, nil
}

func (l *Limits) limit(p *policy, key string, w *xdsv1.Limit) (*limit, error) {
	out := &limit{
		policy: p, name: w.GetName(), unit: w.GetUnit(), amount: w.GetLimit(), key: w.GetKey(),
		prefix: key + "|" + w.GetName() + "|" + w.GetUnit().String(), meter: l.Observer.Limit(p.name, w.GetName(), w.GetUnit().String()),
	}
	if p.wire.GetFailureMode() == xdsv1.TokenLimit_CLOSED && p.onLimit != xdsv1.TokenLimit_WARN {
		out.failure = ratelimit.Closed
	}
	for _, m := range w.GetModels() {
		out.models = append(out.models, newPattern(m))
	}
	switch c := w.GetCalendar(); {
	case c == nil:
		out.window = ratelimit.Sliding(w.GetSliding().AsDuration())
	default:
		zone, err := time.LoadLocation(c.GetTimeZone())
		if err != nil {
			return nil, fmt.Errorf("calendar.time_zone: %w", err)
		}
		out.window = ratelimit.Calendar(period(c.GetPeriod()), zone)
	}
	b := out.bucket(out.prefix)
	if err := b.Validate(); err != nil {
		return nil, err
	}
	l.meters.Store(out.prefix, out.meter)
	return out, nil
}

func period(p xdsv1.Calendar_Period) ratelimit.Period {
	switch p {
	case xdsv1.Calendar_WEEK:
		return ratelimit.Week
	case xdsv1.Calendar_MONTH:
		return ratelimit.Month
	}
	return ratelimit.Day
}

// Keep forgets the policies that a configuration no longer has.
func (l *Limits) Keep(rs map[string]*xdsv1.Resource) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, p := range l.policies {
		if limitsOf(rs[key].GetPolicy()) != nil {
			continue
		}
		for _, one := range p.limits {
			l.meters.Delete(one.prefix)
		}
		delete(l.policies, key)
	}
}

// Set is the limits that hold at one place: for a request, or for an attempt at one provider. It is immutable; nil has none.
type Set struct {
	limits []*limit
	// tokens says that some limit needs to know what a call uses.
	tokens, cut, queue bool
}

// Sets compiles the TokenPolicies among those of a rule and of what it leads to. once are the limits of a request: all but
// those whose key has the provider, which perAttempt has. Policies that are not TokenPolicies are passed over.
func (l *Limits) Sets(list []*xdsv1.Policy) (once, perAttempt *Set, err error) {
	once, perAttempt = &Set{}, &Set{}
	seen := map[string]bool{}
	for _, p := range list {
		if p.GetTokenLimit() == nil || seen[p.GetKey()] {
			continue
		}
		seen[p.GetKey()] = true
		c, err := l.compile(p)
		if err != nil {
			return nil, nil, err
		}
		for _, one := range c.limits {
			if one.perAttempt() {
				perAttempt.add(one)
			} else {
				once.add(one)
			}
		}
	}
	return once.orNil(), perAttempt.orNil(), nil
}

// Requests compiles what a RoutePolicy says of requests; nil: nothing.
func (l *Limits) Requests(p *xdsv1.Policy) (*Set, error) {
	if limitsOf(p) == nil {
		return nil, nil
	}
	c, err := l.compile(p)
	if err != nil {
		return nil, err
	}
	s := &Set{}
	for _, one := range c.limits {
		s.add(one)
	}
	return s.orNil(), nil
}

// With is the limits of both sets, each once. Either may be nil.
func (s *Set) With(o *Set) *Set {
	out := &Set{}
	for _, from := range []*Set{s, o} {
		if from == nil {
			continue
		}
		for _, one := range from.limits {
			out.add(one)
		}
	}
	return out.orNil()
}

func (s *Set) add(one *limit) {
	s.limits = append(s.limits, one)
	s.tokens = s.tokens || one.unit != xdsv1.LimitUnit_REQUESTS
	s.cut = s.cut || one.policy.cut
	s.queue = s.queue || one.policy.onLimit == xdsv1.TokenLimit_QUEUE
}

func (s *Set) orNil() *Set {
	if len(s.limits) == 0 {
		return nil
	}
	return s
}
