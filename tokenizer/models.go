package tokenizer

import (
	"cmp"
	_ "embed"
	"slices"
	"strings"
)

//go:embed models.txt
var modelsFile string

// models maps names of models to names of encodings and families, as models.txt says.
type models struct {
	exact    map[string]string
	prefixes []prefix // longest first
}

type prefix struct{ pattern, name string }

func parseModels(file string) models {
	m := models{exact: make(map[string]string)}
	for line := range strings.Lines(file) {
		f := strings.Fields(line)
		if len(f) != 2 || strings.HasPrefix(line, "#") {
			continue
		}
		if pattern, ok := strings.CutSuffix(f[0], "*"); ok {
			m.prefixes = append(m.prefixes, prefix{pattern, f[1]})
		} else {
			m.exact[f[0]] = f[1]
		}
	}
	slices.SortStableFunc(m.prefixes, func(a, b prefix) int { return cmp.Compare(len(b.pattern), len(a.pattern)) })
	return m
}

// find returns the name for a model, or "".
func (m *models) find(model string) string {
	model = base(model)
	if name, ok := m.exact[model]; ok {
		return name
	}
	for _, p := range m.prefixes {
		if strings.HasPrefix(model, p.pattern) {
			return p.name
		}
	}
	return ""
}

// base takes from a model's name what does not tell its family: a provider or a path before a slash, and the marks of a
// fine-tuned model ("ft:gpt-4o-mini:org:name:id", or "davinci:ft-org-date" as the first ones were named).
func base(model string) string {
	model = strings.ToLower(model)
	model = model[strings.LastIndexByte(model, '/')+1:]
	model = strings.TrimPrefix(model, "ft:")
	model, _, _ = strings.Cut(model, ":")
	return model
}
