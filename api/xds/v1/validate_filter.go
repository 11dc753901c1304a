package xdsv1

import "strings"

func (v *validator) filter(f *Filter) {
	switch m := f.GetKind().(type) {
	case *Filter_RequestHeaders:
		v.in("request_headers", func() { v.modifier(m.RequestHeaders) })
	case *Filter_ResponseHeaders:
		v.in("response_headers", func() { v.modifier(m.ResponseHeaders) })
	case *Filter_Redirect:
		v.in("redirect", func() { v.redirect(m.Redirect) })
	case *Filter_Rewrite:
		v.in("rewrite", func() {
			v.optionalHost("hostname", m.Rewrite.GetHostname(), false)
			v.pathModifier(m.Rewrite.GetPath())
		})
	case *Filter_Mirror:
		v.in("mirror", func() { v.mirror(m.Mirror) })
	case *Filter_Cors:
		v.in("cors", func() { v.cors(m.Cors) })
	case *Filter_ExternalAuth:
		v.in("external_auth", func() { v.externalAuth(m.ExternalAuth) })
	case *Filter_Invalid:
	default:
		v.fail("kind", "is missing, or not known to this version")
	}
}

func (v *validator) modifier(m *HeaderModifier) {
	each(v, "set", m.GetSet(), (*validator).header)
	each(v, "add", m.GetAdd(), (*validator).header)
	v.names("remove", m.GetRemove())
}

func (v *validator) header(h *Header) {
	v.token("name", h.GetName())
	v.headerValue("value", h.GetValue())
}

func (v *validator) names(field string, names []string) {
	for i, n := range names {
		v.step(step{field, i}, func() { v.token("", n) })
	}
}

func (v *validator) redirect(r *Redirect) {
	switch r.GetScheme() {
	case "", "http", "https":
	default:
		v.fail("scheme", "%q is neither http nor https", r.GetScheme())
	}
	switch r.GetStatus() {
	case 0, 301, 302, 303, 307, 308:
	default:
		v.fail("status", "%d is not a redirect", r.GetStatus())
	}
	v.optionalHost("hostname", r.GetHostname(), false)
	v.optionalPort("port", r.GetPort())
	v.pathModifier(r.GetPath())
}

func (v *validator) pathModifier(p *PathModifier) {
	if p == nil {
		return
	}
	v.in("path", func() {
		switch m := p.GetKind().(type) {
		case *PathModifier_Full:
			v.absolutePath("full", m.Full)
		case *PathModifier_Prefix:
			if m.Prefix != "" {
				v.absolutePath("prefix", m.Prefix)
			}
		default:
			v.fail("kind", "is not set")
		}
	})
}

func (v *validator) mirror(m *Mirror) {
	v.optionalRef("backend", m.GetBackend(), KindBackend)
	if d := m.GetDenominator(); d != 0 && m.GetNumerator() > d {
		v.fail("numerator", "%d is more than the denominator %d", m.GetNumerator(), d)
	}
}

func (v *validator) cors(c *CORS) {
	for i, o := range c.GetAllowOrigins() {
		v.step(step{"allow_origins", i}, func() { v.headerValue("", o) })
	}
	v.names("allow_methods", c.GetAllowMethods())
	v.names("allow_headers", c.GetAllowHeaders())
	v.names("expose_headers", c.GetExposeHeaders())
}

func (v *validator) externalAuth(a *ExternalAuth) {
	v.ref("backend", a.GetBackend(), KindBackend)
	if a.GetPathPrefix() != "" {
		v.absolutePath("path_prefix", a.GetPathPrefix())
	}
	if strings.Contains(a.GetPathPrefix(), "%00") {
		v.fail("path_prefix", "%q holds an encoded NUL", a.GetPathPrefix())
	}
	v.names("allowed_request_headers", a.GetAllowedRequestHeaders())
	v.names("allowed_response_headers", a.GetAllowedResponseHeaders())
}
