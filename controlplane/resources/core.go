package resources

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// core sets the defaults and checks the rules of the kinds that Kubernetes itself has, as far as the gateway reads them.
// There is no CRD to take them from.
func (o *objectReader) core(value Value) {
	switch v := value.(type) {
	case *corev1.Service:
		o.service(v)
	case *corev1.Secret:
		o.secret(v)
	case *discoveryv1.EndpointSlice:
		o.slice(v)
	}
}

func (o *objectReader) service(s *corev1.Service) {
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	if s.Spec.Type == corev1.ServiceTypeExternalName && s.Spec.ExternalName == "" {
		o.fault("spec.externalName", "is required for type ExternalName")
	}
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		if p.Port < 1 || p.Port > 65535 {
			o.fault(fmt.Sprintf("spec.ports[%d].port", i), fmt.Sprintf("%d is not a port from 1 to 65535", p.Port))
		}
	}
}

// secret moves stringData to data, as an API server does.
func (o *objectReader) secret(s *corev1.Secret) {
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for k, v := range s.StringData {
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	if s.Type == corev1.SecretTypeTLS {
		for _, k := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if _, ok := s.Data[k]; !ok {
				o.fault("data", fmt.Sprintf("%s is required for type %s", k, s.Type))
			}
		}
	}
}

func (o *objectReader) slice(e *discoveryv1.EndpointSlice) {
	if e.Labels[discoveryv1.LabelServiceName] == "" {
		o.fault("metadata.labels", "the label "+discoveryv1.LabelServiceName+" is required: it names the Service")
	}
	for i := range e.Ports {
		if e.Ports[i].Protocol == nil {
			e.Ports[i].Protocol = ptr.To(corev1.ProtocolTCP)
		}
		if e.Ports[i].Name == nil {
			e.Ports[i].Name = ptr.To("")
		}
	}
	if e.AddressType == discoveryv1.AddressTypeFQDN {
		return
	}
	for i, ep := range e.Endpoints {
		for _, a := range ep.Addresses {
			if _, err := netip.ParseAddr(a); err != nil {
				o.fault(fmt.Sprintf("endpoints[%d].addresses", i), fmt.Sprintf("%q is not an IP address", a))
			}
		}
	}
}

// expand puts the values of variables into a Secret's stringData, and nowhere else: other objects are the same in every
// environment. A variable that is not set and has no default is a fault.
func (o *objectReader) expand(m map[string]any) {
	data, _ := m["stringData"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if text, ok := data[key].(string); ok {
			data[key] = o.expandText("stringData."+key, text)
		}
	}
}

func (o *objectReader) expandText(path, text string) string {
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		if v, ok := o.lookup(parts[1]); ok && (v != "" || parts[2] == "") {
			return v
		}
		if parts[2] == "" {
			o.fault(path, fmt.Sprintf("the environment variable %s is not set", parts[1]))
		}
		return strings.TrimPrefix(parts[2], ":-")
	})
}
