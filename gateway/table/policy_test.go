package table

import (
	"slices"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// TestPoliciesOfARule lists what holds for a rule: that of its listener, its route and itself, and nothing of others.
func TestPoliciesOfARule(t *testing.T) {
	policy := func(name string, targets ...*xdsv1.Target) *xdsv1.Resource {
		return &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: &xdsv1.Policy{
			Key: xdsv1.PolicyKey(xdsv1.PolicyAuth, "a", name), Name: name, Targets: targets,
		}}}
	}
	rs := map[string]*xdsv1.Resource{}
	for _, r := range []*xdsv1.Resource{
		policy("rule", &xdsv1.Target{Key: "route/http/a/r", Rule: "chat"}),
		policy("both", &xdsv1.Target{Key: "listener/a/g/l"}, &xdsv1.Target{Key: "route/http/a/r"}),
		policy("other", &xdsv1.Target{Key: "route/http/a/other"}),
		policy("route", &xdsv1.Target{Key: "route/http/a/r"}),
	} {
		rs[xdsv1.KeyOf(r)] = r
	}
	f := func(rule string, want ...string) {
		t.Helper()
		var got []string
		for _, p := range newPolicies(rs).rule("listener/a/g/l", "route/http/a/r", rule) {
			got = append(got, p.GetName())
		}
		if !slices.Equal(got, want) {
			t.Errorf("rule %q: %v, want %v", rule, got, want)
		}
	}
	f("chat", "both", "route", "rule")
	f("", "both", "route")
	f("else", "both", "route")
}

// TestOverridable leaves an overridable AuthPolicy out where one of a narrower level is, and nowhere else.
func TestOverridable(t *testing.T) {
	const listener, route = "listener/a/g/l", "route/http/a/r"
	levels := map[string]*xdsv1.Target{
		"gateway": {Key: listener, Gateway: true}, "listener": {Key: listener}, "route": {Key: route}, "rule": {Key: route, Rule: "chat"},
	}
	policy := func(kind, name, level string, overridable bool) *xdsv1.Policy {
		return &xdsv1.Policy{Key: xdsv1.PolicyKey(kind, "a", name), Name: name, Targets: []*xdsv1.Target{levels[level]},
			Kind: &xdsv1.Policy_Auth{Auth: &xdsv1.Auth{ApiKeys: true, Overridable: overridable}}}
	}
	auth := func(name, level string, overridable bool) *xdsv1.Policy {
		return policy(xdsv1.PolicyAuth, name, level, overridable)
	}
	invalid := auth("invalid", "rule", false)
	invalid.Kind = &xdsv1.Policy_Invalid{Invalid: "x"}
	f := func(want []string, list ...*xdsv1.Policy) {
		t.Helper()
		rs := map[string]*xdsv1.Resource{}
		for _, p := range list {
			rs[p.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}}
		}
		var got []string
		for _, p := range newPolicies(rs).rule(listener, route, "chat") {
			got = append(got, p.GetName())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	f([]string{"a"}, auth("a", "gateway", true))
	f([]string{"b"}, auth("a", "gateway", true), auth("b", "listener", true))
	f([]string{"b"}, auth("a", "listener", true), auth("b", "route", false))
	f([]string{"c"}, auth("a", "gateway", true), auth("b", "route", true), auth("c", "rule", false))
	f([]string{"a", "b"}, auth("a", "gateway", false), auth("b", "route", true))
	f([]string{"a", "b"}, auth("a", "gateway", true), auth("b", "gateway", true))
	f([]string{"invalid"}, auth("a", "gateway", true), invalid)
	f([]string{"a", "limit"}, auth("a", "gateway", true), policy(xdsv1.PolicyToken, "limit", "rule", false))
}
