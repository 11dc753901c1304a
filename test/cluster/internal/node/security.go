package node

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"golang.org/x/sys/unix"

	"github.com/nantian-gw/nantian/test/cluster/internal/process"
)

// capabilities by name; those that container runtimes give by default first.
var capabilities = []struct {
	name   string
	number int
	usual  bool
}{
	{"CHOWN", unix.CAP_CHOWN, true}, {"DAC_OVERRIDE", unix.CAP_DAC_OVERRIDE, true}, {"FSETID", unix.CAP_FSETID, true}, {"FOWNER", unix.CAP_FOWNER, true},
	{"MKNOD", unix.CAP_MKNOD, true}, {"NET_RAW", unix.CAP_NET_RAW, true}, {"SETGID", unix.CAP_SETGID, true}, {"SETUID", unix.CAP_SETUID, true},
	{"SETFCAP", unix.CAP_SETFCAP, true}, {"SETPCAP", unix.CAP_SETPCAP, true}, {"NET_BIND_SERVICE", unix.CAP_NET_BIND_SERVICE, true},
	{"SYS_CHROOT", unix.CAP_SYS_CHROOT, true}, {"KILL", unix.CAP_KILL, true}, {"AUDIT_WRITE", unix.CAP_AUDIT_WRITE, true},
	{"NET_ADMIN", unix.CAP_NET_ADMIN, false}, {"SYS_ADMIN", unix.CAP_SYS_ADMIN, false}, {"SYS_PTRACE", unix.CAP_SYS_PTRACE, false},
	{"SYS_RESOURCE", unix.CAP_SYS_RESOURCE, false}, {"IPC_LOCK", unix.CAP_IPC_LOCK, false}, {"SYS_NICE", unix.CAP_SYS_NICE, false},
}

// secure takes over what the security contexts of pod and container say. The user of an image that is built from scratch is root.
func secure(spec *process.Spec, p *corev1.Pod, c *corev1.Container) error {
	pc, cc := p.Spec.SecurityContext, c.SecurityContext
	if pc == nil {
		pc = &corev1.PodSecurityContext{}
	}
	if cc == nil {
		cc = &corev1.SecurityContext{}
	}
	spec.UID, spec.GID = int(either(cc.RunAsUser, pc.RunAsUser)), int(either(cc.RunAsGroup, pc.RunAsGroup))
	if value(either2(cc.RunAsNonRoot, pc.RunAsNonRoot)) && spec.UID == 0 {
		return errors.New("container has runAsNonRoot and image will run as root")
	}
	for _, g := range pc.SupplementalGroups {
		spec.Groups = append(spec.Groups, int(g))
	}
	if pc.FSGroup != nil {
		spec.Groups = append(spec.Groups, int(*pc.FSGroup))
	}
	spec.ReadOnlyRoot = value(cc.ReadOnlyRootFilesystem)
	spec.NoNewPrivileges = cc.AllowPrivilegeEscalation != nil && !*cc.AllowPrivilegeEscalation
	var err error
	spec.Capabilities, err = granted(cc)
	return err
}

func either(own, pods *int64) int64 {
	if v := either2(own, pods); v != nil {
		return *v
	}
	return 0
}

func either2[T any](own, pods *T) *T {
	if own != nil {
		return own
	}
	return pods
}

func value(b *bool) bool { return b != nil && *b }

// granted are the capabilities of a container: those by default, less what it drops, and what it adds.
func granted(c *corev1.SecurityContext) ([]int, error) {
	var out []int
	if value(c.Privileged) {
		for n := 0; n <= unix.CAP_LAST_CAP; n++ {
			out = append(out, n)
		}
		return out, nil
	}
	var add, drop []corev1.Capability
	if c.Capabilities != nil {
		add, drop = c.Capabilities.Add, c.Capabilities.Drop
	}
	if err := known(add); err != nil {
		return nil, err
	}
	for _, x := range capabilities {
		if has(add, x.name) || x.usual && !has(drop, x.name) {
			out = append(out, x.number)
		}
	}
	return out, nil
}

func has(list []corev1.Capability, name string) bool {
	for _, c := range list {
		if s := strings.TrimPrefix(string(c), "CAP_"); s == name || s == "ALL" {
			return true
		}
	}
	return false
}

func known(list []corev1.Capability) error {
	for _, c := range list {
		found := c == "ALL"
		for _, x := range capabilities {
			found = found || strings.TrimPrefix(string(c), "CAP_") == x.name
		}
		if !found {
			return fmt.Errorf("capability %q is not known to the test cluster", c)
		}
	}
	return nil
}
