package node

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/nantian-gw/nantian/test/cluster/internal/process"
)

func TestImages(t *testing.T) {
	i := &images{}
	i.set(map[string]string{"echo": "/p/echo", "example.com:5000/a/b": "/p/b", "example.com:5000/a/b:v2": "/p/b2"})
	f := func(image, want string) {
		t.Helper()
		got, err := i.program(image)
		if want == "" && (err == nil || !strings.Contains(err.Error(), image)) || want != "" && err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", image, got, err, want)
		}
	}
	f("echo", "/p/echo")
	f("echo:v1", "/p/echo")
	f("registry.example.com:5000/x/echo:v1@sha256:0123", "/p/echo")
	f("example.com:5000/a/b:v1", "/p/b")
	f("example.com:5000/a/b:v2", "/p/b2")
	f("other/b", "")
	f("echoes", "")
}

func TestResolve(t *testing.T) {
	f := func(command, want string) {
		t.Helper()
		if got, err := resolve("/build/bin/nantian", command); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", command, got, err, want)
		}
	}
	f("", "/nantian")
	f("nantian", "/nantian")
	f("/usr/local/bin/nantian", "/usr/local/bin/nantian")
	f("/bin/sh", "")
}

func TestSecure(t *testing.T) {
	user, other, yes := int64(5), int64(6), true
	p := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{RunAsUser: &user, FSGroup: &other, SupplementalGroups: []int64{7}}}}
	s := &process.Spec{}
	if err := secure(s, p, &corev1.Container{SecurityContext: &corev1.SecurityContext{RunAsUser: &other, RunAsNonRoot: &yes}}); err != nil {
		t.Fatal(err)
	}
	if s.UID != 6 || s.GID != 0 || len(s.Groups) != 2 || len(s.Capabilities) != 14 || s.NoNewPrivileges || s.ReadOnlyRoot {
		t.Errorf("%+v", s)
	}
	bad := &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NOTHING"}}}
	if err := secure(s, p, &corev1.Container{SecurityContext: bad}); err == nil {
		t.Error("a capability that is not known is taken")
	}
}
