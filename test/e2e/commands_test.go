package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// outcome is what a command did.
type outcome struct {
	code        int
	out, errors string
}

func command(t *testing.T, input string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rig.Binary(t), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// want checks the exit code, and that the parts are in the output.
func (o outcome) want(t *testing.T, code int, parts ...string) outcome {
	t.Helper()
	if o.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", o.code, code, o.out, o.errors)
	}
	for _, p := range parts {
		if !strings.Contains(o.out, p) {
			t.Errorf("the output lacks %q:\n%s\n%s", p, cut(o.out), cut(o.errors))
		}
	}
	return o
}

// told checks that the parts are on standard error.
func (o outcome) told(t *testing.T, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(o.errors, p) {
			t.Errorf("standard error lacks %q:\n%s", p, cut(o.errors))
		}
	}
}

// object reads the output as JSON.
func (o outcome) object(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(o.out), &m); err != nil {
		t.Errorf("not JSON: %v\n%s", err, cut(o.out))
	}
	return m
}

// folder writes files to a folder.
func folder(t *testing.T, f rig.Files) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range f {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func good() rig.Files {
	return rig.Files{"gateway.yaml": rig.Entrance(8080), "models.yaml": rig.Provider("openai", "OpenAI", "https://api.example.com/v1") +
		rig.Models(rig.Model("sim", "openai"))}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	dir := folder(t, good())
	command(t, "", "validate", "-f", dir).want(t, 0, "Accepted", "default/models", "gateway.yaml:")
	if m := command(t, "", "validate", "-f", dir, "-o", "json").want(t, 0).object(t); m["ok"] != true {
		t.Errorf("got %v", m)
	}
	f := good()
	f["models.yaml"] = strings.Replace(f["models.yaml"], "{name: openai}", "{name: nobody}", 1)
	f["other.yaml"] = "kind: [\n"
	bad := folder(t, f)
	command(t, "", "validate", "-f", bad).want(t, 1, "nobody", "models.yaml:", "ResolvedRefs")
	if m := command(t, "", "validate", "-f", bad, "-o", "json").want(t, 1, "other.yaml").object(t); m["ok"] != false {
		t.Errorf("got %v", m)
	}
	command(t, "", "validate").want(t, 2).told(t, "-f")
	command(t, "", "validate", "-f", dir, "-o", "xml").want(t, 2).told(t, "xml")
	command(t, "", "validate", "-f", filepath.Join(dir, "absent.yaml")).want(t, 1)
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	dir := folder(t, good())
	yaml := command(t, "", "translate", "-f", dir).want(t, 0, "default/models", "openai")
	if strings.Contains(yaml.out, rig.Key) {
		t.Error("the key of the Secret is shown")
	}
	command(t, "", "translate", "-f", dir, "-o", "json").want(t, 0).object(t)
	f := good()
	f["other.yaml"] = "kind: [\n"
	command(t, "", "translate", "-f", folder(t, f)).want(t, 1, "default/models").told(t, "other.yaml:")
	command(t, "", "translate", "--nonsense").want(t, 2)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	if o := command(t, "hello world", "tokens", "--model", "gpt-5").want(t, 0); o.out != "2\n" {
		t.Errorf("got %q", o.out)
	}
	file := filepath.Join(folder(t, rig.Files{"text": "hello world"}), "text")
	m := command(t, "", "tokens", "--encoding", "cl100k_base", "-o", "json", file).want(t, 0).object(t)
	if m["tokens"] != 2.0 || m["exact"] != true || m["encoding"] != "cl100k_base" {
		t.Errorf("got %v", m)
	}
	if m := command(t, "hello world", "tokens", "--model", "claude-sonnet-4-5", "-o", "json").want(t, 0).object(t); m["exact"] != false {
		t.Errorf("got %v", m)
	}
	body := `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello there"}],"tools":[{"type":"function","function":{"name":"now","description":"The time."}}]}`
	m = command(t, body, "tokens", "--request", "openai", "-o", "json").want(t, 0).object(t)
	if r, _ := m["request"].(map[string]any); m["tokens"] != 31.0 || r["text"] != 2.0 || r["framing"] != 7.0 || r["tools"] != 22.0 || m["exact"] != false {
		t.Errorf("got %v", m)
	}
	body = `{"max_tokens":9,"messages":[{"role":"user","content":"Hello there"}]}`
	m = command(t, body, "tokens", "--request", "anthropic", "--model", "claude-sonnet-4-5", "-o", "json").want(t, 0).object(t)
	if m["encoding"] != "claude" || m["measuredError"] != 0.12 || m["tokens"].(float64) < 8 {
		t.Errorf("got %v", m)
	}
	command(t, body, "tokens", "--request", "anthropic").want(t, 1).told(t, "model")
	command(t, "hello", "tokens", "--request", "openai").want(t, 1).told(t, "JSON")
	command(t, body, "tokens", "--request", "gemini").want(t, 2)
	command(t, "hello", "tokens", "--model", "claude-x", "--admin", "127.0.0.1:1").want(t, 1).told(t, "--admin")
	command(t, "", "tokens", "--encoding", "none").want(t, 2).told(t, "cl100k_base")
	command(t, "", "tokens", "--encoding", "cl100k_base", "--model", "gpt-5").want(t, 2)
	command(t, "", "tokens", file+"-absent").want(t, 1)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	command(t, "", "version").want(t, 0, "nantian ", "Gateway API v1")
	m := command(t, "", "version", "-o", "json").want(t, 0).object(t)
	if m["version"] == "" || m["gatewayAPI"] == "" || m["go"] == "" {
		t.Errorf("got %v", m)
	}
	command(t, "", "version", "extra").want(t, 2)
	command(t, "", "nonsense").want(t, 2).told(t, "nonsense")
	command(t, "").want(t, 0, "Usage:")
	for _, name := range []string{"run", "validate", "translate", "tokens", "simulate", "version"} {
		command(t, "", name, "--help").want(t, 0, "Examples:")
	}
}

func TestSimulate(t *testing.T) {
	t.Parallel()
	command(t, "", "simulate", "--behave", "nonsense=1").want(t, 2).told(t, "nonsense")
	command(t, "", "simulate", "--listen", "not an address").want(t, 1)
	command(t, "", "simulate", "extra").want(t, 2)
	address := fmt.Sprintf("127.0.0.1:%d", rig.Port(t))
	cmd := exec.CommandContext(t.Context(), rig.Binary(t), "simulate", "--listen", address, "--api-key", "sk-1", "--behave", "tokens=3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ask := func(key string) (status int, body string) {
		r, err := http.NewRequest("POST", "http://"+address+"/v1/chat/completions", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"Hi"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	rig.Eventually(t, rig.Patience, "the simulator answers", func() bool { status, _ := ask("sk-1"); return status == 200 })
	if _, body := ask("sk-1"); !strings.Contains(body, `"completion_tokens":3`) {
		t.Errorf("got %s", body)
	}
	if status, _ := ask("sk-2"); status != 401 {
		t.Errorf("status %d with another key", status)
	}
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestRun: what is wrong at the start is told, with the exit code that fits.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := folder(t, good())
	command(t, "", "run").want(t, 2).told(t, "-f")
	command(t, "", "run", "-f", dir, "--drain-timeout", "soon").want(t, 2).told(t, "drain-timeout")
	command(t, "", "run", "-f", dir, "--admin", "nowhere").want(t, 1).told(t, "--admin")
	command(t, "", "run", "-f", dir, "--simulate", "nowhere").want(t, 1).told(t, "--simulate")
}
