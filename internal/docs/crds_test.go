package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const crdsIntroduction = `# Kinds

Written by ` + "`make generate`" + ` from the CustomResourceDefinitions in ` + "`crds/`" + `, whose comments are those of ` + "`crds/v1alpha1`" + `.
The kinds of the Gateway API are documented at https://gateway-api.sigs.k8s.io/reference/spec/.

In the column "type", *required* means that the field must be set, and the value after "default" stands in where it is not.
`

func TestCRDs(t *testing.T) {
	files, err := filepath.Glob(root + "/crds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no CRDs", err)
	}
	var b strings.Builder
	b.WriteString(crdsIntroduction)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensions.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(text, &crd); err != nil {
			t.Fatal(file, err)
		}
		kind(&b, &crd)
	}
	generated(t, "reference/crds.md", b.String())
}

func kind(b *strings.Builder, crd *apiextensions.CustomResourceDefinition) {
	for _, v := range crd.Spec.Versions {
		s := v.Schema.OpenAPIV3Schema
		fmt.Fprintf(b, "\n## %s\n\n`apiVersion: %s/%s`, %s", crd.Spec.Names.Kind, crd.Spec.Group, v.Name, strings.ToLower(string(crd.Spec.Scope)))
		if short := crd.Spec.Names.ShortNames; len(short) > 0 {
			fmt.Fprintf(b, ", short name `%s`", strings.Join(short, "`, `"))
		}
		fmt.Fprintf(b, "\n\n%s\n\n| field | type | meaning |\n|---|---|---|\n", prose(s.Description))
		var rules []string
		for _, name := range []string{"spec", "status"} {
			p := s.Properties[name]
			fields(b, name, &p, &rules)
		}
		if len(rules) > 0 {
			b.WriteString("\nRules beyond a single field:\n\n" + strings.Join(rules, ""))
		}
	}
}

// fields writes a line for each field below an object, in order of their names, and gathers the rules.
func fields(b *strings.Builder, path string, s *apiextensions.JSONSchemaProps, rules *[]string) {
	for _, r := range s.XValidations {
		*rules = append(*rules, fmt.Sprintf("- `%s`: %s\n", path, r.Message))
	}
	var names []string
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := s.Properties[name]
		at := path + "." + name
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", at, typeOf(&p, slices.Contains(s.Required, name)), cell(p.Description))
		below := &p
		if p.Items != nil {
			below, at = p.Items.Schema, at+"[]"
		}
		if name != "conditions" && name != "ancestors" {
			fields(b, at, below, rules)
		}
	}
}

func typeOf(p *apiextensions.JSONSchemaProps, required bool) string {
	words := []string{p.Type}
	if p.XIntOrString {
		words[0] = "integer or string"
	}
	of := p
	if p.Items != nil {
		words[0], of = "list of "+p.Items.Schema.Type+"s", p.Items.Schema
	}
	if len(of.Enum) > 0 {
		var values []string
		for _, e := range of.Enum {
			values = append(values, "`"+strings.Trim(string(e.Raw), `"`)+"`")
		}
		words = append(words, "one of "+strings.Join(values, ", "))
	}
	if required {
		words = append(words, "*required*")
	}
	if p.Default != nil {
		words = append(words, "default `"+string(p.Default.Raw)+"`")
	}
	return strings.Join(append(words, limits(p)...), ", ")
}

func limits(p *apiextensions.JSONSchemaProps) []string {
	var out []string
	if p.Minimum != nil && p.Maximum != nil {
		out = append(out, fmt.Sprintf("%.0f to %.0f", *p.Minimum, *p.Maximum))
	} else if p.Minimum != nil {
		out = append(out, fmt.Sprintf("at least %.0f", *p.Minimum))
	}
	if p.MaxItems != nil {
		out = append(out, fmt.Sprintf("at most %d", *p.MaxItems))
	}
	if p.MaxLength != nil {
		out = append(out, fmt.Sprintf("at most %d characters", *p.MaxLength))
	}
	return out
}

// prose joins the lines of a paragraph.
func prose(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, "\n\n", "\x00"), "\n", " "), "\x00", "\n\n")
}

// cell is prose within a table.
func cell(s string) string {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
	return strings.ReplaceAll(s, "*", `\*`)
}
