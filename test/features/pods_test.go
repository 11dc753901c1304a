package features

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// pods stands for the controllers of Deployments and EndpointSlices and for the kubelet.
type pods struct {
	api client.Client

	mu      sync.Mutex
	servers map[types.NamespacedName]*echo
	given   int // addresses
}

func newPods(t *testing.T, api client.Client) *pods {
	p := &pods{api: api, servers: map[types.NamespacedName]*echo{}}
	t.Cleanup(func() {
		for _, e := range p.servers {
			e.stop()
		}
	})
	return p
}

// reconcile starts what is missing and brings EndpointSlices up to date. Deployments are never taken away: the suite keeps
// those of its base.
func (p *pods) reconcile(ctx context.Context) error {
	var deployments appsv1.DeploymentList
	if err := p.api.List(ctx, &deployments); err != nil {
		return err
	}
	for i := range deployments.Items {
		if err := p.deploy(ctx, &deployments.Items[i]); err != nil {
			return err
		}
	}
	var services corev1.ServiceList
	if err := p.api.List(ctx, &services); err != nil {
		return err
	}
	for i := range services.Items {
		if err := p.slice(ctx, &services.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// deploy starts the pods of a Deployment, once what they mount is there.
func (p *pods) deploy(ctx context.Context, d *appsv1.Deployment) error {
	for n := range ptr.Deref(d.Spec.Replicas, 1) {
		name := types.NamespacedName{Namespace: d.Namespace, Name: fmt.Sprintf("%s-0-%d", d.Name, n)} // the suite takes two parts off
		if p.server(name) != nil {
			continue
		}
		certificate, err := p.certificate(ctx, d)
		if apierrors.IsNotFound(err) {
			return nil
		} else if err != nil {
			return err
		}
		e := &echo{namespace: d.Namespace, pod: name.Name, service: variable(d, "SERVICE_NAME"), certificate: certificate}
		if err := p.run(e, name, d); err != nil {
			return err
		}
		if err := p.api.Create(ctx, podOf(d, e)); err != nil {
			return err
		}
	}
	return nil
}

func (p *pods) run(e *echo, name types.NamespacedName, d *appsv1.Deployment) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.given++
	e.address = fmt.Sprintf("127.1.%d.%d", p.given/250, p.given%250+1)
	p.servers[name] = e
	switch {
	case variable(d, "GRPC_ECHO_SERVER") != "":
		return e.serve(httpPort, e.grpc)
	case variable(d, "TCP_ECHO_SERVER") != "":
		return e.startTCP()
	case variable(d, "UDP_ECHO_SERVER") != "":
		return e.serveUDP(udpPort, e.answerUDP)
	case d.Name == "coredns":
		return e.serveUDP(dnsPort, answerDNS)
	}
	return e.start()
}

func (p *pods) server(name types.NamespacedName) *echo {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.servers[name]
}

// address is that of a pod.
func (p *pods) address(namespace, name string) string {
	return p.server(types.NamespacedName{Namespace: namespace, Name: name}).address
}

// certificate is what a Deployment mounts for TLS; nil: nothing.
func (p *pods) certificate(ctx context.Context, d *appsv1.Deployment) (*tls.Certificate, error) {
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret == nil {
			continue
		}
		var s corev1.Secret
		if err := p.api.Get(ctx, types.NamespacedName{Namespace: d.Namespace, Name: v.Secret.SecretName}, &s); err != nil {
			return nil, err
		}
		c, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
		return &c, err
	}
	return nil, nil
}

// variable is one of a Deployment's container.
func variable(d *appsv1.Deployment, name string) string {
	for _, v := range d.Spec.Template.Spec.Containers[0].Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

func podOf(d *appsv1.Deployment, e *echo) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: e.pod, Labels: d.Spec.Template.Labels},
		Spec:       d.Spec.Template.Spec,
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: e.address, PodIPs: []corev1.PodIP{{IP: e.address}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	}
}

// slice makes or updates the EndpointSlice of a Service that has a selector.
func (p *pods) slice(ctx context.Context, s *corev1.Service) error {
	if len(s.Spec.Selector) == 0 {
		return nil
	}
	var chosen corev1.PodList
	if err := p.api.List(ctx, &chosen, client.InNamespace(s.Namespace), client.MatchingLabelsSelector{Selector: labels.SelectorFromSet(s.Spec.Selector)}); err != nil {
		return err
	}
	want := sliceOf(s, chosen.Items)
	var have discoveryv1.EndpointSlice
	err := p.api.Get(ctx, client.ObjectKeyFromObject(want), &have)
	if apierrors.IsNotFound(err) {
		return p.api.Create(ctx, want)
	}
	if err != nil || len(have.Endpoints) == len(want.Endpoints) && maps.Equal(have.Labels, want.Labels) {
		return err
	}
	want.ResourceVersion = have.ResourceVersion
	return p.api.Update(ctx, want)
}

func sliceOf(s *corev1.Service, chosen []corev1.Pod) *discoveryv1.EndpointSlice {
	out := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.Namespace, Name: s.Name + "-pods", Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, port := range s.Spec.Ports {
		out.Ports = append(out.Ports, discoveryv1.EndpointPort{
			Name: &port.Name, Port: ptr.To(port.TargetPort.IntVal), Protocol: ptr.To(cmp.Or(port.Protocol, corev1.ProtocolTCP)), AppProtocol: port.AppProtocol,
		})
	}
	for _, pod := range chosen {
		out.Endpoints = append(out.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{pod.Status.PodIP}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
		})
	}
	return out
}

// clientset is a client that can read the logs of pods, and nothing else.
func (p *pods) clientset(t *testing.T) kubernetes.Interface {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{pod}/log", func(w http.ResponseWriter, r *http.Request) {
		e := p.server(types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("pod")})
		if e == nil {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(e.lines()))
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return kubernetes.NewForConfigOrDie(&rest.Config{Host: s.URL, QPS: -1})
}
