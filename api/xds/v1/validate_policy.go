package xdsv1

import (
	"crypto/sha256"
	"math"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/internal/pattern"
)

func (v *validator) policy(p *Policy) {
	each(v, "targets", p.GetTargets(), (*validator).target)
	switch m := p.GetKind().(type) {
	case *Policy_Auth:
		v.in("auth", func() { v.auth(m.Auth) })
	case *Policy_TokenLimit:
		v.in("token_limit", func() { v.tokenLimit(m.TokenLimit) })
	case *Policy_PromptGuard:
		v.in("prompt_guard", func() { v.promptGuard(m.PromptGuard) })
	case *Policy_Traffic:
		v.in("traffic", func() { v.traffic(m.Traffic) })
	case *Policy_Invalid:
		if m.Invalid == "" {
			v.fail("invalid", "is empty")
		}
	default:
		v.fail("kind", "is not set, or not known to this version")
	}
}

func (v *validator) target(t *Target) {
	v.ref("key", t.GetKey(), KindListener, KindListenerSet, KindRoute, KindBackend, KindProvider, KindModels)
}

func (v *validator) traffic(t *Traffic) {
	v.duration("request_timeout", t.GetRequestTimeout())
	v.duration("backend_timeout", t.GetBackendTimeout())
	v.duration("idle_timeout", t.GetIdleTimeout())
	v.duration("connection_age", t.GetConnectionAge())
	if t.GetMaxRequestBody() > math.MaxInt64 {
		v.fail("max_request_body", "is more than any body has")
	}
	if t.GetRequests() == nil {
		return
	}
	v.in("requests", func() { v.tokenLimit(t.GetRequests()) })
	each(v, "requests.limits", t.GetRequests().GetLimits(), func(v *validator, l *Limit) {
		if l.GetUnit() != LimitUnit_REQUESTS || len(l.GetModels()) > 0 {
			v.fail("unit", "is %s, with models %q: a limit of traffic counts all requests", l.GetUnit(), l.GetModels())
		}
		each(v, "key", l.GetKey(), func(v *validator, k *LimitKey) {
			switch k.GetSource() {
			case LimitKey_MODEL, LimitKey_PROVIDER, LimitKey_USER:
				v.fail("source", "%s is known of model calls alone", k.GetSource())
			}
		})
	})
}

func (v *validator) auth(a *Auth) {
	v.credentialHeader("api_key_header", a.GetApiKeyHeader())
	if !a.GetApiKeys() && len(a.GetJwt()) == 0 {
		v.fail("", "has neither api_keys nor jwt")
	}
	each(v, "jwt", a.GetJwt(), (*validator).jwt)
}

// credentialHeader refuses headers that have a meaning of their own, which a credential in them would take away.
func (v *validator) credentialHeader(field, name string) {
	if name == "" {
		return
	}
	v.token(field, name)
	switch strings.ToLower(name) {
	case "host", "cookie", "connection", "content-type", "content-length", "content-encoding", "transfer-encoding", "te", "trailer", "upgrade", "expect", "user-agent":
		v.fail(field, "%q is no header for credentials", name)
	}
}

func (v *validator) jwt(j *JWT) {
	if j.GetIssuer() == "" {
		v.fail("issuer", "is empty")
	}
	v.credentialHeader("header", j.GetHeader())
	switch m := j.GetJwks().(type) {
	case *JWT_Inline:
		if len(m.Inline) == 0 {
			v.fail("inline", "is empty")
		}
	case *JWT_Remote:
		v.in("remote", func() { v.remoteJWKS(m.Remote) })
	default:
		v.fail("jwks", "is not set")
	}
}

func (v *validator) remoteJWKS(r *RemoteJWKS) {
	v.url("url", r.GetUrl())
	v.duration("cache", r.GetCache())
	for _, bundle := range r.GetCaCertificates() {
		v.certificates("ca_certificates", bundle)
	}
}

func (v *validator) caller(c *Caller) {
	if len(c.GetKeySha256()) != sha256.Size {
		v.fail("key_sha256", "has %d bytes, not %d", len(c.GetKeySha256()), sha256.Size)
	}
	for i, key := range c.GetPolicies() {
		v.step(step{"policies", i}, func() { v.ref("", key, KindPolicy) })
	}
	for i, name := range c.GetModels() {
		v.step(step{"models", i}, func() { v.pattern("", name) })
	}
}

func (v *validator) tokenLimit(t *TokenLimit) {
	v.enum("on_limit", t.GetOnLimit())
	v.enum("on_stream", t.GetOnStream())
	v.enum("failure_mode", t.GetFailureMode())
	v.in("queue", func() { v.duration("timeout", t.GetQueue().GetTimeout()) })
	if len(t.GetLimits()) == 0 {
		v.fail("limits", "is empty")
	}
	seen := map[string]bool{}
	each(v, "limits", t.GetLimits(), func(v *validator, l *Limit) {
		if l.GetName() == "" || seen[l.GetName()] {
			v.fail("name", "%q is empty or there twice", l.GetName())
		}
		seen[l.GetName()] = true
		v.limit(l)
	})
}

// maxLimit is what the limiter counts up to: sums stay where every integer is exact in a double.
const maxLimit = 1 << 52

func (v *validator) limit(l *Limit) {
	v.enum("unit", l.GetUnit())
	if l.GetLimit() < 0 || l.GetLimit() > maxLimit {
		v.fail("limit", "%d is not from 0 to %d", l.GetLimit(), int64(maxLimit))
	}
	switch w := l.GetWindow().(type) {
	case *Limit_Sliding:
		v.duration("sliding", w.Sliding)
		if d := w.Sliding.AsDuration(); d < time.Second || d > 31*24*time.Hour {
			v.fail("sliding", "%s is not from 1s to 744h", d)
		}
	case *Limit_Calendar:
		v.in("calendar", func() { v.calendar(w.Calendar) })
	default:
		v.fail("window", "is not set")
	}
	each(v, "key", l.GetKey(), func(v *validator, k *LimitKey) {
		v.enum("source", k.GetSource())
		named := k.GetSource() == LimitKey_HEADER || k.GetSource() == LimitKey_JWT_CLAIM
		if named != (k.GetName() != "") {
			v.fail("name", "is set for HEADER and JWT_CLAIM, and only there")
		}
	})
	for i, name := range l.GetModels() {
		v.step(step{"models", i}, func() { v.pattern("", name) })
	}
}

func (v *validator) calendar(c *Calendar) {
	v.enum("period", c.GetPeriod())
	if _, err := time.LoadLocation(c.GetTimeZone()); err != nil || c.GetTimeZone() == "Local" {
		v.fail("time_zone", "%q is not a time zone such as Europe/Berlin", c.GetTimeZone())
	}
}

func (v *validator) promptGuard(g *PromptGuard) {
	if len(g.GetRules()) == 0 {
		v.fail("rules", "is empty")
	}
	seen := map[string]bool{}
	each(v, "rules", g.GetRules(), func(v *validator, r *GuardRule) {
		if r.GetName() == "" || seen[r.GetName()] {
			v.fail("name", "%q is empty or there twice", r.GetName())
		}
		seen[r.GetName()] = true
		v.guardRule(r)
	})
}

func (v *validator) guardRule(r *GuardRule) {
	v.enum("action", r.GetAction())
	if !r.GetRequest() && !r.GetResponse() {
		v.fail("", "looks neither at requests nor at responses")
	}
	each(v, "patterns", r.GetPatterns(), (*validator).guardPattern)
	if len(r.GetBuiltin())+len(r.GetPatterns())+len(r.GetKeywords())+len(r.GetTopics()) == 0 && r.GetWebhook() == nil {
		v.fail("", "looks for nothing")
	}
	if r.GetWebhook() != nil {
		v.in("webhook", func() { v.guardWebhook(r.GetWebhook()) })
	}
	v.secretValue(r.GetHashSecret(), r.GetHashDataKey())
}

// guardPattern holds a pattern to the limits of the scanner, so that what is sent can be run.
func (v *validator) guardPattern(p *GuardPattern) {
	if _, err := pattern.Parse(p.GetExpression(), int(min(p.GetMaxLength(), math.MaxInt32))); err != nil {
		v.fail("expression", "%q: %w", p.GetExpression(), err)
	}
}

func (v *validator) guardWebhook(w *GuardWebhook) {
	v.enum("kind", w.GetKind())
	v.duration("timeout", w.GetTimeout())
	switch m := w.GetEndpoint().(type) {
	case *GuardWebhook_Url:
		v.baseURL("url", m.Url)
	case *GuardWebhook_Backend:
		v.ref("backend", m.Backend, KindBackend)
	default:
		v.fail("endpoint", "is not set")
	}
	v.secretValue(w.GetSecret(), w.GetDataKey())
	for _, bundle := range w.GetCaCertificates() {
		v.certificates("ca_certificates", bundle)
	}
}

// secretValue says whether a Secret and the key in it are both there, or neither.
func (v *validator) secretValue(secret, dataKey string) {
	v.optionalRef("secret", secret, KindSecret)
	if (secret == "") != (dataKey == "") {
		v.fail("data_key", "is set where secret is, and only there")
	}
}
