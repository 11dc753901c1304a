// Package volume makes the volumes of pods as directories, and keeps those of Secrets, ConfigMaps, tokens and the downward API
// current: as with a kubelet, containers see a change of all files of a volume at once.
package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/nantian-gw/nantian/test/cluster/internal/fields"
)

// Source has what volumes are made from.
type Source interface {
	fields.Source
	// Token issues a token of the pod's service account. A seconds of 0 leaves the time to the API server.
	Token(ctx context.Context, p *corev1.Pod, audience string, seconds int64) (token string, expires time.Time, err error)
}

// Set is the volumes of one pod, below a directory. Its methods are for one goroutine.
type Set struct {
	dir    string
	source Source
	// renewal is when tokens are renewed after they were issued, 0 for four fifths of their time.
	renewal time.Duration
	tokens  map[string]*token
}

// token is a token that was issued, and when it is to be renewed.
type token struct {
	value string
	renew time.Time
}

// NewSet is the set of a pod whose volumes are below dir.
func NewSet(dir string, s Source, renewal time.Duration) *Set {
	return &Set{dir: dir, source: s, renewal: renewal, tokens: map[string]*token{}}
}

// Path is the directory of a volume.
func (s *Set) Path(volume string) string { return filepath.Join(s.dir, volume) }

// Update makes the volumes of the pod, or brings them up to date. On an error some volumes may be missing or as they were.
func (s *Set) Update(ctx context.Context, p *corev1.Pod) error {
	group := -1
	if c := p.Spec.SecurityContext; c != nil && c.FSGroup != nil {
		group = int(*c.FSGroup)
	}
	var errs []error
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if err := s.update(ctx, p, v, group); err != nil {
			errs = append(errs, fmt.Errorf("volume %q: %w", v.Name, err))
		}
	}
	return errors.Join(errs...)
}

// NextRenewal is when the first of the tokens is to be renewed by Update; zero if there is none.
func (s *Set) NextRenewal() time.Time {
	var next time.Time
	for _, t := range s.tokens {
		if next.IsZero() || t.renew.Before(next) {
			next = t.renew
		}
	}
	return next
}

func (s *Set) update(ctx context.Context, p *corev1.Pod, v *corev1.Volume, group int) error {
	if v.EmptyDir != nil {
		return emptyDir(s.Path(v.Name), group)
	}
	files, err := s.files(ctx, p, v)
	if err != nil {
		return err
	}
	for name := range files {
		if !filepath.IsLocal(name) || strings.HasPrefix(name, "..") {
			return fmt.Errorf("path %q: expected one inside of the volume", name)
		}
	}
	_, err = write(s.Path(v.Name), files, group)
	return err
}

func emptyDir(dir string, group int) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	mode := fs.FileMode(0o777)
	if group >= 0 {
		if err := os.Chown(dir, -1, group); err != nil {
			return err
		}
		mode |= fs.ModeSetgid
	}
	return os.Chmod(dir, mode)
}

func (s *Set) files(ctx context.Context, p *corev1.Pod, v *corev1.Volume) (map[string]file, error) {
	out := map[string]file{}
	switch {
	case v.Secret != nil:
		return out, s.secret(p, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional, mode(v.Secret.DefaultMode), out)
	case v.ConfigMap != nil:
		return out, s.configMap(p, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.Optional, mode(v.ConfigMap.DefaultMode), out)
	case v.DownwardAPI != nil:
		return out, downward(p, v.DownwardAPI.Items, mode(v.DownwardAPI.DefaultMode), out)
	case v.Projected != nil:
		for i := range v.Projected.Sources {
			if err := s.project(ctx, p, v.Name, &v.Projected.Sources[i], mode(v.Projected.DefaultMode), out); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return nil, errors.New("the test cluster has emptyDir, secret, configMap, downwardAPI and projected volumes only")
}

func mode(m *int32) fs.FileMode {
	if m == nil {
		return 0o644
	}
	return fs.FileMode(*m)
}
