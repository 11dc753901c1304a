package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nantian-gw/nantian/gateway/config"
	"github.com/nantian-gw/nantian/gateway/xds"
)

// critic is a Sink that refuses everything while it is cross.
type critic struct{ cross atomic.Bool }

// Apply implements config.Sink.
func (c *critic) Apply(context.Context, config.Update) error {
	if c.cross.Load() {
		return errors.New("listener/x: this data plane does not like it")
	}
	return nil
}

// What a data plane refuses is told in the status of its Gateway, also when the replica that heard it does not lead; the repair
// ends it.
func TestRefusalHeardByFollower(t *testing.T) {
	ns := namespace(t)
	apply(t, ns, `
apiVersion: gateway.nantian.dev/v1alpha1
kind: GatewayConfig
metadata: {name: none, namespace: NS}
spec: {replicas: 0}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  infrastructure: {parametersRef: {group: gateway.nantian.dev, kind: GatewayConfig, name: none}}
  listeners: [{name: http, protocol: HTTP, port: 8080}]
`)
	sink := &critic{}
	sink.cross.Store(true)
	client, err := xds.New(xds.Options{Address: follower(t) + ":15010", TLS: clientTLS(t, ns), Sink: sink, Node: xds.Node{ID: "critic", Group: ns + "/ai"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	defer func() { cancel(); <-ended }()

	programmed(t, ns, "False/Invalid", "the data plane critic refuses the configuration")
	sink.cross.Store(false)
	apply(t, ns, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ai, namespace: NS}
spec:
  gatewayClassName: nantian
  infrastructure: {parametersRef: {group: gateway.nantian.dev, kind: GatewayConfig, name: none}}
  listeners: [{name: http, protocol: HTTP, port: 8080}, {name: repaired, protocol: HTTP, port: 8081}]
`)
	programmed(t, ns, "True/Programmed", "")
}

// follower is the address of a replica of the control plane that does not lead.
func follower(t *testing.T) string {
	t.Helper()
	lease, err := shared.Client().CoordinationV1().Leases(system).Get(within(t), "nantian-controller", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pods, err := shared.Client().CoreV1().Pods(system).List(within(t), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=controller"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.Name != *lease.Spec.HolderIdentity && p.Status.PodIP != "" {
			return p.Status.PodIP
		}
	}
	t.Fatalf("%s leads, and there is no other replica", *lease.Spec.HolderIdentity)
	return ""
}

// clientTLS is what the data planes of the Gateway "ai" have: the certificate that the controller issued.
func clientTLS(t *testing.T, namespace string) func() (*tls.Config, error) {
	t.Helper()
	var cfg *tls.Config
	eventually(t, func(ctx context.Context) error {
		s, err := shared.Client().CoreV1().Secrets(namespace).Get(ctx, "nantian-ai", metav1.GetOptions{})
		if err != nil {
			return err
		}
		pair, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(s.Data["ca.crt"]) {
			return errors.New("no CA")
		}
		cfg = &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, ServerName: "nantian-controller." + system + ".svc", MinVersion: tls.VersionTLS13}
		return nil
	})
	return func() (*tls.Config, error) { return cfg, nil }
}

// programmed waits for a condition of the Gateway "ai", with words in its message.
func programmed(t *testing.T, namespace, want, words string) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		g, err := get(ctx, "Gateway", namespace, "ai")
		if err != nil {
			return err
		}
		status, _ := g.Object["status"].(map[string]any)
		list, _ := status["conditions"].([]any)
		if got := condition(g, list, "Programmed"); got != want || !strings.Contains(fmt.Sprint(list), words) {
			return fmt.Errorf("expected %s and %q: %v", want, words, list)
		}
		return nil
	})
}
