package rig

import (
	"fmt"
	"strings"
)

// Guard is a PromptGuardPolicy on a target such as "Gateway, name: ai", with a rule a line.
func Guard(name, target, mode string, rules ...string) string {
	group := "gateway.networking.k8s.io"
	if strings.HasPrefix(target, "AI") {
		group = "gateway.nantian.dev"
	}
	return fmt.Sprintf(`
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: PromptGuardPolicy
metadata: {name: %s, namespace: default}
spec:
  targetRefs: [{group: %s, kind: %s}]
  mode: %s
  rules:
  - {%s}
`, name, group, target, mode, strings.Join(rules, "}\n  - {"))
}
