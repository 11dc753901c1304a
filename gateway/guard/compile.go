package guard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"weak"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/promptguard"
)

// Rule is a rule of a policy as logs and metrics know it.
type Rule struct {
	// Policy is "<ns>/<name>".
	Policy, Name string
	Action       promptguard.Action
	// Monitor says that its findings are counted and have no consequences.
	Monitor bool
	id      string
	meter   Meter
}

// Stage is the rules that apply to one side of calls, compiled. It is immutable and safe for concurrent use. A nil Stage has none.
type Stage struct {
	side Side
	// set has the rules that are enforced, monitor those that are not; nil: none.
	set, monitor *promptguard.Set
	hooks        []*hook
	rules        map[string]*Rule
	// strict says that something may be changed or refused, so that what cannot be looked at must not pass.
	strict bool
}

// Strict says whether the stage may change or refuse something.
func (s *Stage) Strict() bool { return s != nil && s.strict }

// Asks says whether a webhook is asked, which may take a while.
func (s *Stage) Asks() bool { return s != nil && len(s.hooks) > 0 }

// Webhooks names the rules that ask a service, with their policies.
func (s *Stage) Webhooks() []string {
	if s == nil {
		return nil
	}
	var names []string
	for _, h := range s.hooks {
		names = append(names, h.id)
	}
	return names
}

// Rules lists the rules by their ids.
func (s *Stage) Rules() map[string]*Rule { return s.rules }

// Secrets looks up a value of a Secret.
type Secrets func(key, dataKey string) ([]byte, bool)

// Compiler makes stages, and makes equal ones once, also for different tables. It is safe for concurrent use.
type Compiler struct {
	Observer Observer
	// Control refuses addresses of webhooks before they are dialled (see net.Dialer.Control); nil: none.
	Control func(network, address string) error

	mu     sync.Mutex
	key    []byte
	stages map[[sha256.Size]byte]weak.Pointer[Stage]
	hooks  map[[sha256.Size]byte]weak.Pointer[hook]
}

func (c *Compiler) observer() Observer {
	if c.Observer == nil {
		return Nowhere{}
	}
	return c.Observer
}

// Stage compiles what policies say of one side, in their order; nil where they say nothing. Errors name the policy and the rule.
func (c *Compiler) Stage(side Side, policies []*xdsv1.Policy, secrets Secrets) (*Stage, error) {
	b := stageBuilder{compiler: c, secrets: secrets, stage: &Stage{side: side, rules: map[string]*Rule{}}}
	identity := sha256.New()
	identity.Write([]byte{byte(side)})
	for _, p := range policies {
		if err := b.policy(p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.GetKey(), err)
		}
	}
	if len(b.stage.rules) == 0 {
		return nil, nil
	}
	for _, part := range b.identity {
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(part)))
		identity.Write(size[:])
		identity.Write(part)
	}
	id := [sha256.Size]byte(identity.Sum(nil))
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.stages[id].Value(); s != nil {
		return s, nil
	}
	if err := b.compile(); err != nil {
		return nil, err
	}
	c.stages = remember(c.stages, id, b.stage)
	return b.stage, nil
}

// remember keeps a value for as long as somebody else does.
func remember[T any](m map[[sha256.Size]byte]weak.Pointer[T], id [sha256.Size]byte, v *T) map[[sha256.Size]byte]weak.Pointer[T] {
	if m == nil {
		m = map[[sha256.Size]byte]weak.Pointer[T]{}
	}
	for k, p := range m {
		if p.Value() == nil {
			delete(m, k)
		}
	}
	m[id] = weak.Make(v)
	return m
}

// processKey keys the hashes of rules that name no key.
func (c *Compiler) processKey() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key == nil {
		c.key = make([]byte, 32)
		_, _ = rand.Read(c.key) // never fails
	}
	return c.key
}

// stageBuilder gathers the rules of one stage.
type stageBuilder struct {
	compiler *Compiler
	secrets  Secrets
	stage    *Stage
	// identity is all that the stage is made from.
	identity          [][]byte
	enforced, watched []promptguard.Rule
	webhooks          []webhookRule
}

// webhookRule is a rule that asks a service, and its policy and key.
type webhookRule struct {
	*Rule
	m      *xdsv1.GuardRule
	secret []byte
}

func (b *stageBuilder) policy(p *xdsv1.Policy) error {
	g := p.GetPromptGuard()
	for _, m := range g.GetRules() {
		if b.stage.side == Request && !m.GetRequest() || b.stage.side == Response && !m.GetResponse() {
			continue
		}
		if err := b.rule(p.GetNamespace()+"/"+p.GetName(), m, g.GetMonitor()); err != nil {
			return fmt.Errorf("rule %q: %w", m.GetName(), err)
		}
	}
	return nil
}

func (b *stageBuilder) rule(policy string, m *xdsv1.GuardRule, monitor bool) error {
	r := &Rule{Policy: policy, Name: m.GetName(), Action: actions[m.GetAction()], Monitor: monitor, id: policy + "/" + m.GetName()}
	if b.stage.rules[r.id] != nil {
		return nil // the policy targets two things on the way
	}
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return err
	}
	mode := byte(0)
	if monitor {
		mode = 1
	}
	b.stage.rules[r.id] = r
	b.identity = append(b.identity, []byte(r.id), []byte{mode}, wire)
	if m.GetWebhook() != nil {
		secret, err := b.secret(m.GetWebhook().GetSecret(), m.GetWebhook().GetDataKey())
		b.webhooks = append(b.webhooks, webhookRule{r, m, secret})
		return err
	}
	key, err := b.secret(m.GetHashSecret(), m.GetHashDataKey())
	if err != nil {
		return err
	}
	rule := newRule(r, m)
	rule.HashKey = string(key)
	rule.Restore = rule.Restore && b.stage.side == Request // what the model says of its own stays masked
	if monitor {
		rule.Action, rule.Restore = promptguard.Audit, false
		b.watched = append(b.watched, rule)
		return nil
	}
	b.stage.strict = b.stage.strict || r.Action > promptguard.Audit
	b.enforced = append(b.enforced, rule)
	return nil
}

func (b *stageBuilder) secret(key, dataKey string) ([]byte, error) {
	if key == "" {
		return nil, nil
	}
	v, ok := b.secrets(key, dataKey)
	if !ok || len(v) == 0 {
		return nil, fmt.Errorf("%s has no key %q", key, dataKey)
	}
	b.identity = append(b.identity, v)
	return v, nil
}

var actions = map[xdsv1.GuardAction]promptguard.Action{
	xdsv1.GuardAction_BLOCK: promptguard.Block, xdsv1.GuardAction_MASK: promptguard.Mask,
	xdsv1.GuardAction_HASH: promptguard.Hash, xdsv1.GuardAction_AUDIT: promptguard.Audit,
}

func newRule(r *Rule, m *xdsv1.GuardRule) promptguard.Rule {
	out := promptguard.Rule{
		Name: r.id, Builtin: m.GetBuiltin(), Keywords: m.GetKeywords(), Action: r.Action, Restore: m.GetRestore(),
		Threshold: int(m.GetThreshold()), Regions: m.GetRegions(),
	}
	for _, p := range m.GetPatterns() {
		out.Patterns = append(out.Patterns, p.GetExpression())
		out.MaxLength = int(p.GetMaxLength())
	}
	for _, t := range m.GetTopics() {
		topic := promptguard.Topic{Name: t.GetName()}
		for _, phrase := range t.GetPhrases() {
			topic.Phrases = append(topic.Phrases, promptguard.Phrase{Text: phrase})
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}

func (b *stageBuilder) compile() error {
	s := b.stage
	var err error
	if len(b.enforced) > 0 {
		if s.set, err = promptguard.Compile(b.enforced); err != nil {
			return err
		}
	}
	if len(b.watched) > 0 {
		if s.monitor, err = promptguard.Compile(b.watched); err != nil {
			return err
		}
	}
	for _, w := range b.webhooks {
		h, err := b.compiler.hook(w)
		if err != nil {
			return fmt.Errorf("%s: rule %q: webhook: %w", w.Policy, w.Name, err)
		}
		s.hooks = append(s.hooks, h)
		s.strict = s.strict || !w.Monitor
	}
	for _, r := range s.rules {
		r.meter = b.compiler.observer().Rule(r.Policy, r.Name, r.Action.String(), r.Monitor)
	}
	return nil
}
