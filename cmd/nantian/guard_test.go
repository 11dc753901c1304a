package main

import (
	"slices"
	"strings"
	"testing"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/crds"
	"github.com/nantian-gw/nantian/promptguard"
)

// TestGuardsAgree: what one plane takes the other can run: the names of detectors, and patterns.
func TestGuardsAgree(t *testing.T) {
	text, err := crds.Files.ReadFile("gateway.nantian.dev_promptguardpolicies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "builtin:")
	_, list, _ = strings.Cut(list, "enum:\n")
	var names []string
	for line := range strings.Lines(list) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "- ")
		if !ok {
			break
		}
		names = append(names, name)
	}
	have := promptguard.Builtins()
	slices.Sort(names)
	slices.Sort(have)
	if !slices.Equal(names, have) {
		t.Errorf("the CRD has %q, the scanner %q", names, have)
	}
	for _, expr := range []string{"a", "a+", "a*", "(", `(?i)project\s+aurora`, "(?:a{100}){82}", "(?:a{100}){81}", `\bx\b`, "(?:x{1000}){9}", "[^x]{300,}", strings.Repeat("a", 1025)} {
		p := &xdsv1.Policy{Key: "policy/guard/a/b", Namespace: "a", Name: "b", Kind: &xdsv1.Policy_PromptGuard{PromptGuard: &xdsv1.PromptGuard{
			Rules: []*xdsv1.GuardRule{{Name: "r", Request: true, Action: xdsv1.GuardAction_BLOCK, Patterns: []*xdsv1.GuardPattern{{Expression: expr}}}},
		}}}
		sent := xdsv1.Validate(&xdsv1.Resource{Kind: &xdsv1.Resource_Policy{Policy: p}})
		_, run := promptguard.Compile([]promptguard.Rule{{Name: "r", Patterns: []string{expr}, Action: promptguard.Block}})
		if (sent == nil) != (run == nil) {
			t.Errorf("%.40q: the wire says %v, the scanner %v", expr, sent, run)
		}
	}
}
