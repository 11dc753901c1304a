// Package machine is the process of a cluster: process 1 of namespaces of its own, in which everything of the cluster runs. When it
// ends, for whatever reason, the kernel ends all other processes of it and removes their networks, mounts and files in memory.
package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"golang.org/x/sys/unix"

	"github.com/nantian-gw/nantian/test/cluster/internal/dns"
	"github.com/nantian-gw/nantian/test/cluster/internal/link"
	"github.com/nantian-gw/nantian/test/cluster/internal/node"
	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
	"github.com/nantian-gw/nantian/test/cluster/internal/plane"
	"github.com/nantian-gw/nantian/test/cluster/internal/proxy"
)

// Command is the subcommand that Run is.
const Command = "machine"

// endTimeout is how long this process may take to end.
const endTimeout = 5 * time.Second

// Run reads a plan.Cluster, one line of JSON, runs the cluster, and reports to out. It returns when the input ends: whoever started
// it holds the other end, and need not do anything to end it but end itself.
func Run(in io.Reader, out io.Writer) error {
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil // it was given up before it began
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, r)
		time.AfterFunc(endTimeout, func() { os.Exit(1) }) // whatever hangs: nobody else would end it
		cancel()
	}()
	var c plan.Cluster
	err = json.Unmarshal(line, &c)
	if err == nil {
		err = run(ctx, c, out)
	}
	if err != nil && ctx.Err() == nil {
		return errors.Join(err, json.NewEncoder(out).Encode(plan.Event{Error: err.Error()}))
	}
	return nil
}

func run(ctx context.Context, c plan.Cluster, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	memory, err := prepare(c)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	p, err := plane.New(c, filepath.Join(memory, "etcd"))
	if err != nil {
		return err
	}
	if err := p.Start(ctx); err != nil {
		return err
	}
	n, err := startNode(ctx, c, p, filepath.Join(memory, "pods"), log)
	if err != nil {
		return err
	}
	if err := serveControl(ctx, filepath.Join(c.Dir, "control"), p, n); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(plan.Event{Ready: true}); err != nil {
		return err
	}
	return p.Wait(ctx)
}

// prepare sets up the namespaces. It returns a directory in memory, which only processes of the cluster see.
func prepare(c plan.Cluster) (memory string, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return "", fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return "", fmt.Errorf("mount /proc: %w", err)
	}
	memory = filepath.Join(c.Dir, "memory")
	if err := os.MkdirAll(memory, 0o755); err != nil {
		return "", err
	}
	if err := unix.Mount("tmpfs", memory, "tmpfs", unix.MS_NOSUID, "mode=755"); err != nil {
		return "", fmt.Errorf("mount %s: %w", memory, err)
	}
	return memory, errors.Join(link.SetUpNode(c.Network), proxy.Prepare(c.Network))
}

// startNode starts what runs pods and what makes Services work.
func startNode(ctx context.Context, c plan.Cluster, p *plane.Plane, dir string, log *slog.Logger) (*node.Node, error) {
	config, err := p.Config()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	events := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: plan.NodeName})
	services, err := proxy.New(client, events, c.Network, factory, log)
	if err != nil {
		return nil, err
	}
	if err := serveDNS(ctx, c, factory); err != nil {
		return nil, err
	}
	cert, key, ca := p.KubeletCertificate()
	n, err := node.New(ctx, node.Options{Client: client, Events: events, Cluster: c, Dir: dir, Log: log, Cert: cert, Key: key, CA: ca}, factory)
	if err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go services.Run(ctx)
	return n, nil
}

func serveDNS(ctx context.Context, c plan.Cluster, factory informers.SharedInformerFactory) error {
	names := &dns.Names{
		Services: factory.Core().V1().Services().Lister(), Slices: factory.Discovery().V1().EndpointSlices().Lister(),
		Domain: plan.DNSDomain, Hosts: map[string]netip.Addr{},
	}
	for name, text := range c.Hosts {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("address of host %s: %w", name, err)
		}
		names.Hosts[name] = addr
	}
	server, err := dns.Listen(c.Network.Node(), names)
	if err != nil {
		return err
	}
	go server.Serve(ctx)
	return nil
}
