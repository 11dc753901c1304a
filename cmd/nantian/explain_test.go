package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/gateway"
)

const explained = validGateway + `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat}
spec:
  parentRefs: [{name: gw}]
  rules:
  - name: models
    matches: [{path: {type: PathPrefix, value: /team/v1}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /v1}}}]
    backendRefs: [{group: gateway.nantian.dev, kind: AIBackend, name: models}]
  - name: gets
    matches: [{method: GET}]
    backendRefs: [{group: gateway.nantian.dev, kind: AIProvider, name: openai}]
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIBackend
metadata: {name: models}
spec:
  models:
  - name: smart
    targets: [{providerRef: {name: openai}, model: gpt-5}, {providerRef: {name: claude}, model: c, priority: 1}]
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIProvider
metadata: {name: claude}
spec: {schema: Anthropic}
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: PromptGuardPolicy
metadata: {name: guard}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: chat}]
  rules: [{name: mail, builtin: [Email], action: Mask}, {name: keys, builtin: [Secrets], action: Block}]
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: PromptGuardPolicy
metadata: {name: vendor}
spec:
  targetRefs: [{group: gateway.nantian.dev, kind: AIProvider, name: openai}]
  rules: [{name: cards, builtin: [CreditCard], action: Block}]
`

func explain(t *testing.T, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, []byte(explained), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := newRootCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"explain", "-f", file}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

const askedURL = "http://127.0.0.1:8080/team/v1/chat/completions"

func asked(text string) string {
	return `{"model":"smart","messages":[{"role":"user","content":"` + text + `"}]}`
}

func TestExplain(t *testing.T) {
	out, err := explain(t, "--data", asked("write to jane.doe@example.org about 4111 1111 1111 1111"), askedURL)
	if err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		"http of Gateway default/gw", "HTTPRoute default/chat, rule models", "rule gets", "lost: the method is not GET", "filters    rewrite",
		"PromptGuardPolicy default/guard", "PromptGuardPolicy default/vendor", "model smart", "gpt-5 of AIProvider default/openai, priority 0",
		`unfit: the request was blocked by the rule "cards"`, "c of AIProvider default/claude, priority 1, weight 1, translated to the schema of Anthropic",
		"rule mail (Mask): Email at messages[0].content, bytes 9 to 29", "rule cards (Block): CreditCard at messages[0].content",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Contains(out, "jane") || strings.Contains(out, "4111") || strings.Contains(out, "refused") || t.Failed() {
		t.Error(out)
	}
}

func TestExplainRefused(t *testing.T) {
	key := "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
	out, err := explain(t, "-o", "json", "--data", asked(key), "POST", askedURL)
	var e gateway.Explanation
	if !errors.Is(err, errWrong) || json.Unmarshal([]byte(out), &e) != nil || strings.Contains(out, key) {
		t.Fatalf("%v\n%s", err, out)
	}
	if c := e.Backends[0].Call; c.Status != 400 || len(c.Findings) != 1 || c.Findings[0].Rule != "keys" || c.InputTokens == 0 {
		t.Errorf("%+v", c)
	}
	for _, x := range []struct{ args, want string }{
		{"http://127.0.0.1:8080/nowhere -d x", "no route matches"}, {"http://127.0.0.1:81/", "no listener for HTTP at port 81"},
		{askedURL + " --data {}", "model"},
	} {
		if out, err := explain(t, strings.Fields(x.args)...); !errors.Is(err, errWrong) || !strings.Contains(out, x.want) {
			t.Errorf("%s: %v\n%s", x.args, err, out)
		}
	}
	var usage usageError
	for _, args := range []string{"", "ftp://x/", "GET http://x/ more", "-H nothing http://127.0.0.1:8080/"} {
		if out, err := explain(t, strings.Fields(args)...); !errors.As(err, &usage) {
			t.Errorf("%q: %v %s", args, err, out)
		}
	}
}
