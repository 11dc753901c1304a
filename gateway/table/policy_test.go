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
