package xdsv1

import (
	"maps"
	"slices"
	"strings"
)

func (v *validator) provider(p *Provider) {
	v.enum("schema", p.GetSchema())
	v.enum("on_unsupported", p.GetOnUnsupported())
	v.in("endpoint", func() { v.providerEndpoint(p.GetEndpoint()) })
	v.in("auth", func() { v.providerAuth(p.GetAuth()) })
	v.in("timeouts", func() {
		v.duration("connect", p.GetTimeouts().GetConnect())
		v.duration("first_byte", p.GetTimeouts().GetFirstByte())
		v.duration("idle", p.GetTimeouts().GetIdle())
		v.duration("keep_alive_after", p.GetTimeouts().GetKeepAliveAfter())
	})
	each(v, "models", p.GetModels(), (*validator).providerModel)
	for _, name := range slices.Sorted(maps.Keys(p.GetHeaders())) {
		v.token("headers", name)
		v.headerValue("headers."+name, p.GetHeaders()[name])
	}
}

func (v *validator) providerEndpoint(e *ProviderEndpoint) {
	switch m := e.GetKind().(type) {
	case *ProviderEndpoint_Url:
		v.baseURL("url", m.Url)
	case *ProviderEndpoint_Backend:
		v.ref("backend", m.Backend, KindBackend)
	default:
		v.fail("kind", "is not set")
	}
	if e.GetPath() != "" && e.GetPath()[0] != '/' {
		v.fail("path", "%q does not begin with /", e.GetPath())
	}
	if e.GetTls() != nil {
		v.in("tls", func() { v.backendTLS(e.GetTls()) })
	}
}

func (v *validator) providerAuth(a *ProviderAuth) {
	switch m := a.GetKind().(type) {
	case *ProviderAuth_None, *ProviderAuth_Passthrough:
	case *ProviderAuth_ApiKey:
		v.in("api_key", func() { v.apiKey(m.ApiKey) })
	default:
		v.fail("kind", "is not set")
	}
}

func (v *validator) apiKey(k *APIKey) {
	v.ref("secret", k.GetSecret(), KindSecret)
	if k.GetDataKey() == "" {
		v.fail("data_key", "is empty")
	}
	if k.GetHeader() != "" {
		v.token("header", k.GetHeader())
	} else if k.GetPrefix() != "" {
		v.fail("prefix", "needs header")
	}
	v.headerValue("prefix", k.GetPrefix())
}

func (v *validator) providerModel(m *ProviderModel) {
	if m.GetName() == "" {
		v.fail("name", "is empty")
	}
	v.price(m.GetPrice())
}

func (v *validator) price(p *Price) {
	for _, n := range []int64{p.GetInput(), p.GetCachedInput(), p.GetCacheWrite(), p.GetOutput()} {
		if n < 0 {
			v.fail("price", "%d is negative", n)
		}
	}
}

func (v *validator) modelMap(m *ModelMap) {
	seen := map[string]bool{}
	each(v, "models", m.GetModels(), func(v *validator, m *Model) {
		if seen[m.GetName()] {
			v.fail("name", "%q is there twice", m.GetName())
		}
		seen[m.GetName()] = true
		v.model(m)
	})
}

func (v *validator) model(m *Model) {
	v.pattern("name", m.GetName())
	if m.GetName() == "" {
		v.fail("name", "is empty")
	}
	each(v, "targets", m.GetTargets(), func(v *validator, t *ModelTarget) {
		v.optionalRef("provider", t.GetProvider(), KindProvider)
		if (t.GetProvider() == "") == (t.GetInvalid() == "") {
			v.fail("provider", "exactly one of provider and invalid is set")
		}
		v.pattern("model", t.GetModel())
		if strings.Contains(t.GetModel(), "*") && !strings.Contains(m.GetName(), "*") {
			v.fail("model", "%q has a * but the name %q has none", t.GetModel(), m.GetName())
		}
	})
	for i, when := range m.GetFallback().GetWhen() {
		v.in("fallback", func() { v.step(step{"when", i}, func() { v.enum("", when) }) })
	}
}

// pattern says whether a model's name has at most one "*".
func (v *validator) pattern(field, s string) {
	if strings.Count(s, "*") > 1 {
		v.fail(field, "%q has more than one *", s)
	}
}
