package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/controlplane/status"
)

const validGateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: nantian, listeners: [{name: http, port: 8080, protocol: HTTP}]}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {token: sk-very-secret}
---
apiVersion: gateway.nantian.dev/v1alpha1
kind: AIProvider
metadata: {name: openai}
spec: {schema: OpenAI, auth: {apiKey: {secretRef: {name: key, key: token}}}}
---
`

func aiRoute(provider string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: chat}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{group: gateway.nantian.dev, kind: AIProvider, name: ` + provider + `}]}]}
`
}

// execute runs a command on one file and returns what it wrote.
func execute(t *testing.T, text string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := newRootCommand()
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetArgs(append(args, "-f", file))
	err = cmd.Execute()
	clean := strings.NewReplacer(file, "a.yaml").Replace
	return clean(out.String()), clean(errs.String()), err
}

func TestValidate(t *testing.T) {
	out, _, err := execute(t, validGateway+aiRoute("openai"), "validate")
	if err != nil {
		t.Error(err, out)
	}
	if !strings.Contains(out, "HTTPRoute default/chat (a.yaml:16)\n  at Gateway gw\n    ok  Accepted=True Accepted: the route is accepted\n") {
		t.Error(out)
	}
}

func TestValidateFailsForWhatIsNotResolved(t *testing.T) {
	out, _, err := execute(t, validGateway+aiRoute("opnai"), "validate")
	if err == nil || err.Error() != "not valid: errors in files: 0, objects with a bad condition: 1 of 3" {
		t.Error(err)
	}
	if !strings.Contains(out, "    BAD ResolvedRefs=False BackendNotFound: rules[0].backendRefs[0]: there is no AIProvider default/opnai\n") {
		t.Error(out)
	}
}

func TestValidateFailsForWhatAClusterWouldRefuse(t *testing.T) {
	out, _, err := execute(t, validGateway+strings.Replace(aiRoute("openai"), "rules:", "rule:", 1), "validate")
	if err == nil || !strings.HasPrefix(out, "error: a.yaml:19: HTTPRoute default/chat: spec.rule: unknown field\n") {
		t.Error(err, out)
	}
}

func TestValidateAsJSON(t *testing.T) {
	out, _, err := execute(t, validGateway+aiRoute("opnai"), "validate", "-o", "json")
	if err == nil {
		t.Error("no error")
	}
	var r status.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.OK || len(r.Objects) != 3 || r.Objects[2].Kind != "HTTPRoute" || r.Objects[2].OK || r.Objects[2].Line != 16 {
		t.Errorf("%+v", r)
	}
}

func TestTranslateShowsNoSecret(t *testing.T) {
	for _, format := range []string{"yaml", "json"} {
		out, _, err := execute(t, validGateway+aiRoute("openai"), "translate", "-o", format)
		if err != nil {
			t.Error(err)
		}
		if !strings.Contains(out, "secret/default/key") || strings.Contains(out, "very") || strings.Contains(out, "c2stdmVye") {
			t.Error(out)
		}
	}
}

func TestTranslateTellsProblemsOnStandardError(t *testing.T) {
	out, errs, err := execute(t, validGateway+"kind: [", "translate")
	if err == nil || !strings.Contains(out, "listener/default/gw/http") || errs != "a.yaml:16: did not find expected node content\n" {
		t.Errorf("%v\n%s\n%s", err, out, errs)
	}
}

func TestWrongUsageOfFiles(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		cmd := newRootCommand()
		cmd.SetArgs(args)
		err := cmd.Execute()
		if !errors.As(err, new(usageError)) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", args, err, want)
		}
	}
	f("no files: give some with -f", "validate")
	f(`invalid argument "xml" for "-o, --output" flag`, "validate", "-f", "x", "-o", "xml")
	f("no files: give some with -f", "translate")
}
