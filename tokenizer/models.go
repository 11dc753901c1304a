package tokenizer

import (
	"cmp"
	_ "embed"
	"slices"
	"strconv"
	"strings"

	"github.com/nantian-gw/nantian/tokenizer/chat"
)

//go:embed models.txt
var modelsFile string

// models is what models.txt says.
type models struct {
	exact    map[string]model
	prefixes []prefix // longest first; the last is empty
}

type model struct {
	name  string // of an encoding or a family
	rules chat.Rules
}

type prefix struct {
	pattern string
	model   model
}

func parseModels(file string) models {
	m := models{exact: make(map[string]model)}
	for line := range strings.Lines(file) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		if pattern, ok := strings.CutSuffix(f[0], "*"); ok {
			m.prefixes = append(m.prefixes, prefix{pattern, parseModel(f[1:])})
		} else {
			m.exact[f[0]] = parseModel(f[1:])
		}
	}
	slices.SortStableFunc(m.prefixes, func(a, b prefix) int { return cmp.Compare(len(b.pattern), len(a.pattern)) })
	return m
}

// parseModel reads what stands after a pattern: name, tokens for a tool, kind of image and its numbers.
func parseModel(f []string) model {
	f = append(slices.Clone(f), "0", "", "0", "0") // for those that are left out
	kinds := map[string]chat.ImageKind{"tiles": chat.Tiles, "patches": chat.Patches, "area": chat.Area, "crops": chat.Crops}
	m := model{f[0], chat.Rules{Tool: int(number(f[1])), Image: chat.ImageRules{Kind: kinds[f[2]]}}}
	switch m.rules.Image.Kind {
	case chat.Tiles:
		m.rules.Image.Base, m.rules.Image.Tile = number(f[3]), number(f[4])
	case chat.Crops:
		m.rules.Image.Tile = number(f[3])
	case chat.Patches, chat.Area:
		m.rules.Image.Base = number(f[3])
	}
	return m
}

func number(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic("tokenizer: models.txt: " + err.Error()) // embedded
	}
	return n
}

// find returns what is known of a model; the pattern of all others ends the list.
func (m *models) find(name string) model {
	name = base(name)
	if found, ok := m.exact[name]; ok {
		return found
	}
	for _, p := range m.prefixes {
		if strings.HasPrefix(name, p.pattern) {
			return p.model
		}
	}
	return model{}
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
