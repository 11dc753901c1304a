// Command gen copies the CustomResourceDefinitions of the Gateway API, experimental channel, out of the module that go.mod
// names. Descriptions are left out: they are most of the bytes and nothing here reads them.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// kinds are the plural names of the kinds that the control plane reads.
var kinds = []string{
	"backendtlspolicies", "gatewayclasses", "gateways", "grpcroutes", "httproutes", "listenersets", "referencegrants",
	"tcproutes", "tlsroutes", "udproutes",
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	for _, kind := range kinds {
		in := filepath.Join(strings.TrimSpace(string(dir)), "config/crd/experimental/gateway.networking.k8s.io_"+kind+".yaml")
		if err := convert(in, filepath.Join(out, kind+".json")); err != nil {
			return err
		}
	}
	return nil
}

func convert(in, out string) error {
	text, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	var crd map[string]any
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(strip(crd, false)); err != nil {
		return err
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// strip removes descriptions; below properties a name is a field's, even when it is "description".
func strip(v any, names bool) any {
	switch v := v.(type) {
	case map[string]any:
		if !names {
			delete(v, "description")
		}
		for k, e := range v {
			v[k] = strip(e, k == "properties" && !names)
		}
	case []any:
		for i, e := range v {
			v[i] = strip(e, false)
		}
	}
	return v
}
