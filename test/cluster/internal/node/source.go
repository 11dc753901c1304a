package node

import (
	"context"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/nantian-gw/nantian/test/cluster/internal/volume"
)

var _ volume.Source = (*Node)(nil)

// Secret is a Secret as it was last seen.
func (n *Node) Secret(namespace, name string) (*corev1.Secret, error) {
	return n.secrets.Secrets(namespace).Get(name)
}

// ConfigMap is a ConfigMap as it was last seen.
func (n *Node) ConfigMap(namespace, name string) (*corev1.ConfigMap, error) {
	return n.configMaps.ConfigMaps(namespace).Get(name)
}

// Token asks the API server for a token that is bound to the pod: it ends with it.
func (n *Node) Token(ctx context.Context, p *corev1.Pod, audience string, seconds int64) (string, time.Time, error) {
	req := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID},
	}}
	if audience != "" {
		req.Spec.Audiences = []string{audience}
	}
	if seconds != 0 {
		req.Spec.ExpirationSeconds = &seconds
	}
	res, err := n.client.CoreV1().ServiceAccounts(p.Namespace).CreateToken(ctx, p.Spec.ServiceAccountName, req, metav1.CreateOptions{})
	if err != nil {
		return "", time.Time{}, err
	}
	return res.Status.Token, res.Status.ExpirationTimestamp.Time, nil
}
