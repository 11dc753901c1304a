// Package provision makes the objects that run a Gateway's data planes: ServiceAccount, Deployment, Services,
// PodDisruptionBudget and HorizontalPodAutoscaler. What they should be is a pure function of the Gateway and its config; an
// Applier brings the cluster in line with it. It also tells by which addresses a Gateway is reached.
package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/nantian-gw/nantian/controlplane/translate"
)

// GatewayLabel and classLabel say of an object which Gateway it is of (GEP-1762).
const (
	GatewayLabel = "gateway.networking.k8s.io/gateway-name"
	classLabel   = "gateway.networking.k8s.io/gateway-class-name"
	nameLabel    = "app.kubernetes.io/name"
)

// Options say what is the same for all Gateways.
type Options struct {
	// Image of data planes whose config names none.
	Image string
	// XDS is the address of the control plane, host:port.
	XDS string
	// Labels mark all objects, so that the controller finds them again.
	Labels map[string]string
	// Secret is the name of the Secret with the certificate of the data planes of a group.
	Secret func(translate.GroupName) client.ObjectKey
}

// Objects are what runs the data planes of a Gateway; none for one that runs on data planes that are there already.
func Objects(g translate.Gateway, o Options) []client.Object {
	if g.Shared != nil {
		return nil
	}
	m := maker{g: g, o: o, name: Name(g)}
	list := []client.Object{m.serviceAccount(), m.deployment()}
	list = append(list, m.services()...)
	if b := m.disruptionBudget(); b != nil {
		list = append(list, b)
	}
	if a := m.autoscaler(); a != nil {
		list = append(list, a)
	}
	return list
}

// maker makes the objects of one Gateway.
type maker struct {
	g    translate.Gateway
	o    Options
	name string
}

// Name is the name of the objects of a Gateway: <gateway>-<class> (GEP-1762), made a DNS label.
func Name(g translate.Gateway) string {
	return label(g.Object.Name+"-"+string(g.Object.Spec.GatewayClassName), "gw-", validation.DNS1035LabelMaxLength-4)
}

// label makes a text a DNS label of at most n characters (RFC 1035). What had to be changed gets a hash, so that it stays its own.
func label(text, prefix string, n int) string {
	out := strings.ReplaceAll(text, ".", "-")
	if out[0] < 'a' || out[0] > 'z' {
		out = prefix + out
	}
	if out == text && len(out) <= n {
		return out
	}
	sum := sha256.Sum256([]byte(text))
	return strings.TrimRight(out[:min(len(out), n-9)], "-") + "-" + hex.EncodeToString(sum[:4])
}

// value makes a text the value of a label.
func value(text string) string {
	if len(text) <= validation.LabelValueMaxLength {
		return text
	}
	return label(text, "gw-", validation.LabelValueMaxLength)
}

// meta is the metadata of an object. The infrastructure's labels and annotations are on all (GEP-1762), and never in place of
// ours.
func (m *maker) meta(name string, annotations map[string]string) metav1.ObjectMeta {
	labels, notes := m.infrastructure()
	maps.Copy(labels, m.o.Labels)
	maps.Copy(labels, m.selector())
	labels[classLabel] = value(string(m.g.Object.Spec.GatewayClassName))
	labels["app.kubernetes.io/component"] = "data-plane"
	labels["app.kubernetes.io/managed-by"] = "nantian-controller"
	maps.Copy(notes, annotations)
	return metav1.ObjectMeta{
		Namespace: m.g.Object.Namespace, Name: name, Labels: labels, Annotations: notes,
		OwnerReferences: []metav1.OwnerReference{Owner(m.g)},
	}
}

// Owner makes an object go when its Gateway does.
func Owner(g translate.Gateway) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: gatewayv1.GroupVersion.String(), Kind: "Gateway", Name: g.Object.Name, UID: g.Object.UID}
}

func (m *maker) infrastructure() (labels, annotations map[string]string) {
	labels, annotations = map[string]string{}, map[string]string{}
	if i := m.g.Object.Spec.Infrastructure; i != nil {
		for k, v := range i.Labels {
			labels[string(k)] = string(v)
		}
		for k, v := range i.Annotations {
			annotations[string(k)] = string(v)
		}
	}
	return labels, annotations
}

// selector finds the pods.
func (m *maker) selector() map[string]string {
	return map[string]string{nameLabel: "nantian", GatewayLabel: value(m.g.Object.Name)}
}

func typeMeta(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

func (m *maker) serviceAccount() client.Object {
	return &corev1.ServiceAccount{
		TypeMeta: typeMeta("v1", "ServiceAccount"), ObjectMeta: m.meta(m.name, nil), AutomountServiceAccountToken: new(false),
	}
}

// drain is how long a data plane may take to end its requests.
func (m *maker) drain() time.Duration {
	if d := m.g.Config.DrainTimeout; d != nil {
		if v, err := time.ParseDuration(string(*d)); err == nil {
			return v
		}
	}
	return time.Minute
}
