package node

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/nantian-gw/nantian/test/cluster/internal/fields"
	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
	"github.com/nantian-gw/nantian/test/cluster/internal/process"
)

// makeSpec says how the container is to be run.
func (c *container) makeSpec(p *corev1.Pod, program string) (*process.Spec, error) {
	entry := ""
	if len(c.spec.Command) > 0 {
		entry = c.spec.Command[0]
	}
	path, err := resolve(program, entry)
	if err != nil {
		return nil, err
	}
	env, err := fields.Env(c.pod.node, p, c.spec, c.pod.baseEnv())
	if err != nil {
		return nil, err
	}
	spec := &process.Spec{Args: []string{path}, Env: fields.List(env), Dir: c.spec.WorkingDir, Hostname: hostname(p)}
	if len(c.spec.Command) > 1 {
		spec.Args = append(spec.Args, c.spec.Command[1:]...)
	}
	spec.Args = append(spec.Args, c.spec.Args...)
	for i, a := range spec.Args {
		spec.Args[i] = fields.Expand(a, env)
	}
	if err := secure(spec, p, c.spec); err != nil {
		return nil, err
	}
	if spec.Root, err = c.pod.root(c.spec.Name); err != nil {
		return nil, err
	}
	spec.Mounts = append(spec.Mounts, process.Mount{Source: program, Target: path, ReadOnly: true})
	for _, name := range []string{"resolv.conf", "hosts", "hostname"} {
		spec.Mounts = append(spec.Mounts, process.Mount{Source: filepath.Join(c.pod.dir, "etc", name), Target: "/etc/" + name, ReadOnly: true})
	}
	return spec, c.addMounts(spec, env)
}

// addMounts adds the container's volumes.
func (c *container) addMounts(spec *process.Spec, env map[string]string) error {
	for _, m := range c.spec.VolumeMounts {
		source := c.pod.volumes.Path(m.Name)
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = fields.Expand(m.SubPathExpr, env)
		}
		if sub != "" {
			source = filepath.Join(source, sub)
			if !filepath.IsLocal(sub) {
				return fmt.Errorf("subPath %q of volume %q: expected a path inside of it", sub, m.Name)
			}
			if _, err := os.Stat(source); err != nil {
				if err := os.MkdirAll(source, 0o777); err != nil {
					return fmt.Errorf("subPath of volume %q: %w", m.Name, err)
				}
			}
		}
		spec.Mounts = append(spec.Mounts, process.Mount{Source: source, Target: m.MountPath, ReadOnly: m.ReadOnly})
	}
	return nil
}

// baseEnv is what each container has in its environment. Variables for other Services than the API server's are not given.
func (x *pod) baseEnv() map[string]string {
	return map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": hostname(x.current()), "HOME": "/",
		"KUBERNETES_SERVICE_HOST": x.node.network.Kubernetes().String(), "KUBERNETES_SERVICE_PORT": "443", "KUBERNETES_SERVICE_PORT_HTTPS": "443",
	}
}

func hostname(p *corev1.Pod) string {
	name := p.Name
	if p.Spec.Hostname != "" {
		name = p.Spec.Hostname
	}
	return strings.TrimRight(name[:min(len(name), 63)], "-.")
}

// root makes an empty directory for a container's root, which is owned by root as in an image.
func (x *pod) root(container string) (string, error) {
	dir := filepath.Join(x.dir, "roots", container)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// writeFiles makes what all containers of the pod have in /etc.
func (x *pod) writeFiles(p *corev1.Pod) error {
	dir := filepath.Join(x.dir, "etc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	hosts := "127.0.0.1\tlocalhost\n" + x.ip.String() + "\t" + hostname(p) + "\n"
	for _, a := range p.Spec.HostAliases {
		hosts += a.IP + "\t" + strings.Join(a.Hostnames, "\t") + "\n"
	}
	for name, text := range map[string]string{"hosts": hosts, "hostname": hostname(p) + "\n", "resolv.conf": x.resolvConf(p)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), fs.FileMode(0o644)); err != nil {
			return err
		}
	}
	return nil
}

// resolvConf is that of the policy ClusterFirst, unless the pod has a configuration of its own. There is no other DNS server to ask.
func (x *pod) resolvConf(p *corev1.Pod) string {
	servers := []string{x.node.network.Node().String()}
	search := []string{p.Namespace + ".svc." + plan.DNSDomain, "svc." + plan.DNSDomain, plan.DNSDomain}
	options := []string{"ndots:5"}
	if p.Spec.DNSPolicy == corev1.DNSNone {
		servers, search, options = nil, nil, nil
	}
	if c := p.Spec.DNSConfig; c != nil {
		servers, search = append(servers, c.Nameservers...), append(search, c.Searches...)
		for _, o := range c.Options {
			if o.Value != nil {
				o.Name += ":" + *o.Value
			}
			options = append(options, o.Name)
		}
	}
	var b strings.Builder
	for _, s := range servers {
		fmt.Fprintln(&b, "nameserver", s)
	}
	if len(search) > 0 {
		fmt.Fprintln(&b, "search", strings.Join(search, " "))
	}
	if len(options) > 0 {
		fmt.Fprintln(&b, "options", strings.Join(options, " "))
	}
	return b.String()
}

// grace is the time that the pod's containers have to end.
func (x *pod) grace() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if s := x.object.Spec.TerminationGracePeriodSeconds; s != nil {
		seconds = *s
	}
	if s := x.object.DeletionGracePeriodSeconds; s != nil {
		seconds = *s
	}
	return time.Duration(seconds) * time.Second
}

func postStart(c *corev1.Container) *corev1.LifecycleHandler {
	if c.Lifecycle == nil {
		return nil
	}
	return c.Lifecycle.PostStart
}

func preStop(c *corev1.Container) *corev1.LifecycleHandler {
	if c.Lifecycle == nil {
		return nil
	}
	return c.Lifecycle.PreStop
}

// hook runs a lifecycle hook.
func (c *container) hook(ctx context.Context, proc *process.Process, h *corev1.LifecycleHandler) error {
	switch {
	case h == nil:
		return nil
	case h.Sleep != nil:
		select {
		case <-ctx.Done():
		case <-proc.Done():
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
		}
		return nil
	}
	return c.target(proc).Ask(ctx, &corev1.ProbeHandler{Exec: h.Exec, HTTPGet: h.HTTPGet, TCPSocket: h.TCPSocket})
}

// all are the containers of a pod, in the order of their start.
func (x *pod) all() []*container { return slices.Concat(x.inits, x.mains) }
