package translate

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// modelMap is what was made of one AIBackend.
type modelMap struct {
	// providers are the keys of its targets.
	providers []string
	// invalid is why it is not accepted, unresolved what it names in vain.
	invalid, unresolved faults
}

func (t *translator) buildModels() {
	for _, object := range t.in.AIBackends.All() {
		key := xdsv1.ModelsKey(object.Namespace, object.Name)
		ref := resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindAIBackend, Namespace: object.Namespace, Name: object.Name}
		m := &modelMap{}
		t.models[key] = m
		out := &xdsv1.ModelMap{Key: key, Namespace: object.Namespace, Name: object.Name}
		for i := range object.Spec.Models {
			model := t.model(m, ref, fmt.Sprintf("spec.models[%d]", i), &object.Spec.Models[i])
			if len(model.Targets) > 0 {
				out.Models = append(out.Models, model)
			}
		}
		if err := t.put(&xdsv1.Resource{Kind: &xdsv1.Resource_ModelMap{ModelMap: out}}); err != nil {
			m.invalid.add(&fault{v1alpha1.ReasonInvalid, oneLine(key, err)})
		}
		t.update(status.Update{Ref: ref, Conditions: []metav1.Condition{
			m.invalid.condition(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "the backend is accepted", object.Generation),
			m.unresolved.condition(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, "all references are resolved", object.Generation),
		}})
	}
}

// model translates one name. A target that is not valid stays, with the reason: a share of traffic must not move to the
// others in silence. One whose provider lacks its optional key is left out, as its owner wants.
func (t *translator) model(m *modelMap, from resources.Ref, at string, in *v1alpha1.AIModel) *xdsv1.Model {
	out := &xdsv1.Model{Name: in.Name, Fallback: fallback(in.Fallback)}
	for i, target := range in.Targets {
		to := resources.Ref{
			Group: v1alpha1.GroupName, Kind: v1alpha1.KindAIProvider, Name: string(target.ProviderRef.Name),
			Namespace: string(ptr.Deref(target.ProviderRef.Namespace, gatewayv1.Namespace(from.Namespace))),
		}
		w := &xdsv1.ModelTarget{Model: target.Model, Weight: uint32(max(ptr.Deref(target.Weight, 1), 0)), Priority: uint32(max(target.Priority, 0))}
		key, f := t.providerTarget(from, to)
		m.providers = append(m.providers, key)
		if p := t.providers[key]; f != nil && p != nil && p.absent {
			continue
		}
		if f != nil {
			if f.reason == string(gatewayv1.RouteReasonBackendNotFound) {
				f.reason = v1alpha1.ReasonProviderNotFound
			}
			m.unresolved.add(&fault{f.reason, fmt.Sprintf("%s.targets[%d].providerRef: %s", at, i, f.message)})
			w.Invalid = f.message
		} else {
			w.Provider = key
		}
		out.Targets = append(out.Targets, w)
	}
	return out
}

func fallback(in *v1alpha1.AIFallback) *xdsv1.Fallback {
	if in == nil {
		return nil
	}
	out := &xdsv1.Fallback{MaxAttempts: uint32(max(in.MaxAttempts, 0))}
	for _, when := range in.When {
		out.When = append(out.When, fallbackWhen(when))
	}
	return out
}

func fallbackWhen(when v1alpha1.FallbackWhen) xdsv1.Fallback_When {
	switch when {
	case v1alpha1.WhenRateLimited:
		return xdsv1.Fallback_RATE_LIMITED
	case v1alpha1.WhenServerError:
		return xdsv1.Fallback_SERVER_ERROR
	case v1alpha1.WhenTimeout:
		return xdsv1.Fallback_TIMEOUT
	case v1alpha1.WhenConnectFailure:
		return xdsv1.Fallback_CONNECT_FAILURE
	case v1alpha1.WhenAuthError:
		return xdsv1.Fallback_AUTH_ERROR
	case v1alpha1.WhenModelNotFound:
		return xdsv1.Fallback_MODEL_NOT_FOUND
	}
	return xdsv1.Fallback_WHEN_UNSPECIFIED
}

// modelsTarget resolves a reference to an AIBackend. Targets of its that are not valid do not make it so: they say it
// themselves.
func (t *translator) modelsTarget(from, to resources.Ref) (string, *fault) {
	key := xdsv1.ModelsKey(to.Namespace, to.Name)
	if f := t.permit(from, to); f != nil {
		return key, f
	}
	m := t.models[key]
	switch {
	case m == nil:
		return key, &fault{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("there is no %s", to)}
	case t.kept(key):
		return key, nil
	case len(m.invalid.list) > 0:
		return key, &fault{v1alpha1.ReasonInvalid, fmt.Sprintf("%s is not accepted: %s", to, m.invalid.list[0].message)}
	}
	return key, nil
}
