package translate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/resources"
)

// caKey is the key of a ConfigMap's data that has a bundle of CA certificates.
const caKey = "ca.crt"

// listenerTLS reads the certificates of a listener of HTTPS or TLS. Those that are not valid are left out; with none left
// the listener is broken. One that passes TLS through needs none.
func (t *translator) listenerTLS(l *listener) *xdsv1.ListenerTLS {
	if passthrough(l.spec) {
		return &xdsv1.ListenerTLS{Mode: xdsv1.ListenerTLS_PASSTHROUGH}
	}
	out := &xdsv1.ListenerTLS{Mode: xdsv1.ListenerTLS_TERMINATE}
	if l.spec.TLS != nil {
		for i, ref := range l.spec.TLS.CertificateRefs {
			key, f := t.certificate(l.owner(), ref)
			if f != nil {
				f.message = fmt.Sprintf("tls.certificateRefs[%d]: %s", i, f.message)
				l.unresolved.add(f)
				continue
			}
			out.Certificates = append(out.Certificates, key)
		}
	}
	if len(out.Certificates) == 0 {
		l.broken = true
		if len(l.unresolved.list) == 0 {
			l.unresolved.add(&fault{string(gatewayv1.ListenerReasonInvalidCertificateRef), "tls.certificateRefs is empty"})
		}
	}
	if l.spec.Protocol == gatewayv1.HTTPSProtocolType { // spec.tls.frontend is for these alone
		out.ClientValidation = t.clientValidation(l)
	}
	return out
}

// certificate resolves a reference to a Secret of type kubernetes.io/tls.
func (t *translator) certificate(from resources.Ref, ref gatewayv1.SecretObjectReference) (string, *fault) {
	invalid := string(gatewayv1.ListenerReasonInvalidCertificateRef)
	if ptr.Deref(ref.Group, "") != "" || ptr.Deref(ref.Kind, "Secret") != "Secret" {
		return "", &fault{invalid, fmt.Sprintf("%s of group %q is not supported, only Secret", ptr.Deref(ref.Kind, "Secret"), ptr.Deref(ref.Group, ""))}
	}
	to := resources.Ref{Kind: "Secret", Namespace: string(ptr.Deref(ref.Namespace, gatewayv1.Namespace(from.Namespace))), Name: string(ref.Name)}
	if f := t.permit(from, to); f != nil {
		return "", f
	}
	secret, ok := t.in.Secrets.Get(to.Namespace, to.Name)
	if !ok {
		return "", &fault{invalid, fmt.Sprintf("there is no %s", to)}
	}
	if secret.Type != corev1.SecretTypeTLS {
		return "", &fault{invalid, fmt.Sprintf("%s is of type %s, not %s", to, secret.Type, corev1.SecretTypeTLS)}
	}
	return t.putCertificate(to, secret)
}

func (t *translator) putCertificate(to resources.Ref, secret *corev1.Secret) (string, *fault) {
	key := xdsv1.SecretKey(to.Namespace, to.Name)
	if t.pool[key] != nil {
		return key, nil
	}
	chain, private := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if _, err := tls.X509KeyPair(chain, private); err != nil {
		return "", &fault{string(gatewayv1.ListenerReasonInvalidCertificateRef), fmt.Sprintf("%s: %v", to, err)}
	}
	t.pool[key] = &xdsv1.Resource{Kind: &xdsv1.Resource_Secret{Secret: &xdsv1.Secret{
		Key: key, Kind: &xdsv1.Secret_Certificate{Certificate: &xdsv1.Certificate{Chain: chain, PrivateKey: private}},
	}}}
	return key, nil
}

// readClientCertificate reads what a Gateway shows to backends with TLS. A reference that leads nowhere leaves the Gateway
// accepted (Gateway API, GatewayBackendTLS): backends that ask for a certificate refuse it themselves.
func (t *translator) readClientCertificate(g *gateway) {
	spec := g.object.Spec.TLS
	if spec == nil || spec.Backend == nil || spec.Backend.ClientCertificateRef == nil {
		return
	}
	key, f := t.certificate(g.ref, *spec.Backend.ClientCertificateRef)
	if f == nil {
		g.clientCertificate = key
		return
	}
	if f.reason == string(gatewayv1.ListenerReasonInvalidCertificateRef) {
		f.reason = string(gatewayv1.GatewayReasonInvalidClientCertificateRef)
	}
	f.message = "spec.tls.backend.clientCertificateRef: " + f.message
	g.unresolved.add(f)
}

// clientValidation reads how the certificates of clients are checked on the listener's port. With no valid CA the listener
// is not accepted: it must not let everyone in.
func (t *translator) clientValidation(l *listener) *xdsv1.ClientValidation {
	v := frontendValidation(l.gateway.object, l.spec.Port)
	if v == nil {
		return nil
	}
	out := &xdsv1.ClientValidation{AllowInsecureFallback: v.Mode == gatewayv1.AllowInsecureFallback}
	for i, ref := range v.CACertificateRefs {
		bundle, f := t.clientCA(l.gateway.ref, ref)
		if f != nil {
			f.message = fmt.Sprintf("tls.frontend: caCertificateRefs[%d]: %s", i, f.message)
			l.unresolved.add(f)
			continue
		}
		out.CaCertificates = append(out.CaCertificates, bundle)
	}
	if len(out.CaCertificates) == 0 {
		l.invalid.add(&fault{string(gatewayv1.ListenerReasonNoValidCACertificate), "tls.frontend: no CA certificate is valid"})
	}
	return out
}

// frontendValidation is what the Gateway says for a port: its own entry, else the default.
func frontendValidation(g *gatewayv1.Gateway, port gatewayv1.PortNumber) *gatewayv1.FrontendTLSValidation {
	if g.Spec.TLS == nil || g.Spec.TLS.Frontend == nil {
		return nil
	}
	for _, p := range g.Spec.TLS.Frontend.PerPort {
		if p.Port == port {
			return p.TLS.Validation
		}
	}
	return g.Spec.TLS.Frontend.Default.Validation
}

func (t *translator) clientCA(from resources.Ref, ref gatewayv1.ObjectReference) ([]byte, *fault) {
	if ref.Group != "" || ref.Kind != "ConfigMap" {
		return nil, &fault{string(gatewayv1.ListenerReasonInvalidCACertificateKind), fmt.Sprintf("%s is not supported, only ConfigMap", ref.Kind)}
	}
	to := resources.Ref{Kind: "ConfigMap", Namespace: string(ptr.Deref(ref.Namespace, gatewayv1.Namespace(from.Namespace))), Name: string(ref.Name)}
	if f := t.permit(from, to); f != nil {
		return nil, f
	}
	bundle, problem := t.caBundle(to)
	if problem != "" {
		return nil, &fault{string(gatewayv1.ListenerReasonInvalidCACertificateRef), problem}
	}
	return bundle, nil
}

// caBundle reads the CA certificates of a ConfigMap; the problem is empty when there are some.
func (t *translator) caBundle(ref resources.Ref) (bundle []byte, problem string) {
	cm, ok := t.in.ConfigMaps.Get(ref.Namespace, ref.Name)
	if !ok {
		return nil, fmt.Sprintf("there is no %s", ref)
	}
	text := []byte(cm.Data[caKey])
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return nil, fmt.Sprintf("%s has no certificate in PEM under %s", ref, caKey)
	}
	return text, ""
}
