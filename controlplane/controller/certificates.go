package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nantian-gw/nantian/controlplane/pki"
	"github.com/nantian-gw/nantian/controlplane/provision"
	"github.com/nantian-gw/nantian/controlplane/source/kube"
	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/crds/v1alpha1"
)

// CASecret is the name of the Secret with the CA between the planes. One that has no issuedBy annotation is somebody
// else's: it is used, and never written.
const CASecret = "nantian-ca"

const issuedBy = "gateway.nantian.dev/issued-by"

// certificateCheck is how often it is looked what is due.
const certificateCheck = 10 * time.Minute

// certify keeps the xDS listener's certificate current, by the CA that the leader writes.
func (c *Controller) certify(ctx context.Context) error {
	news := make(chan struct{}, 1)
	if err := c.watchOwn(ctx, &corev1.Secret{}, news); err != nil {
		return err
	}
	c.repeat(ctx, "server certificate", news, certificateCheck, func(ctx context.Context) error {
		ca, err := c.ca(ctx)
		if err != nil || ca == nil {
			return err
		}
		return c.tls.Update(ca, time.Now())
	})
	return nil
}

// ca reads the CA; nil: there is none yet.
func (c *Controller) ca(ctx context.Context) (*pki.CA, error) {
	s, err := c.caSecret(ctx)
	if err != nil || s == nil {
		return nil, err
	}
	ca, err := pki.ParseCA(s.Data)
	if err != nil {
		return nil, fmt.Errorf("Secret %s/%s: %w", c.o.Namespace, CASecret, err)
	}
	return ca, nil
}

func (c *Controller) caSecret(ctx context.Context) (*corev1.Secret, error) {
	var s corev1.Secret
	err := c.own.Get(ctx, client.ObjectKey{Namespace: c.o.Namespace, Name: CASecret}, &s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return &s, err
}

// issue is the leader's part: the CA, and a certificate for each group of data planes.
func (c *Controller) issue(ctx context.Context) error {
	ca, err := c.ensureCA(ctx)
	if err != nil {
		return err
	}
	view := c.latest.get()
	if view == nil {
		return nil
	}
	there, err := c.ownSecrets(ctx, partClient)
	if err != nil {
		return err
	}
	data := ca.Data()
	sum := sha256.Sum256(slices.Concat(data[corev1.TLSCertKey], data[pki.BundleKey]))
	maps.DeleteFunc(c.verified, func(k client.ObjectKey, _ verified) bool { return there[k] == nil })
	var errs []error
	done := map[translate.GroupName]bool{}
	for _, g := range view.Gateways {
		if done[g.Group] || c.going(view, g) {
			continue
		}
		done[g.Group] = true
		errs = append(errs, c.ensureClient(ctx, ca, string(sum[:]), g, there))
	}
	return errors.Join(errs...)
}

// ensureCA makes and rotates the CA, unless it is somebody else's.
func (c *Controller) ensureCA(ctx context.Context) (*pki.CA, error) {
	old, err := c.caSecret(ctx)
	if err != nil {
		return nil, err
	}
	var ca *pki.CA
	if old != nil {
		if ca, err = pki.ParseCA(old.Data); err != nil {
			return nil, fmt.Errorf("Secret %s/%s: %w", c.o.Namespace, CASecret, err)
		}
		if old.Annotations[issuedBy] == "" {
			return ca, nil
		}
	}
	next, changed, err := pki.Rotate(ca, time.Now())
	if err != nil || !changed {
		return next, err
	}
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.o.Namespace, Name: CASecret, Labels: map[string]string{kube.OwnLabel: partCA},
			Annotations: map[string]string{issuedBy: c.o.Name}},
		Type: corev1.SecretTypeTLS, Data: next.Data(),
	}
	if old == nil {
		err = c.client.Create(ctx, s)
	} else {
		s.ResourceVersion = old.ResourceVersion
		err = c.client.Update(ctx, s)
	}
	if err != nil {
		return nil, fmt.Errorf("Secret %s/%s: %w", c.o.Namespace, CASecret, err)
	}
	c.o.Log.Info("the CA between the planes was written", "secret", c.o.Namespace+"/"+CASecret)
	return next, nil
}

// ClientSecret is the name of the Secret with the certificate of the data planes of a group. Those of Gateways and those of
// shared data planes begin with another word.
func ClientSecret(group translate.GroupName) client.ObjectKey {
	namespace, name, _ := strings.Cut(string(group), "/")
	prefix := "nantian-"
	if config, shared := strings.CutPrefix(name, translate.SharedPrefix); shared {
		prefix, name = "shared-nantian-", config
	}
	return client.ObjectKey{Namespace: namespace, Name: bounded(prefix + name)}
}

// bounded makes a name one that an object may have.
func bounded(name string) string {
	if len(name) <= validation.DNS1123SubdomainMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:validation.DNS1123SubdomainMaxLength-9], "-.") + "-" + hex.EncodeToString(sum[:4])
}

// verified says of a group's certificate that it was found to be good, under which CA: to verify a signature costs more than all
// else that an edit does to a Gateway.
type verified struct {
	ca, secret string
	at         time.Time
}

// ensureClient makes and renews the certificate of a Gateway's data planes. It is gone with the Gateway.
func (c *Controller) ensureClient(ctx context.Context, ca *pki.CA, caVersion string, g translate.Gateway, there map[client.ObjectKey]*corev1.Secret) error {
	key := ClientSecret(g.Group)
	old := there[key]
	seen := verified{ca: caVersion}
	if old != nil {
		seen.secret = string(old.UID) + old.ResourceVersion
		if was, ok := c.verified[key]; ok && was.ca == seen.ca && was.secret == seen.secret && time.Since(was.at) < certificateCheck {
			return nil
		}
	}
	var data map[string][]byte
	if old != nil {
		data = old.Data
	}
	data, changed, err := ca.ClientData(data, c.o.TrustDomain, string(g.Group), time.Now())
	if err == nil && !changed {
		seen.at = time.Now()
		c.verified[key] = seen
	}
	if err != nil || !changed {
		return err
	}
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{kube.OwnLabel: partClient},
			Annotations: map[string]string{issuedBy: c.o.Name}, OwnerReferences: []metav1.OwnerReference{ownerOf(g)}},
		Type: corev1.SecretTypeTLS, Data: data,
	}
	if old == nil {
		err = c.client.Create(ctx, s)
	} else {
		s.ResourceVersion = old.ResourceVersion
		err = c.client.Update(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("Secret %s: %w", key, err)
	}
	return nil
}

// ownerOf is whom a group's certificate goes with.
func ownerOf(g translate.Gateway) metav1.OwnerReference {
	if c := g.Shared; c != nil {
		return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindGatewayConfig, Name: c.Name, UID: c.UID}
	}
	return provision.Owner(g)
}
