// Package approx estimates token counts for models whose vocabulary is not public.
//
// It owns the estimate and its calibration from what providers report. It knows no model names (package tokenizer maps
// them to families) and no vocabulary (a counter is passed in), and imports the standard library only.
package approx

import (
	_ "embed"
	"math"
	"strconv"
	"strings"
)

// Unknown is the family of models of which nothing is known.
const Unknown = "unknown"

//go:embed families.txt
var familiesFile string

// Families returns the names that New knows.
func Families() []string {
	var names []string
	for line := range strings.Lines(familiesFile) {
		if f, ok := parseFamily(line); ok {
			names = append(names, f.name)
		}
	}
	return names
}

type family struct {
	name         string
	ascii, other float64 // tokens for one of the base count
}

func parseFamily(line string) (f family, ok bool) {
	fields := strings.Fields(line)
	if len(fields) != 3 || strings.HasPrefix(line, "#") {
		return family{}, false
	}
	ascii, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return family{}, false
	}
	other, err := strconv.ParseFloat(fields[2], 64)
	return family{fields[0], ascii, other}, err == nil
}

// An Estimator estimates the tokens of a family of models from an exact count of another encoding. It may be used by
// many goroutines at once.
type Estimator struct {
	family family
	base   func(text []byte) int
}

// New returns the Estimator of a family, that of Unknown if there is no such family. base counts with o200k_base.
func New(name string, base func(text []byte) int) *Estimator {
	e := &Estimator{base: base}
	for line := range strings.Lines(familiesFile) {
		if f, ok := parseFamily(line); ok && (f.name == name || f.name == Unknown) {
			e.family = f
			if f.name == name {
				break
			}
		}
	}
	return e
}

// Name returns the family.
func (e *Estimator) Name() string { return e.family.name }

// Exact returns false.
func (e *Estimator) Exact() bool { return false }

// Count returns an estimate, at least 1 for a text that is not empty.
func (e *Estimator) Count(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	other := 0
	for _, c := range text {
		other += int(c >> 7)
	}
	share := float64(other) / float64(len(text))
	factor := e.family.ascii + (e.family.other-e.family.ascii)*share
	return max(1, int(math.Round(float64(e.base(text))*factor)))
}
