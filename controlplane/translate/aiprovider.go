package translate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/status"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// provider is what was made of one AIProvider.
type provider struct {
	object *v1alpha1.AIProvider
	ref    resources.Ref
	// backend is the key of the Service behind it, if that is what its endpoint is.
	backend string
	// invalid is why it is not accepted, unresolved what it names in vain.
	invalid, unresolved faults
	// absent says that its optional key is not there: it takes no traffic, and that is no fault.
	absent bool
}

// schemaInfo is what this version knows of a schema.
type schemaInfo struct {
	wire xdsv1.Schema
	// url is the vendor's public endpoint; empty: there is none.
	url string
}

// schemaOf knows the schemas that this version speaks.
func schemaOf() map[v1alpha1.Schema]schemaInfo {
	return map[v1alpha1.Schema]schemaInfo{
		v1alpha1.SchemaOpenAI:      {xdsv1.Schema_OPENAI, "https://api.openai.com/v1"},
		v1alpha1.SchemaAzureOpenAI: {xdsv1.Schema_AZURE_OPENAI, ""},
		v1alpha1.SchemaAnthropic:   {xdsv1.Schema_ANTHROPIC, "https://api.anthropic.com"},
		v1alpha1.SchemaGemini:      {xdsv1.Schema_GEMINI, "https://generativelanguage.googleapis.com"},
		v1alpha1.SchemaOllama:      {xdsv1.Schema_OLLAMA, ""},
	}
}

func (t *translator) buildProviders() {
	for _, object := range t.in.AIProviders.All() {
		key := xdsv1.ProviderKey(object.Namespace, object.Name)
		p := &provider{object: object, ref: resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindAIProvider, Namespace: object.Namespace, Name: object.Name}}
		t.providers[key] = p
		t.buildProvider(key, p)
		t.update(status.Update{Ref: p.ref, Conditions: []metav1.Condition{
			p.invalid.condition(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted, "the provider is accepted", object.Generation),
			p.unresolved.condition(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs, p.resolved(), object.Generation),
		}})
	}
}

// resolved is the message of a provider whose references are all resolved.
func (p *provider) resolved() string {
	if p.absent {
		return "the optional key is not there: the provider takes no traffic"
	}
	return "all references are resolved"
}

func (t *translator) buildProvider(key string, p *provider) {
	spec := &p.object.Spec
	info, known := schemaOf()[spec.Schema]
	if !known {
		names := texts(slices.Sorted(maps.Keys(schemaOf())))
		p.invalid.add(&fault{v1alpha1.ReasonUnsupportedSchema, fmt.Sprintf("spec.schema: %s is not supported by this version, only %s", spec.Schema, strings.Join(names, ", "))})
	}
	out := &xdsv1.Provider{
		Key: key, Namespace: p.ref.Namespace, Name: p.ref.Name, Schema: info.wire, DefaultModel: spec.DefaultModel,
		Endpoint: t.providerEndpoint(p, info), Auth: t.providerAuth(p), Timeouts: providerTimeouts(spec),
	}
	if spec.OnUnsupported == v1alpha1.UnsupportedDrop {
		out.OnUnsupported = xdsv1.Unsupported_DROP
	}
	if spec.Azure != nil {
		out.ApiVersion = spec.Azure.APIVersion
	}
	for _, h := range spec.Headers {
		if out.Headers == nil {
			out.Headers = map[string]string{}
		}
		out.Headers[string(h.Name)] = h.Value
	}
	for i := range spec.Models {
		out.Models = append(out.Models, providerModel(p, i))
	}
	if p.absent || len(p.invalid.list)+len(p.unresolved.list) > 0 {
		return
	}
	if err := t.put(&xdsv1.Resource{Kind: &xdsv1.Resource_Provider{Provider: out}}); err != nil {
		p.invalid.add(&fault{v1alpha1.ReasonInvalid, oneLine(key, err)})
	}
}

func (t *translator) providerEndpoint(p *provider, info schemaInfo) *xdsv1.ProviderEndpoint {
	e := p.object.Spec.Endpoint
	switch {
	case e == nil && info.url == "" && info.wire != 0:
		p.invalid.add(&fault{v1alpha1.ReasonInvalid, fmt.Sprintf("spec.endpoint is required: %s has no public one", p.object.Spec.Schema)})
		return nil
	case e == nil:
		return &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Url{Url: info.url}}
	case e.BackendRef == nil:
		return &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Url{Url: strings.TrimSuffix(e.URL, "/")}}
	}
	b := e.BackendRef
	p.backend = xdsv1.BackendKey(string(ptr.Deref(b.Namespace, gatewayv1.Namespace(p.ref.Namespace))), string(b.Name), uint32(b.Port))
	key, f := t.serviceBackend(p.ref, gatewayv1.BackendObjectReference{Group: &b.Group, Kind: kindOr(b.Kind), Name: b.Name, Namespace: b.Namespace, Port: &b.Port})
	if f != nil {
		p.unresolved.add(&fault{f.reason, "spec.endpoint.backendRef: " + f.message})
	}
	return &xdsv1.ProviderEndpoint{Kind: &xdsv1.ProviderEndpoint_Backend{Backend: key}, Path: strings.TrimSuffix(b.Path, "/")}
}

// kindOr is the kind, or nil for the default.
func kindOr(k gatewayv1.Kind) *gatewayv1.Kind {
	if k == "" {
		return nil
	}
	return &k
}

func (t *translator) providerAuth(p *provider) *xdsv1.ProviderAuth {
	a := p.object.Spec.Auth
	switch {
	case a == nil:
		return &xdsv1.ProviderAuth{Kind: &xdsv1.ProviderAuth_None{None: &xdsv1.NoAuth{}}}
	case a.APIKey == nil:
		return &xdsv1.ProviderAuth{Kind: &xdsv1.ProviderAuth_Passthrough{Passthrough: &xdsv1.Passthrough{}}}
	}
	ref := a.APIKey.SecretRef
	to := resources.Ref{Kind: "Secret", Namespace: string(ptr.Deref(ref.Namespace, gatewayv1.Namespace(p.ref.Namespace))), Name: string(ref.Name)}
	switch f := t.apiKey(p.ref, to, ref.Key); {
	case f == nil:
	case ref.Optional && t.noKey(to, ref.Key):
		p.absent = true
	default:
		p.unresolved.add(&fault{f.reason, "spec.auth.apiKey.secretRef: " + f.message})
	}
	return &xdsv1.ProviderAuth{Kind: &xdsv1.ProviderAuth_ApiKey{ApiKey: &xdsv1.APIKey{
		Secret: xdsv1.SecretKey(to.Namespace, to.Name), DataKey: ref.Key, Header: string(a.APIKey.Header), Prefix: a.APIKey.Prefix,
	}}}
}

// apiKey says whether a Secret has a key that can be used.
func (t *translator) apiKey(from, to resources.Ref, key string) *fault {
	if f := t.permit(from, to); f != nil {
		return f
	}
	secret, ok := t.in.Secrets.Get(to.Namespace, to.Name)
	switch {
	case !ok:
		return &fault{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("there is no %s", to)}
	case secret.Type == corev1.SecretTypeTLS:
		return &fault{v1alpha1.ReasonInvalidSecret, fmt.Sprintf("%s is of type %s", to, secret.Type)}
	case len(secret.Data[key]) == 0:
		return &fault{v1alpha1.ReasonInvalidSecret, fmt.Sprintf("%s has nothing under the key %s", to, key)}
	case strings.ContainsAny(string(secret.Data[key]), "\r\n\x00"):
		return &fault{v1alpha1.ReasonInvalidSecret, fmt.Sprintf("%s has a line break under the key %s", to, key)}
	}
	return nil
}

// noKey says that a Secret is not there, or has nothing under the key.
func (t *translator) noKey(to resources.Ref, key string) bool {
	secret, ok := t.in.Secrets.Get(to.Namespace, to.Name)
	return !ok || len(secret.Data[key]) == 0
}

func providerTimeouts(spec *v1alpha1.AIProviderSpec) *xdsv1.ProviderTimeouts {
	out := &xdsv1.ProviderTimeouts{}
	if spec.Timeouts != nil {
		out.Connect, out.FirstByte, out.Idle = duration(spec.Timeouts.Connect), duration(spec.Timeouts.FirstByte), duration(spec.Timeouts.Idle)
	}
	if spec.KeepAlive != nil {
		out.KeepAliveAfter = duration(spec.KeepAlive.After)
	}
	return out
}

func providerModel(p *provider, i int) *xdsv1.ProviderModel {
	m := &p.object.Spec.Models[i]
	out := &xdsv1.ProviderModel{Name: m.Name, ContextWindow: uint32(max(m.ContextWindow, 0)), MaxOutput: uint32(max(m.MaxOutputTokens, 0))}
	if m.Price == nil {
		return out
	}
	price := func(field string, d, other v1alpha1.Decimal) int64 {
		if d == "" {
			d = other
		}
		n, err := nanos(string(d))
		if err != nil {
			p.invalid.add(&fault{v1alpha1.ReasonInvalid, fmt.Sprintf("spec.models[%d].price.%s: %v", i, field, err)})
		}
		return n
	}
	out.Price = &xdsv1.Price{
		Input: price("input", m.Price.Input, ""), Output: price("output", m.Price.Output, ""),
		CachedInput: price("cachedInput", m.Price.CachedInput, m.Price.Input),
		CacheWrite:  price("cacheWrite", m.Price.CacheWrite, m.Price.Input),
	}
	return out
}

// providerTarget resolves a reference to an AIProvider.
func (t *translator) providerTarget(from, to resources.Ref) (string, *fault) {
	key := xdsv1.ProviderKey(to.Namespace, to.Name)
	if f := t.permit(from, to); f != nil {
		return key, f
	}
	p := t.providers[key]
	switch {
	case p == nil:
		return key, &fault{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("there is no %s", to)}
	case t.kept(key):
		return key, nil
	case len(p.invalid.list) > 0:
		return key, &fault{v1alpha1.ReasonProviderInvalid, fmt.Sprintf("%s is not accepted: %s", to, p.invalid.list[0].message)}
	case len(p.unresolved.list) > 0:
		return key, &fault{v1alpha1.ReasonProviderInvalid, fmt.Sprintf("%s: %s", to, p.unresolved.list[0].message)}
	case p.absent:
		return key, &fault{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("%s takes no traffic: its optional key is not there", to)}
	}
	return key, nil
}
