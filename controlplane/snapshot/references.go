package snapshot

import xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"

// References lists the keys that a resource cannot be run without. A route's listeners and a policy's targets are not among
// them: they point up.
func References(r *xdsv1.Resource) []string {
	switch m := r.GetKind().(type) {
	case *xdsv1.Resource_Listener:
		return append(some(m.Listener.GetClientCertificate()), m.Listener.GetTls().GetCertificates()...)
	case *xdsv1.Resource_Route:
		return ofRoute(m.Route)
	case *xdsv1.Resource_Backend:
		return some(m.Backend.GetTls().GetClientCertificate())
	case *xdsv1.Resource_Provider:
		p := m.Provider
		return some(p.GetEndpoint().GetBackend(), p.GetEndpoint().GetTls().GetClientCertificate(), p.GetAuth().GetApiKey().GetSecret())
	case *xdsv1.Resource_ModelMap:
		var keys []string
		for _, model := range m.ModelMap.GetModels() {
			for _, t := range model.GetTargets() {
				keys = append(keys, some(t.GetProvider())...)
			}
		}
		return keys
	case *xdsv1.Resource_Policy:
		return ofGuard(m.Policy.GetPromptGuard())
	case *xdsv1.Resource_Runtime:
		s := m.Runtime.GetRateLimitStore()
		return some(s.GetSecret(), s.GetSentinelSecret(), s.GetTls().GetClientCertificate())
	}
	return nil
}

func ofGuard(g *xdsv1.PromptGuard) []string {
	var keys []string
	for _, r := range g.GetRules() {
		keys = append(keys, some(r.GetHashSecret(), r.GetWebhook().GetSecret(), r.GetWebhook().GetBackend())...)
	}
	return keys
}

func ofRoute(r *xdsv1.Route) []string {
	keys := ofBackends(r.GetL4().GetBackends())
	for _, rule := range r.GetHttp().GetRules() {
		keys = append(append(keys, ofFilters(rule.GetFilters())...), ofBackends(rule.GetBackends())...)
	}
	for _, rule := range r.GetGrpc().GetRules() {
		keys = append(append(keys, ofFilters(rule.GetFilters())...), ofBackends(rule.GetBackends())...)
	}
	return keys
}

func ofBackends(list []*xdsv1.WeightedBackend) []string {
	var keys []string
	for _, b := range list {
		keys = append(keys, some(b.GetBackend(), b.GetProvider(), b.GetModels())...)
		keys = append(keys, ofFilters(b.GetFilters())...)
	}
	return keys
}

func ofFilters(list []*xdsv1.Filter) []string {
	var keys []string
	for _, f := range list {
		keys = append(keys, some(f.GetMirror().GetBackend(), f.GetExternalAuth().GetBackend())...)
	}
	return keys
}

// some are the keys that are set.
func some(keys ...string) []string {
	var out []string
	for _, k := range keys {
		if k != "" {
			out = append(out, k)
		}
	}
	return out
}
