package translate

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// Bounds of what a Secret with an API key says. A key shorter than minKey can be guessed.
const (
	minKey, maxKey   = 16, 512
	maxCallerModels  = 128
	maxModelName     = 253
	maxMetadata      = 16
	maxMetadataValue = 256
)

// callers gathers the Secrets with API keys that policies select.
type callers struct {
	*translator
	by map[string]*caller
}

// caller is one of them; dataKey is the entry of its data that is the key, for all policies.
type caller struct {
	wire    *xdsv1.Caller
	dataKey string
}

// selected adds the Secrets that a policy selects. One that cannot be used is told, and nobody can call with it; the others
// can. Of two with the same key the older one holds.
func (k *callers) selected(p *policy, keys *v1alpha1.AuthAPIKeys) {
	selector, err := metav1.LabelSelectorAsSelector(&keys.SecretSelector)
	if err != nil {
		p.invalid.add(&fault{v1alpha1.ReasonInvalid, "spec.apiKeys.secretSelector: " + err.Error()})
		return
	}
	found := k.secrets(p.ref.Namespace, selector)
	if len(found) == 0 {
		p.unresolved.add(&fault{v1alpha1.ReasonSecretNotFound, "spec.apiKeys.secretSelector: selects no Secret, so nobody can call with an API key"})
	}
	holders := map[[sha256.Size]byte]string{}
	for _, secret := range found {
		if message := k.caller(p, secret, keys.DataKey, holders); message != "" {
			ref := resources.Ref{Kind: "Secret", Namespace: secret.Namespace, Name: secret.Name}
			p.unresolved.add(&fault{v1alpha1.ReasonInvalidSecret, fmt.Sprintf("spec.apiKeys: %s %s", ref, message)})
		}
	}
}

// secrets are those that a selector finds in a namespace, by age, then name. One that is being deleted is gone for us, whatever
// else has to be done before it goes.
func (k *callers) secrets(namespace string, selector labels.Selector) []*corev1.Secret {
	var found []*corev1.Secret
	for _, s := range k.in.Secrets.All() {
		if s.Namespace == namespace && s.DeletionTimestamp == nil && selector.Matches(labels.Set(s.Labels)) {
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b *corev1.Secret) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return found
}

// caller adds one Secret, or says what is wrong with it. Nothing that is said quotes the key.
func (k *callers) caller(p *policy, secret *corev1.Secret, dataKey string, holders map[[sha256.Size]byte]string) (problem string) {
	if problem := keyProblem(secret, dataKey); problem != "" {
		return problem
	}
	digest := sha256.Sum256(secret.Data[dataKey])
	if other, taken := holders[digest]; taken {
		return "has the same key as Secret " + secret.Namespace + "/" + other
	}
	holders[digest] = secret.Name
	key := xdsv1.CallerKey(secret.Namespace, secret.Name)
	if c := k.by[key]; c != nil {
		if c.dataKey != dataKey {
			return fmt.Sprintf("has its key under %s for another AuthPolicy", c.dataKey)
		}
		c.wire.Policies = append(c.wire.Policies, p.wire.GetKey())
		return ""
	}
	models, problem := callerModels(secret)
	if problem != "" {
		return problem
	}
	metadata, problem := callerMetadata(secret)
	if problem != "" {
		return problem
	}
	k.by[key] = &caller{dataKey: dataKey, wire: &xdsv1.Caller{
		Key: key, Namespace: secret.Namespace, Name: secret.Name, KeySha256: digest[:], Policies: []string{p.wire.GetKey()},
		Models: models, Metadata: metadata,
	}}
	return ""
}

func (k *callers) put() {
	for _, key := range slices.Sorted(maps.Keys(k.by)) {
		k.pool[key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Caller{Caller: k.by[key].wire}}
	}
}

// keyProblem says why the key of a Secret cannot be used.
func keyProblem(secret *corev1.Secret, dataKey string) string {
	key, ok := secret.Data[dataKey]
	switch {
	case !ok:
		return fmt.Sprintf("has nothing under the key %s", dataKey)
	case len(key) < minKey || len(key) > maxKey:
		return fmt.Sprintf("has a key of %d characters under %s, not %d to %d", len(key), dataKey, minKey, maxKey)
	}
	for _, c := range key {
		if c <= ' ' || c >= 0x7f {
			return fmt.Sprintf("has a key under %s with a space, a line break or a character that is not ASCII in it", dataKey)
		}
	}
	return ""
}

// callerModels reads the annotation. One that lists nothing is a mistake: to take it for all models would be a dangerous guess.
func callerModels(secret *corev1.Secret) (models []string, problem string) {
	text, ok := secret.Annotations[v1alpha1.AnnotationModels]
	if !ok {
		return nil, ""
	}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if name == "" || len(name) > maxModelName || strings.Count(name, "*") > 1 {
			return nil, fmt.Sprintf("has the annotation %s with something in it that is neither the name of a model nor one with a single *", v1alpha1.AnnotationModels)
		}
		models = append(models, name)
	}
	if len(models) > maxCallerModels {
		return nil, fmt.Sprintf("lists more than %d models in the annotation %s", maxCallerModels, v1alpha1.AnnotationModels)
	}
	return models, ""
}

// callerMetadata reads labels and annotations with the prefix; annotations go first.
func callerMetadata(secret *corev1.Secret) (metadata map[string]string, problem string) {
	metadata = map[string]string{}
	for _, from := range [2]map[string]string{secret.Labels, secret.Annotations} {
		for name, value := range from {
			if name, ok := strings.CutPrefix(name, v1alpha1.MetadataPrefix); ok {
				metadata[name] = value
			}
		}
	}
	if len(metadata) > maxMetadata {
		return nil, fmt.Sprintf("has more than %d annotations and labels %s*", maxMetadata, v1alpha1.MetadataPrefix)
	}
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if v := metadata[name]; len(v) > maxMetadataValue || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			return nil, fmt.Sprintf("has the annotation %s with more than %d characters or one that is not visible ASCII", v1alpha1.MetadataPrefix+name, maxMetadataValue)
		}
	}
	return metadata, ""
}
