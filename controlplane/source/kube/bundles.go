package kube

import (
	"maps"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"
)

// bundles are the versions of the Gateway API that its CRDs in the cluster are of.
type bundles struct {
	mu sync.Mutex
	of map[string]string
}

// note takes a CRD as it is now, or that it is gone, and says whether that changes anything.
func (b *bundles) note(crd *metav1.PartialObjectMetadata, gone bool) (changed bool) {
	if _, group, _ := strings.Cut(crd.Name, "."); group != "gateway.networking.k8s.io" && group != "gateway.networking.x-k8s.io" {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before, there := b.of[crd.Name]
	if gone {
		delete(b.of, crd.Name)
		return there
	}
	now := crd.Annotations[consts.BundleVersionAnnotation]
	if b.of == nil {
		b.of = map[string]string{}
	}
	b.of[crd.Name] = now
	return !there || now != before
}

// Bundles are the versions of the Gateway API's CRDs in the cluster, by the CRD's name; empty: it does not say. It is safe for
// concurrent use; Run's changed is called after a change.
func (s *Source) Bundles() map[string]string {
	s.bundles.mu.Lock()
	defer s.bundles.mu.Unlock()
	return maps.Clone(s.bundles.of)
}
