package translate

import (
	"slices"
	"testing"

	"sigs.k8s.io/gateway-api/pkg/features"
)

// A class in a cluster tells of all features, each once, in order; and each is one that the Gateway API has.
func TestClassTellsOfFeatures(t *testing.T) {
	var told []features.FeatureName
	for _, f := range SupportedFeatures() {
		told = append(told, features.FeatureName(f.Name))
	}
	if want := Features(); !slices.Equal(told, want) || !slices.IsSorted(told) {
		t.Errorf("told %v, not %v", told, want)
	}
	known := map[features.FeatureName]bool{}
	for f := range features.AllFeatures {
		known[f.Name] = true
	}
	for i, name := range told {
		if !known[name] || i > 0 && told[i-1] == name {
			t.Errorf("%s is told twice, or not one of the Gateway API", name)
		}
	}
}
