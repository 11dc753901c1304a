package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/nantian-gw/nantian/test/cluster/internal/fields"
)

// project adds the files of one source of a projected volume.
func (s *Set) project(ctx context.Context, p *corev1.Pod, volume string, src *corev1.VolumeProjection, m fs.FileMode, out map[string]file) error {
	switch {
	case src.Secret != nil:
		return s.secret(p, src.Secret.Name, src.Secret.Items, src.Secret.Optional, m, out)
	case src.ConfigMap != nil:
		return s.configMap(p, src.ConfigMap.Name, src.ConfigMap.Items, src.ConfigMap.Optional, m, out)
	case src.DownwardAPI != nil:
		return downward(p, src.DownwardAPI.Items, m, out)
	case src.ServiceAccountToken != nil:
		return s.token(ctx, p, volume, src.ServiceAccountToken, m, out)
	}
	return errors.New("the test cluster projects secret, configMap, downwardAPI and serviceAccountToken only")
}

func (s *Set) secret(p *corev1.Pod, name string, items []corev1.KeyToPath, optional *bool, m fs.FileMode, out map[string]file) error {
	secret, err := s.source.Secret(p.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	return pick("Secret", name, secret.Data, items, optional, m, out)
}

func (s *Set) configMap(p *corev1.Pod, name string, items []corev1.KeyToPath, optional *bool, m fs.FileMode, out map[string]file) error {
	cm, err := s.source.ConfigMap(p.Namespace, name)
	if err != nil {
		return unlessOptional(err, optional)
	}
	data := make(map[string][]byte, len(cm.Data)+len(cm.BinaryData))
	for k, v := range cm.Data {
		data[k] = []byte(v)
	}
	for k, v := range cm.BinaryData {
		data[k] = v
	}
	return pick("ConfigMap", name, data, items, optional, m, out)
}

func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	return err
}

// pick adds the keys that items name, all keys if there are no items.
func pick(kind, name string, data map[string][]byte, items []corev1.KeyToPath, optional *bool, m fs.FileMode, out map[string]file) error {
	if len(items) == 0 {
		for k, v := range data {
			out[k] = file{v, m}
		}
		return nil
	}
	for _, item := range items {
		v, ok := data[item.Key]
		if !ok && optional != nil && *optional {
			continue
		}
		if !ok {
			return fmt.Errorf("%s %q has no key %q", kind, name, item.Key)
		}
		out[item.Path] = file{v, itemMode(item.Mode, m)}
	}
	return nil
}

func itemMode(own *int32, m fs.FileMode) fs.FileMode {
	if own != nil {
		return fs.FileMode(*own)
	}
	return m
}

func downward(p *corev1.Pod, items []corev1.DownwardAPIVolumeFile, m fs.FileMode, out map[string]file) error {
	for _, item := range items {
		var v string
		var err error
		if item.FieldRef != nil {
			v, err = fields.Value(p, item.FieldRef.FieldPath)
		} else {
			v, err = fields.Resource(p, "", item.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		out[item.Path] = file{[]byte(v), itemMode(item.Mode, m)}
	}
	return nil
}

// token adds a token, which is issued anew when it is time.
func (s *Set) token(ctx context.Context, p *corev1.Pod, volume string, src *corev1.ServiceAccountTokenProjection, m fs.FileMode, out map[string]file) error {
	key := volume + "/" + src.Path
	t := s.tokens[key]
	if t == nil || !time.Now().Before(t.renew) {
		var seconds int64
		if src.ExpirationSeconds != nil {
			seconds = *src.ExpirationSeconds
		}
		issued := time.Now()
		value, expires, err := s.source.Token(ctx, p, src.Audience, seconds)
		if err != nil {
			return fmt.Errorf("token of service account %q: %w", p.Spec.ServiceAccountName, err)
		}
		t = &token{value: value, renew: issued.Add(s.renewAfter(expires.Sub(issued)))}
		s.tokens[key] = t
	}
	out[src.Path] = file{[]byte(t.value), m}
	return nil
}

func (s *Set) renewAfter(life time.Duration) time.Duration {
	if s.renewal > 0 {
		return s.renewal
	}
	return life * 4 / 5 // as the kubelet does
}
