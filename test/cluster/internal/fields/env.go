package fields

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Source has the objects that containers refer to. Errors that say "not found" are apierrors.
type Source interface {
	Secret(namespace, name string) (*corev1.Secret, error)
	ConfigMap(namespace, name string) (*corev1.ConfigMap, error)
}

// Env is the environment of a container, in the order of its specification, after what base has.
func Env(s Source, p *corev1.Pod, c *corev1.Container, base map[string]string) (map[string]string, error) {
	env := make(map[string]string, len(base)+len(c.Env))
	for k, v := range base {
		env[k] = v
	}
	for _, from := range c.EnvFrom {
		if err := addAll(s, p, from, env); err != nil {
			return nil, err
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			env[e.Name] = Expand(e.Value, env)
			continue
		}
		v, ok, err := value(s, p, c, e.ValueFrom)
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", e.Name, err)
		}
		if ok {
			env[e.Name] = v
		}
	}
	return env, nil
}

// List is an environment as exec(2) takes it.
func List(env map[string]string) []string {
	out := make([]string, 0, len(env))
	for k, v := range env {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return out
}

func addAll(s Source, p *corev1.Pod, from corev1.EnvFromSource, env map[string]string) error {
	add := func(key, value string) { env[from.Prefix+key] = value }
	switch {
	case from.ConfigMapRef != nil:
		m, err := s.ConfigMap(p.Namespace, from.ConfigMapRef.Name)
		if err != nil {
			return unlessOptional(err, from.ConfigMapRef.Optional)
		}
		for k, v := range m.Data {
			add(k, v)
		}
	case from.SecretRef != nil:
		m, err := s.Secret(p.Namespace, from.SecretRef.Name)
		if err != nil {
			return unlessOptional(err, from.SecretRef.Optional)
		}
		for k, v := range m.Data {
			add(k, string(v))
		}
	}
	return nil
}

// value is the value of a source; it is not there (false) if the source is optional and missing.
func value(s Source, p *corev1.Pod, c *corev1.Container, from *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case from.FieldRef != nil:
		v, err := Value(p, from.FieldRef.FieldPath)
		return v, true, err
	case from.ResourceFieldRef != nil:
		v, err := Resource(p, c.Name, from.ResourceFieldRef)
		return v, true, err
	case from.SecretKeyRef != nil:
		r := from.SecretKeyRef
		m, err := s.Secret(p.Namespace, r.Name)
		if err != nil {
			return "", false, unlessOptional(err, r.Optional)
		}
		v, ok := m.Data[r.Key]
		return string(v), ok, missingKey(ok, r.Optional, "Secret", r.Name, r.Key)
	case from.ConfigMapKeyRef != nil:
		r := from.ConfigMapKeyRef
		m, err := s.ConfigMap(p.Namespace, r.Name)
		if err != nil {
			return "", false, unlessOptional(err, r.Optional)
		}
		v, ok := m.Data[r.Key]
		return v, ok, missingKey(ok, r.Optional, "ConfigMap", r.Name, r.Key)
	}
	return "", false, errors.New("this source of a value is not supported by the test cluster")
}

func unlessOptional(err error, optional *bool) error {
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	return err
}

func missingKey(found bool, optional *bool, kind, name, key string) error {
	if found || optional != nil && *optional {
		return nil
	}
	return fmt.Errorf("%s %q has no key %q", kind, name, key)
}

// Expand replaces $(NAME) by the variable's value, as commands, args and values of env have it: $$ is a $, and what names no
// variable stays as it is.
func Expand(s string, env map[string]string) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i+1 == len(s) {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		s = s[i:]
		n, text := reference(s, env)
		out.WriteString(text)
		s = s[n:]
	}
}

// reference is what s, which begins with $ and has more than that, says there, and its length.
func reference(s string, env map[string]string) (int, string) {
	switch s[1] {
	case '$':
		return 2, "$"
	case '(':
		end := strings.IndexByte(s, ')')
		if end < 0 {
			break
		}
		if v, ok := env[s[2:end]]; ok {
			return end + 1, v
		}
		return end + 1, s[:end+1]
	}
	return 1, "$"
}
