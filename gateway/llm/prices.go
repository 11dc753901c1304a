package llm

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/ratelimit"
)

//go:embed prices.json
var builtin []byte

// Prices are what models cost by their providers' names of them. They are immutable.
type Prices struct {
	exact    map[string]*xdsv1.Price
	patterns []priced // the longest text around the "*" first
}

type priced struct {
	prefix, suffix string
	price          *xdsv1.Price
}

// catalogue is the form of a file of prices: US dollars for a million tokens, in decimals, and where they are from.
type catalogue struct {
	// Sources are addresses of pages, with the day on which they said so.
	Sources []struct{ URL, Date string }
	Prices  []struct {
		Model       string
		Input       string
		CachedInput string `json:"cached_input"`
		CacheWrite  string `json:"cache_write"`
		Output      string
	}
}

// ParsePrices reads a file of prices. What it leaves out costs nothing, but cached_input and cache_write as much as input.
func ParsePrices(text []byte) (*Prices, error) {
	var c catalogue
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	p := &Prices{exact: map[string]*xdsv1.Price{}}
	for i, e := range c.Prices {
		if e.Model == "" || strings.Count(e.Model, "*") > 1 {
			return nil, fmt.Errorf("prices[%d].model: %q, expected a name with at most one *", i, e.Model)
		}
		price := &xdsv1.Price{}
		for _, f := range [...]struct {
			name, text string
			to         *int64
		}{
			{"input", e.Input, &price.Input}, {"cached_input", or(e.CachedInput, e.Input), &price.CachedInput},
			{"cache_write", or(e.CacheWrite, e.Input), &price.CacheWrite}, {"output", e.Output, &price.Output},
		} {
			var err error
			if f.text == "" {
				continue
			}
			if *f.to, err = ratelimit.ParseUSD(f.text); err != nil {
				return nil, fmt.Errorf("prices[%d].%s: %w", i, f.name, err)
			}
		}
		p.add(e.Model, price)
	}
	p.sort()
	return p, nil
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// builtinPrices are those that this program was built with.
func builtinPrices() *Prices {
	p, err := ParsePrices(builtin)
	if err != nil {
		panic("the built-in prices: " + err.Error()) // a test reads them
	}
	return p
}

func (p *Prices) add(model string, price *xdsv1.Price) {
	before, after, star := strings.Cut(model, "*")
	if star {
		p.patterns = append(p.patterns, priced{before, after, price})
	} else {
		p.exact[model] = price
	}
}

func (p *Prices) sort() {
	slices.SortStableFunc(p.patterns, func(a, b priced) int { return len(b.prefix) + len(b.suffix) - len(a.prefix) - len(a.suffix) })
}

// before puts the prices of a configuration before those of p.
func (p *Prices) before(list []*xdsv1.CataloguePrice) *Prices {
	if len(list) == 0 {
		return p
	}
	out := &Prices{exact: map[string]*xdsv1.Price{}}
	for _, e := range list {
		out.add(e.GetModel(), e.GetPrice())
	}
	out.sort()
	out.patterns = append(out.patterns, p.patterns...)
	for name, price := range p.exact {
		if out.of(name) == nil {
			out.exact[name] = price
		}
	}
	return out
}

// of is what a model costs; nil: not known.
func (p *Prices) of(model string) *xdsv1.Price {
	if price := p.exact[model]; price != nil {
		return price
	}
	for i := range p.patterns {
		e := &p.patterns[i]
		if len(model) >= len(e.prefix)+len(e.suffix) && strings.HasPrefix(model, e.prefix) && strings.HasSuffix(model, e.suffix) {
			return e.price
		}
	}
	return nil
}
