package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// What is installed has all CRDs, none of which is too large to be handled (an object of etcd has at most 1.5 MiB, and tools copy it
// into an annotation of at most 256 KiB), and asks for no more than it needs.
func TestDeploy(t *testing.T) {
	crds, _ := filepath.Glob(root + "/crds/*.yaml")
	for _, file := range crds {
		if name := filepath.Base(file); *update {
			os.Symlink("../../../crds/"+name, root+"/deploy/chart/crds/"+name)
		}
		linked, err := os.ReadFile(filepath.Join(root, "deploy/chart/crds", filepath.Base(file)))
		if err != nil {
			t.Errorf("the chart lacks a CRD; run make generate: %v", err)
		}
		if len(linked) > 200<<10 {
			t.Errorf("%s has %d bytes, more than 200 KiB", file, len(linked))
		}
	}
	if charted, _ := filepath.Glob(root + "/deploy/chart/crds/*.yaml"); len(charted) != len(crds) || len(crds) == 0 {
		t.Errorf("the chart has %d CRDs, there are %d; run make generate", len(charted), len(crds))
	}
	text, err := os.ReadFile(root + "/deploy/nantian.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, doc := range strings.Split(string(text), "\n---\n") {
		var o struct {
			Kind  string
			Rules []struct{ APIGroups, Resources, Verbs []string }
		}
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		kinds[o.Kind] = true
		for _, r := range o.Rules {
			if slices.Contains(r.Verbs, "*") || slices.Contains(r.APIGroups, "*") {
				t.Errorf("%s: a rule for everything: %+v", o.Kind, r)
			}
		}
	}
	for _, want := range []string{"Namespace", "Deployment", "Service", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "PodDisruptionBudget", "GatewayClass"} {
		if !kinds[want] {
			t.Errorf("deploy/nantian.yaml has no %s", want)
		}
	}
}
