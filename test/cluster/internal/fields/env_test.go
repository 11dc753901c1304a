package fields

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExpand(t *testing.T) {
	env := map[string]string{"A": "1", "EMPTY": ""}
	f := func(in, want string) {
		t.Helper()
		if got := Expand(in, env); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	f("", "")
	f("plain", "plain")
	f("$(A)", "1")
	f("x$(A)y$(A)", "x1y1")
	f("$(EMPTY)", "")
	f("$(B)", "$(B)")
	f("$$(A)", "$(A)")
	f("$$$(A)", "$1")
	f("$", "$")
	f("a$", "a$")
	f("$(A", "$(A")
	f("$A", "$A")
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"", "$", "$$", "$(", "$()", "a$(A)b", "$$(A)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := Expand(s, map[string]string{"A": "1"})
		if len(out) > len(s) {
			t.Errorf("%q became %q", s, out)
		}
	})
}

func TestResource(t *testing.T) {
	limits := corev1.ResourceList{"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("100Mi")}
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Limits: limits}}}}}
	f := func(name, divisor, want string) {
		t.Helper()
		ref := &corev1.ResourceFieldSelector{Resource: name}
		if divisor != "" {
			ref.Divisor = resource.MustParse(divisor)
		}
		got, err := Resource(p, "c", ref)
		if err != nil || got != want {
			t.Errorf("%s by %q: got %q, %v, want %q", name, divisor, got, err, want)
		}
	}
	f("limits.cpu", "", "2")
	f("limits.cpu", "1m", "1500")
	f("limits.memory", "", "104857600")
	f("limits.memory", "1Mi", "100")
	f("requests.cpu", "1m", "0")
}

func TestValue(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"b/c": "2", "a": "\"1\""}}}
	f := func(path, want string) {
		t.Helper()
		if got, err := Value(p, path); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
	f("metadata.name", "n")
	f("metadata.labels['b/c']", "2")
	f("metadata.labels['x']", "")
	f("metadata.labels", "a=\"\\\"1\\\"\"\nb/c=\"2\"")
	if _, err := Value(p, "spec.nothing"); err == nil {
		t.Error("a field that is not there is taken")
	}
}
