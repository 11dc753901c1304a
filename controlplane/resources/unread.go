package resources

import (
	"encoding/json"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Unread is an object of ours that cannot be used, and that was never read before.
type Unread struct {
	Ref Ref
	// Targets are those of its spec.targetRefs that can be read.
	Targets []gatewayv1.LocalPolicyTargetReferenceWithSectionName
	// Problem is the first of what is wrong with it.
	Problem Problem
}

// Unread lists objects that attach by targetRefs and cannot be used, in order. An API server would not have taken them: what
// they were to protect must not be left open for that.
func (s *Set) Unread() []Unread {
	var out []Unread
	for _, p := range s.problems {
		_, read := s.origins[p.Ref]
		if p.Warning || p.targets == "" || read || slices.ContainsFunc(out, func(u Unread) bool { return u.Ref == p.Ref }) {
			continue
		}
		u := Unread{Ref: p.Ref, Problem: p}
		var list []json.RawMessage
		if json.Unmarshal([]byte(p.targets), &list) != nil {
			continue
		}
		for _, text := range list {
			var t gatewayv1.LocalPolicyTargetReferenceWithSectionName
			if json.Unmarshal(text, &t) == nil {
				u.Targets = append(u.Targets, t)
			}
		}
		out = append(out, u)
	}
	slices.SortStableFunc(out, func(a, b Unread) int { return a.Ref.Compare(b.Ref) })
	return out
}
