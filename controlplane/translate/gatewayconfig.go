package translate

import (
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// config is one GatewayConfig.
type config struct {
	object              *v1alpha1.GatewayConfig
	ref                 resources.Ref
	invalid, unresolved faults
}

// settings are what holds for a Gateway: its class's config and its own, merged.
type settings struct {
	spec v1alpha1.GatewayConfigSpec
	// configs are those that were merged, the Gateway's own last. None: there is nothing but defaults.
	configs []*config
}

// buildConfigs reads the GatewayConfigs.
func (t *translator) buildConfigs() {
	for _, object := range t.in.GatewayConfigs.All() {
		c := &config{object: object, ref: resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindGatewayConfig, Namespace: object.Namespace, Name: object.Name}}
		t.configs[nameOf(object)] = c
		t.checkConfig(c)
	}
}

// checkConfig finds what is wrong with a config: a Runtime is made of it alone.
func (t *translator) checkConfig(c *config) {
	r := t.runtime(c.object.Spec, []*config{c}, &c.unresolved)
	if err := validRuntime(r); err != nil {
		c.invalid.add(&fault{v1alpha1.ReasonInvalid, oneLine(r.GetKey(), err)})
	}
}

func (t *translator) finishConfigs() {
	for _, object := range t.in.GatewayConfigs.All() {
		c := t.configs[nameOf(object)]
		t.update(status.Update{Ref: c.ref, Conditions: []metav1.Condition{
			c.invalid.condition(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "the configuration is accepted", object.Generation),
			c.unresolved.condition(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "all references are resolved", object.Generation),
		}})
	}
}

// parameters finds what a parametersRef names.
func (t *translator) parameters(at, group, kind, namespace, name string) (*config, *fault) {
	invalid := string(gatewayv1.GatewayReasonInvalidParameters)
	if group != v1alpha1.GroupName || kind != v1alpha1.KindGatewayConfig {
		return nil, &fault{invalid, fmt.Sprintf("%s: %s of group %s is not supported, only %s of %s", at, kind, group, v1alpha1.KindGatewayConfig, v1alpha1.GroupName)}
	}
	c := t.configs[nameIn(namespace, name)]
	switch {
	case c == nil:
		return nil, &fault{invalid, fmt.Sprintf("%s: there is no %s %s/%s", at, kind, namespace, name)}
	case len(c.invalid.list) > 0:
		return nil, &fault{invalid, fmt.Sprintf("%s: %s is not accepted: %s", at, c.ref, c.invalid.list[0].message)}
	}
	return c, nil
}

// ofClass is the config of a GatewayClass; nil: it has none.
func (t *translator) ofClass(c *gatewayv1.GatewayClass) (*config, *fault) {
	ref := c.Spec.ParametersRef
	if ref == nil {
		return nil, nil
	}
	return t.parameters("spec.parametersRef", string(ref.Group), string(ref.Kind), string(ptr.Deref(ref.Namespace, "")), ref.Name)
}

// readSettings merges what is set for a Gateway. That its class's parameters are not valid is the class's to tell; the
// Gateway goes on without them.
func (t *translator) readSettings(g *gateway) {
	if class, ok := t.in.GatewayClasses.Get("", string(g.object.Spec.GatewayClassName)); ok {
		if c, _ := t.ofClass(class); c != nil {
			g.settings.merge(c)
		}
	}
	infrastructure := g.object.Spec.Infrastructure
	if infrastructure == nil || infrastructure.ParametersRef == nil {
		return
	}
	ref := infrastructure.ParametersRef
	c, f := t.parameters("spec.infrastructure.parametersRef", string(ref.Group), string(ref.Kind), g.object.Namespace, ref.Name)
	g.faults.add(f)
	if c != nil {
		g.settings.merge(c)
	}
}

// merge puts the fields that a config sets in place of those before, each as a whole.
func (s *settings) merge(c *config) {
	to, from := reflect.ValueOf(&s.spec).Elem(), reflect.ValueOf(c.object.Spec)
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	s.configs = append(s.configs, c)
}

// from is the config whose value of a field holds, by a test of the field; nil: it is not set.
func (s *settings) from(has func(*v1alpha1.GatewayConfigSpec) bool) *config {
	for _, c := range slices.Backward(s.configs) {
		if has(&c.object.Spec) {
			return c
		}
	}
	return nil
}

// sharedBy is the config that lets a Gateway run on data planes that are there already; nil: it gets its own.
func (s *settings) sharedBy() *config {
	return s.from(func(spec *v1alpha1.GatewayConfigSpec) bool { return spec.Shared != nil })
}

// SharedPrefix is before the name of a group of shared data planes. No Gateway's name has an underscore.
const SharedPrefix = "shared_"

// groupOf is the group of a Gateway in a cluster.
func (g *gateway) groupOf() GroupName {
	if c := g.settings.sharedBy(); c != nil {
		return GroupName(c.ref.Namespace + "/" + SharedPrefix + c.ref.Name)
	}
	return GroupName(g.object.Namespace + "/" + g.object.Name)
}

// secretOf resolves a reference to a Secret of a config's namespace; the key is empty when there is none.
func (t *translator) secretOf(c *config, at string, ref *corev1.LocalObjectReference, f *faults) *corev1.Secret {
	if ref == nil {
		return nil
	}
	secret, ok := t.in.Secrets.Get(c.ref.Namespace, ref.Name)
	if !ok {
		f.add(&fault{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("%s: there is no Secret %s/%s", at, c.ref.Namespace, ref.Name)})
		return nil
	}
	return secret
}
