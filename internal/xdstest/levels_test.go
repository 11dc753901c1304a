package xdstest

import (
	"slices"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	control "github.com/nantian-gw/nantian/controlplane/xds"
)

// newer makes a control plane of level 2, for which some fields and values are new.
func newer(names ...protoreflect.FullName) control.Options {
	return control.Options{Level: 2, Since: func(n protoreflect.FullName) uint32 {
		if slices.Contains(names, n) {
			return 2
		}
		return 1
	}}
}

// seen is what data planes of level 1 and 2 get of a snapshot.
func seen(t *testing.T, o control.Options, rs ...*xdsv1.Resource) (one, two map[string]*xdsv1.Resource, dp control.DataPlane) {
	t.Helper()
	all := snap(t, rs...)
	get := func(level uint32) map[string]*xdsv1.Resource {
		w := newWatcher()
		o.Observer = w
		p, s := start(t, o), newSink()
		p.set(all, echo())
		c := options(&line{plane: p}, s)
		c.Node.Level = level
		_, stop := run(t, c)
		last := w.until(t, "ACK", func(dp control.DataPlane) bool { return dp.Resources.Acked != "" || dp.Resources.Refused != nil })
		if last.Resources.Refused != nil {
			t.Errorf("level %d refuses: %s", level, last.Resources.Refused.Message)
		}
		if last.Resources.Acked != control.Version(all.Versions) {
			t.Errorf("level %d acknowledges another version than the snapshot's", level)
		}
		if level == 1 {
			dp = last
		}
		stop()
		return s.serving
	}
	return get(1), get(2), dp
}

func policy(name string, targets ...string) *xdsv1.Resource {
	p := &xdsv1.Policy{Key: xdsv1.PolicyKey("auth", "prod", name), Kind: &xdsv1.Policy_Auth{Auth: &xdsv1.Auth{ApiKeys: true}}}
	for _, key := range targets {
		p.Targets = append(p.Targets, &xdsv1.Target{Key: key})
	}
	return &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}}
}

// fails says whether every rule of a route answers with a failure and forwards nothing.
func fails(r *xdsv1.Resource) bool {
	rules := r.GetRoute().GetHttp().GetRules()
	return len(rules) > 0 && !slices.ContainsFunc(rules, func(rule *xdsv1.HTTPRule) bool {
		return len(rule.GetFilters()) != 1 || rule.GetFilters()[0].GetInvalid() == "" || len(rule.GetBackends()) > 0
	})
}

// A policy that a data plane of the level before cannot understand is withheld, and the route that it protects fails.
func TestWithheldPolicy(t *testing.T) {
	one, two, dp := seen(t, newer("nantian.gateway.v1.Resource.policy"), listener(), backend("echo"),
		route("open", "/open", echoKey), route("guarded", "/guarded", echoKey), policy("p", "route/http/prod/guarded"))
	if one["policy/auth/prod/p"] != nil || !fails(one["route/http/prod/guarded"]) || fails(one["route/http/prod/open"]) {
		t.Errorf("level 1 serves %v", one)
	}
	if two["policy/auth/prod/p"] == nil || fails(two["route/http/prod/guarded"]) {
		t.Errorf("level 2 serves %v", two)
	}
	if !slices.Equal(dp.Withheld, []string{"policy/auth/prod/p"}) || dp.Level != 1 || dp.Build != "v0" {
		t.Errorf("observed: %+v", dp)
	}
}

// A policy on a listener closes the listener's routes, and one on a backend what leads there.
func TestWithheldPolicyOnOthers(t *testing.T) {
	o := newer("nantian.gateway.v1.Resource.policy")
	one, _, _ := seen(t, o, listener(), backend("echo"), route("a", "/a", echoKey), policy("p", "listener/prod/web/http"))
	if !fails(one["route/http/prod/a"]) || one["listener/prod/web/http"] == nil {
		t.Errorf("listener: level 1 serves %v", one)
	}
	one, _, _ = seen(t, o, listener(), backend("echo"), route("a", "/a", echoKey), policy("p", echoKey))
	if got := one["route/http/prod/a"].GetRoute().GetHttp().GetRules()[0].GetBackends()[0].GetInvalid(); got == "" || one[echoKey] != nil {
		t.Errorf("backend: level 1 serves %v", one)
	}
}

// A rule with a filter that is too new fails; its matches and the other rules stay.
func TestWithheldFilter(t *testing.T) {
	r := route("a", "/a", echoKey)
	rules := r.GetRoute().GetHttp()
	rules.Rules = append(rules.Rules, route("x", "/plain", echoKey).GetRoute().GetHttp().Rules[0])
	rules.Rules[0].Filters = []*xdsv1.Filter{{Kind: &xdsv1.Filter_Cors{Cors: &xdsv1.CORS{AllowOrigins: []string{"*"}}}}}
	one, two, _ := seen(t, newer("nantian.gateway.v1.Filter.cors"), listener(), backend("echo"), r)
	got := one["route/http/prod/a"].GetRoute().GetHttp().GetRules()
	if len(got) != 2 || got[0].GetFilters()[0].GetInvalid() == "" || len(got[0].GetBackends()) > 0 || got[0].GetMatches()[0].GetPath().GetValue() != "/a" {
		t.Errorf("the rule with the filter: %v", got)
	}
	if len(got[1].GetFilters()) > 0 || len(got[1].GetBackends()) != 1 {
		t.Errorf("the other rule: %v", got[1])
	}
	if two["route/http/prod/a"].GetRoute().GetHttp().GetRules()[0].GetFilters()[0].GetCors() == nil {
		t.Error("level 2 does not get the filter")
	}
}

// A match that cannot be understood must not leave its requests to a wider route: the rule covers them all.
func TestWithheldMatch(t *testing.T) {
	r := route("a", "^/admin/.*", echoKey)
	r.GetRoute().GetHttp().Rules[0].Matches[0].Path.Kind = xdsv1.PathMatch_REGEX
	one, _, _ := seen(t, newer("nantian.gateway.v1.PathMatch.REGEX"), listener(), backend("echo"), r)
	if !fails(one["route/http/prod/a"]) {
		t.Errorf("level 1 serves %v", one)
	}
	got := one["route/http/prod/a"].GetRoute().GetHttp().GetRules()[0].GetMatches()
	if len(got) != 1 || got[0].GetPath().GetKind() != xdsv1.PathMatch_PREFIX || got[0].GetPath().GetValue() != "/" {
		t.Errorf("the closed rule matches %v", got)
	}
}

// A provider that is too new fails alone: a model goes on with its other targets.
func TestWithheldProvider(t *testing.T) {
	provider := func(name string, schema xdsv1.Schema) *xdsv1.Resource {
		return &xdsv1.Resource{Kind: &xdsv1.Resource_Provider{Provider: &xdsv1.Provider{
			Key: xdsv1.ProviderKey("prod", name), Namespace: "prod", Name: name, Schema: schema,
			Endpoint: &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Url{Url: "https://vendor.example"}},
			Auth:     &xdsv1.ProviderAuth{Kind: &xdsv1.ProviderAuth_None{None: &xdsv1.NoAuth{}}},
		}}}
	}
	models := &xdsv1.Resource{Kind: &xdsv1.Resource_ModelMap{ModelMap: &xdsv1.ModelMap{
		Key: xdsv1.ModelsKey("prod", "m"), Namespace: "prod", Name: "m", Models: []*xdsv1.Model{{
			Name: "*", Targets: []*xdsv1.ModelTarget{{Provider: "provider/prod/old", Weight: 1}, {Provider: "provider/prod/new", Weight: 1, Priority: 1}},
		}},
	}}}
	one, two, _ := seen(t, newer("nantian.gateway.v1.COHERE"), listener(), models, provider("old", xdsv1.Schema_OPENAI), provider("new", xdsv1.Schema_COHERE))
	targets := one["models/prod/m"].GetModelMap().GetModels()[0].GetTargets()
	if one["provider/prod/new"] != nil || targets[0].GetInvalid() != "" || targets[1].GetInvalid() == "" || targets[1].GetProvider() != "" {
		t.Errorf("level 1 serves %v", one)
	}
	if len(two) != 4 {
		t.Errorf("level 2 serves %v", two)
	}
}

// An older data plane follows edits too, also those that it cannot see.
func TestOlderDataPlaneFollows(t *testing.T) {
	o, w := newer("nantian.gateway.v1.Resource.policy"), newWatcher()
	o.Observer = w
	p, s := start(t, o), newSink()
	c := options(&line{plane: p}, s)
	c.Node.Level = 1
	run(t, c)
	steps := [][]*xdsv1.Resource{
		{listener(), backend("echo"), route("a", "/a", echoKey)},
		{listener(), backend("echo"), route("a", "/a", echoKey), policy("p", "route/http/prod/a")},
		{listener(), backend("echo"), route("a", "/a", echoKey), policy("p", "route/http/prod/a", "route/http/prod/b")},
		{listener(), backend("echo"), route("a", "/b", echoKey)},
	}
	for i, rs := range steps {
		now := snap(t, rs...)
		p.set(now, echo())
		w.until(t, "ACK", acked(control.Version(now.Versions)))
		if got := fails(s.serving["route/http/prod/a"]); got != (i == 1 || i == 2) {
			t.Errorf("step %d: the route fails: %v", i, got)
		}
	}
}

// A data plane that is newer than the control plane gets all that there is, and one that says nothing the least.
func TestNewerDataPlane(t *testing.T) {
	w := newWatcher()
	p, s := start(t, control.Options{Observer: w}), newSink()
	all := snap(t, listener(), backend("echo"), route("a", "/a", echoKey))
	p.set(all, echo())
	o := options(&line{plane: p}, s)
	o.Node.Level = xdsv1.Level + 1
	run(t, o)
	dp := w.until(t, "ACK", acked(control.Version(all.Versions)))
	if dp.Level != xdsv1.Level || len(dp.Withheld) > 0 {
		t.Errorf("observed: %+v", dp)
	}
	old := start(t, newer("nantian.gateway.v1.Resource.route"))
	old.set(all, echo())
	c := open(t, old)
	c.subscribe(control.TypeResource, nil)
	resp := c.recv()
	i := slices.IndexFunc(resp.Resources, func(n *discovery.Resource) bool { return n.Name == "route/http/prod/a" })
	if i >= 0 {
		t.Errorf("without a level it got a route that is new in level 2: %v", resp.Resources[i])
	}
}
