package translate

import (
	"fmt"
	"slices"

	"k8s.io/utils/ptr"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
	"github.com/nantian-gw/nantian/internal/pattern"
)

func (t *translator) buildPromptGuards() {
	for _, object := range t.in.PromptGuardPolicies.All() {
		p := &policy{
			object: object, targets: object.Spec.TargetRefs,
			ref:   resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindPromptGuardPolicy, Namespace: object.Namespace, Name: object.Name},
			kinds: []string{"Gateway", "HTTPRoute", v1alpha1.KindAIBackend, v1alpha1.KindAIProvider},
		}
		guard := &xdsv1.PromptGuard{Monitor: object.Spec.Mode == v1alpha1.GuardMonitor}
		for i := range object.Spec.Rules {
			guard.Rules = append(guard.Rules, t.guardRule(p, fmt.Sprintf("spec.rules[%d]", i), &object.Spec.Rules[i]))
		}
		p.wire = &xdsv1.Policy{
			Key: xdsv1.PolicyKey(xdsv1.PolicyGuard, object.Namespace, object.Name), Namespace: object.Namespace, Name: object.Name,
			Kind: &xdsv1.Policy_PromptGuard{PromptGuard: guard},
		}
		t.finishPolicy(p)
	}
}

func (t *translator) guardRule(p *policy, at string, in *v1alpha1.GuardRule) *xdsv1.GuardRule {
	out := &xdsv1.GuardRule{
		Name: in.Name, Builtin: texts(in.Builtin), Keywords: in.Keywords, Action: guardAction(in.Action), Restore: in.Restore,
		Request:  len(in.Scan) == 0 || slices.Contains(in.Scan, v1alpha1.ScanRequest),
		Response: len(in.Scan) == 0 || slices.Contains(in.Scan, v1alpha1.ScanResponse), Threshold: uint32(max(in.Threshold, 0)), Regions: in.Regions,
	}
	for i, expr := range in.Patterns {
		if _, err := pattern.Parse(expr, int(in.MaxLength)); err != nil {
			p.invalid.add(&fault{v1alpha1.ReasonInvalid, fmt.Sprintf("%s.patterns[%d] of the rule %q: %q: %v", at, i, in.Name, expr, err)})
		}
		out.Patterns = append(out.Patterns, &xdsv1.GuardPattern{Expression: expr, MaxLength: uint32(max(in.MaxLength, 0))})
	}
	for _, topic := range in.Topics {
		out.Topics = append(out.Topics, &xdsv1.GuardTopic{Name: topic.Name, Phrases: topic.Phrases})
	}
	if in.HashKey != nil {
		out.HashSecret, out.HashDataKey = t.guardSecret(p, at+".hashKey", in.HashKey)
	}
	if in.Webhook != nil {
		out.Webhook = t.guardWebhook(p, at+".webhook", in.Webhook)
	}
	return out
}

func guardAction(a v1alpha1.GuardAction) xdsv1.GuardAction {
	switch a {
	case v1alpha1.GuardBlock, "":
		return xdsv1.GuardAction_BLOCK
	case v1alpha1.GuardMask:
		return xdsv1.GuardAction_MASK
	case v1alpha1.GuardHash:
		return xdsv1.GuardAction_HASH
	case v1alpha1.GuardAudit:
		return xdsv1.GuardAction_AUDIT
	}
	return xdsv1.GuardAction_GUARD_ACTION_UNSPECIFIED
}

func (t *translator) guardWebhook(p *policy, at string, in *v1alpha1.GuardWebhook) *xdsv1.GuardWebhook {
	out := &xdsv1.GuardWebhook{
		Endpoint: &xdsv1.GuardWebhook_Url{Url: in.URL}, Model: in.Model, Timeout: duration(in.Timeout),
		FailOpen: in.FailureMode == v1alpha1.GuardOpen, MaxConcurrent: uint32(max(in.MaxConcurrent, 0)),
	}
	if in.Kind == v1alpha1.WebhookOpenAIModeration {
		out.Kind = xdsv1.GuardWebhook_OPENAI_MODERATION
	}
	if in.APIKey != nil {
		out.Secret, out.DataKey = t.guardSecret(p, at+".apiKey", in.APIKey)
	}
	return out
}

// guardSecret resolves a value of a Secret. A policy whose Secret is not there must not be run without it.
func (t *translator) guardSecret(p *policy, at string, in *v1alpha1.GuardSecret) (secret, dataKey string) {
	to := resources.Ref{Kind: "Secret", Namespace: p.object.GetNamespace(), Name: string(in.SecretRef.Name)}
	if f := t.apiKey(p.ref, to, in.SecretRef.Key); f != nil {
		f.message = at + ".secretRef: " + f.message
		p.unresolved.add(f)
		p.invalid.add(ptr.To(*f))
	}
	return xdsv1.SecretKey(to.Namespace, to.Name), in.SecretRef.Key
}
