package translate

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/utils/ptr"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
	"github.com/nantian-gw/nantian/internal/jwks"
)

func (t *translator) buildAuthPolicies() {
	k := &callers{translator: t, by: map[string]*caller{}}
	for _, object := range t.in.AuthPolicies.All() {
		key := xdsv1.PolicyKey(xdsv1.PolicyAuth, object.Namespace, object.Name)
		p := &policy{
			object: object, targets: object.Spec.TargetRefs, kinds: []string{"Gateway", "HTTPRoute", "GRPCRoute"},
			ref:  resources.Ref{Group: v1alpha1.GroupName, Kind: v1alpha1.KindAuthPolicy, Namespace: object.Namespace, Name: object.Name},
			wire: &xdsv1.Policy{Key: key, Namespace: object.Namespace, Name: object.Name},
		}
		auth := &xdsv1.Auth{Overridable: object.Spec.Overridable}
		if keys := object.Spec.APIKeys; keys != nil {
			auth.ApiKeys, auth.ApiKeyHeader = true, string(keys.Header)
			k.selected(p, keys)
		}
		for i := range object.Spec.JWT {
			auth.Jwt = append(auth.Jwt, t.authJWT(p, i, &object.Spec.JWT[i]))
		}
		p.wire.Kind = &xdsv1.Policy_Auth{Auth: auth}
		t.finishPolicy(p)
	}
	k.put()
}

func (t *translator) authJWT(p *policy, i int, j *v1alpha1.AuthJWT) *xdsv1.JWT {
	out := &xdsv1.JWT{Issuer: j.Issuer, Audiences: j.Audiences, Header: string(j.Header), ModelsClaim: j.ModelsClaim}
	at := fmt.Sprintf("spec.jwt[%d].jwks", i)
	if j.JWKS.URL != "" {
		out.Jwks = &xdsv1.JWT_Remote{Remote: t.remoteJWKS(p, at, &j.JWKS)}
		return out
	}
	text, f := t.jwksText(p, &j.JWKS)
	if f == nil {
		f = jwksFault(text)
	}
	if f != nil {
		p.unusable(&fault{f.reason, at + "." + f.message})
	}
	out.Jwks = &xdsv1.JWT_Inline{Inline: text}
	return out
}

// unusable notes a reference without which the policy cannot be run.
func (p *policy) unusable(f *fault) {
	p.invalid.add(&fault{v1alpha1.ReasonInvalid, f.message})
	if f.reason != v1alpha1.ReasonInvalid {
		p.unresolved.add(f)
	}
}

// jwksText is a set that an object holds; the message of its fault begins with the field below jwks.
func (t *translator) jwksText(p *policy, j *v1alpha1.AuthJWKS) ([]byte, *fault) {
	switch {
	case j.ConfigMapRef != nil:
		to := resources.Ref{Kind: "ConfigMap", Namespace: p.ref.Namespace, Name: string(j.ConfigMapRef.Name)}
		cm, ok := t.in.ConfigMaps.Get(to.Namespace, to.Name)
		if !ok {
			return nil, &fault{v1alpha1.ReasonConfigMapNotFound, fmt.Sprintf("configMapRef: there is no %s", to)}
		}
		if text, ok := cm.Data[j.ConfigMapRef.Key]; ok {
			return []byte(text), nil
		}
		return nil, &fault{v1alpha1.ReasonConfigMapNotFound, fmt.Sprintf("configMapRef: %s has nothing under the key %s", to, j.ConfigMapRef.Key)}
	case j.SecretRef != nil:
		to := resources.Ref{Kind: "Secret", Namespace: p.ref.Namespace, Name: string(j.SecretRef.Name)}
		if f := t.apiKey(p.ref, to, j.SecretRef.Key); f != nil && !strings.Contains(f.message, "line break") {
			return nil, &fault{f.reason, "secretRef: " + f.message}
		}
		secret, _ := t.in.Secrets.Get(to.Namespace, to.Name)
		return secret.Data[j.SecretRef.Key], nil
	}
	return []byte(j.Inline), nil
}

// jwksFault says what is wrong with a set. Keys that are only of no use are not: identity providers list those as well.
func jwksFault(text []byte) *fault {
	_, unfit, err := jwks.Parse(text)
	for _, e := range unfit {
		if err == nil && errors.Is(e, jwks.ErrSecret) {
			err = e
		}
	}
	if err == nil {
		return nil
	}
	return &fault{v1alpha1.ReasonInvalid, "keys: " + err.Error()}
}

func (t *translator) remoteJWKS(p *policy, at string, j *v1alpha1.AuthJWKS) *xdsv1.RemoteJWKS {
	out := &xdsv1.RemoteJWKS{Url: j.URL, Cache: duration(j.Cache)}
	for i, ref := range j.CACertificateRefs {
		bundle, f := t.backendCA(p.ref.Namespace, ref)
		if f != nil {
			p.unusable(&fault{f.reason, fmt.Sprintf("%s.caCertificateRefs[%d]: %s", at, i, f.message)})
			continue
		}
		out.CaCertificates = append(out.CaCertificates, bundle)
	}
	if strings.HasPrefix(j.URL, "http://") && !ptr.Deref(j.AllowHTTP, false) {
		p.invalid.add(&fault{v1alpha1.ReasonInvalid, at + ".url: is not https, and allowHTTP is not set"})
	}
	return out
}
