package translate

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// The keys of a Secret with the credentials of a Redis.
const (
	usernameKey = "username"
	passwordKey = "password"
)

// defaultReplicas is how many data planes a Gateway has.
const defaultReplicas = 2

// emitRuntime adds the Runtime of a group: what is set for its oldest Gateway, which in a group of one is the only one.
func (t *translator) emitRuntime(out map[string]*xdsv1.Resource, group GroupName) {
	for _, g := range t.byAge() {
		if g.group != group || len(g.settings.configs) == 0 {
			continue
		}
		var ignored faults // each config tells of its own
		r := t.runtime(g.settings.spec, g.settings.configs, &ignored)
		if validRuntime(r) != nil {
			return
		}
		out[r.Key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Runtime{Runtime: r}}
		s := r.GetRateLimitStore()
		for _, key := range []string{s.GetSecret(), s.GetSentinelSecret()} {
			if key != "" {
				t.emitSecretValue(out, key, passwordKey)
				t.emitSecretValue(out, key, usernameKey)
			}
		}
		if key := s.GetTls().GetClientCertificate(); key != "" {
			t.emit(out, key)
		}
		return
	}
}

func validRuntime(r *xdsv1.Runtime) error {
	return xdsv1.Validate(&xdsv1.Resource{Kind: &xdsv1.Resource_Runtime{Runtime: r}})
}

// runtime translates what data planes are told of a specification that was merged from configs.
func (t *translator) runtime(spec v1alpha1.GatewayConfigSpec, configs []*config, f *faults) *xdsv1.Runtime {
	out := &xdsv1.Runtime{Key: xdsv1.RuntimeKey, TrustedProxies: spec.TrustedProxies}
	if l := spec.Limits; l != nil {
		out.Limits = &xdsv1.Limits{
			MaxRequestBody:  uint64(bytesOf(l.MaxRequestBody, 1<<40)),
			MaxRequestHead:  uint32(bytesOf(l.MaxRequestHead, 1<<30)),
			MaxResponseHead: uint32(bytesOf(l.MaxResponseHead, 1<<30)),
			HeadTimeout:     duration(l.HeadTimeout), IdleTimeout: duration(l.IdleTimeout),
		}
	}
	if spec.AccessLog != nil {
		out.AccessLog = &xdsv1.AccessLog{Disabled: spec.AccessLog.Disabled}
	}
	for i, p := range spec.Prices {
		price, err := wirePrice(&p.Price)
		if err != nil {
			f.add(&fault{v1alpha1.ReasonInvalid, fmt.Sprintf("spec.prices[%d].price: %v", i, err)})
			continue
		}
		out.Prices = append(out.Prices, &xdsv1.CataloguePrice{Model: p.Name, Price: price})
	}
	s := settings{configs: configs}
	if c := s.from(func(spec *v1alpha1.GatewayConfigSpec) bool { return spec.RateLimitStore != nil }); c != nil {
		out.RateLimitStore = t.store(c, f)
		out.RateLimitStore.Replicas = replicasOf(spec)
	}
	return out
}

// bytesOf reads a size, at most a bound; nothing is zero.
func bytesOf(q *resource.Quantity, most int64) int64 {
	if q == nil {
		return 0
	}
	return min(max(q.Value(), 0), most)
}

// replicasOf is how many data planes share a limit.
func replicasOf(spec v1alpha1.GatewayConfigSpec) uint32 {
	n := ptr.Deref(spec.Replicas, defaultReplicas)
	if a := spec.Autoscaling; a != nil {
		n = max(n, a.MaxReplicas)
	}
	return uint32(max(n, 1))
}

// store translates the Redis of a config. A reference that leads nowhere leaves a store that refuses: what then happens is up
// to each policy's failureMode.
func (t *translator) store(c *config, f *faults) *xdsv1.RateLimitStore {
	const at = "spec.rateLimitStore.redis"
	in := c.object.Spec.RateLimitStore.Redis
	out := &xdsv1.RateLimitStore{Addresses: in.Addresses, Cluster: in.Cluster, Database: uint32(max(in.Database, 0)), KeyPrefix: in.KeyPrefix}
	out.Secret = t.credentials(c, at+".credentialsRef", in.CredentialsRef, f)
	if s := in.Sentinel; s != nil {
		out.SentinelPrimary = s.Primary
		out.SentinelSecret = t.credentials(c, at+".sentinel.credentialsRef", s.CredentialsRef, f)
	}
	if in.TLS != nil {
		out.Tls = t.storeTLS(c, in.TLS, f)
		if len(in.TLS.CACertificateRefs) > 0 && len(out.Tls.CaCertificates) == 0 {
			out.Secret, out.SentinelSecret = "", "" // nothing is told to a server that only the machine's CAs vouch for
		}
	}
	return out
}

// credentials resolves the Secret with a password.
func (t *translator) credentials(c *config, at string, ref *corev1.LocalObjectReference, f *faults) string {
	s := t.secretOf(c, at, ref, f)
	if s == nil {
		return ""
	}
	if len(s.Data[passwordKey]) == 0 {
		f.add(&fault{v1alpha1.ReasonInvalidSecret, fmt.Sprintf("%s: Secret %s/%s has nothing under %s", at, s.Namespace, s.Name, passwordKey)})
		return ""
	}
	return xdsv1.SecretKey(s.Namespace, s.Name)
}

func (t *translator) storeTLS(c *config, in *v1alpha1.RedisTLS, f *faults) *xdsv1.StoreTLS {
	const at = "spec.rateLimitStore.redis.tls"
	out := &xdsv1.StoreTLS{ServerName: in.ServerName}
	for i, ref := range in.CACertificateRefs {
		bundle, problem := t.caBundle(resources.Ref{Kind: "ConfigMap", Namespace: c.ref.Namespace, Name: ref.Name})
		if problem != "" {
			f.add(&fault{v1alpha1.ReasonInvalid, fmt.Sprintf("%s.caCertificateRefs[%d]: %s", at, i, problem)})
			continue
		}
		out.CaCertificates = append(out.CaCertificates, bundle)
	}
	if s := t.secretOf(c, at+".clientCertificateRef", in.ClientCertificateRef, f); s != nil {
		key, problem := t.putCertificate(resources.Ref{Kind: "Secret", Namespace: s.Namespace, Name: s.Name}, s)
		if problem != nil {
			f.add(&fault{v1alpha1.ReasonInvalidSecret, fmt.Sprintf("%s.clientCertificateRef: %s", at, problem.message)})
		}
		out.ClientCertificate = key
	}
	return out
}

// wirePrice translates a price.
func wirePrice(in *v1alpha1.AIPrice) (*xdsv1.Price, error) {
	var first error
	read := func(d, other v1alpha1.Decimal) int64 {
		n, err := nanos(string(cmp.Or(d, other)))
		first = cmp.Or(first, err)
		return n
	}
	out := &xdsv1.Price{
		Input: read(in.Input, ""), Output: read(in.Output, ""),
		CachedInput: read(in.CachedInput, in.Input), CacheWrite: read(in.CacheWrite, in.Input),
	}
	return out, first
}
