// Package cluster runs real Kubernetes clusters on this machine, for tests and by hand: kube-apiserver, kube-controller-manager and
// etcd, and a node that runs pods as local processes, each with an address of its own. There are no containers and no images: a
// table says which static program is run for an image.
//
// It needs Linux with nftables, and root. The host has a route to each cluster: the addresses of pods and Services, those of load
// balancers among them, are dialled directly. All of a cluster is in namespaces of its own and ends with the process that started
// it, whatever way that ends.
package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/nantian-gw/nantian/test/cluster/internal/link"
	"github.com/nantian-gw/nantian/test/cluster/internal/machine"
	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
	"github.com/nantian-gw/nantian/test/cluster/internal/programs"
)

// Channel is a release channel of the Gateway API.
type Channel string

// Channels of the Gateway API; none means that its CRDs are not installed.
const (
	NoGatewayAPI Channel = ""
	Standard     Channel = "standard"
	Experimental Channel = "experimental"
)

// Options say what a cluster is to have. The zero value is a cluster without CRDs that can run no pods.
type Options struct {
	// Images maps an image to the path of a static program that is run for it. A key is a whole reference, one without tag and
	// digest, or the last part of its name: "echo-basic" is all that end in /echo-basic.
	Images map[string]string
	// GatewayAPI is the channel of which CRDs are installed.
	GatewayAPI Channel
	// CRDs are files, or directories with files, of YAML that are applied after that, before Start returns.
	CRDs []string
	// Hosts are names outside of the cluster for which its DNS server answers with an address.
	Hosts map[string]string
	// APIServerArgs are added to the API server's command line, Controllers to those that kube-controller-manager runs.
	APIServerArgs, Controllers []string
	// TokenRenewal is the age at which tokens in volumes are renewed. 0 is four fifths of their life, as kubelets do.
	TokenRenewal time.Duration
	// Artifacts is a directory to which all logs are copied when the cluster ends, if it is not empty.
	Artifacts string
	// Progress is told what takes long; nil is standard error.
	Progress io.Writer
}

// Cluster is a cluster that runs.
type Cluster struct {
	// Kubeconfig is the path of a file for kubectl, of an administrator.
	Kubeconfig string
	// Config is the same for clients in Go.
	Config *rest.Config

	options Options
	network plan.Network
	lease   *lease
	client  kubernetes.Interface
	dynamic dynamic.Interface
	mapper  *mapper

	cmd     *exec.Cmd
	hold    *os.File // the cluster ends when this is closed
	exited  chan struct{}
	stop    sync.Once
	stopErr error
	stopped atomic.Bool // it was told to end
	imageMu sync.Mutex
}

// Start brings up a cluster. It ends by Stop, with the context, or with this process.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return nil, errors.New("a test cluster needs Linux, and root for network namespaces")
	}
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	for _, path := range o.Images {
		if err := programs.CheckStatic(path); err != nil {
			return nil, err
		}
	}
	built, err := programs.Get(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	l, err := newLease()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Kubeconfig: filepath.Join(l.dir, "kubeconfig"), options: o, network: l.network, lease: l, exited: make(chan struct{})}
	if err := c.start(ctx, built); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	context.AfterFunc(ctx, func() { _ = c.Stop() })
	return c, nil
}

func (c *Cluster) start(ctx context.Context, built *programs.Set) error {
	out, err := c.startMachine(built.Machine)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := link.ConnectHost(c.network, c.cmd.Process.Pid); err != nil {
		return err
	}
	o := c.options
	err = json.NewEncoder(c.hold).Encode(plan.Cluster{
		Network: c.network, Dir: c.lease.dir, Programs: built.Programs, Images: o.Images, Hosts: o.Hosts,
		APIServerArgs: o.APIServerArgs, Controllers: o.Controllers, TokenRenewal: o.TokenRenewal,
	})
	if err != nil {
		return fmt.Errorf("tell the cluster's process what to run: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })()
	if err := c.awaitReady(out); err != nil {
		return err
	}
	if err := c.connect(); err != nil {
		return err
	}
	return c.install(ctx)
}

// startMachine starts the cluster's process in new namespaces; what is returned is its standard output.
func (c *Cluster) startMachine(program string) (*os.File, error) {
	logs := filepath.Join(c.lease.dir, "logs")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(logs, "machine.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	in, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, w, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	defer w.Close()
	c.hold = hold
	c.cmd = exec.Command(program, machine.Command)
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = in, w, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Setpgid:    true, // an interrupt from the terminal is for this process, which then ends the cluster
	}
	if err := c.cmd.Start(); err != nil {
		c.cmd = nil
		return nil, errors.Join(fmt.Errorf("namespaces for the cluster: %w", err), out.Close())
	}
	go func() {
		_ = c.cmd.Wait()
		close(c.exited)
	}()
	return out, nil
}

// awaitReady reads what the cluster's process reports.
func (c *Cluster) awaitReady(out io.Reader) error {
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var e plan.Event
	if err == nil {
		err = json.Unmarshal(line, &e)
	}
	switch {
	case err != nil:
		<-c.exited
		return fmt.Errorf("the cluster's process ended: %s\n%s", c.cmd.ProcessState, c.machineLog())
	case !e.Ready:
		return errors.New(e.Error)
	}
	return nil
}

// machineLog is the end of the log of the cluster's process.
func (c *Cluster) machineLog() []byte {
	b, _ := os.ReadFile(filepath.Join(c.lease.dir, "logs", "machine.log"))
	return b[max(0, len(b)-4000):]
}

func (c *Cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 200, 400
	c.Config = config
	if c.client, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	if c.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return err
	}
	c.mapper = newMapper(c.client.Discovery())
	return nil
}

// Client is for the API of the cluster.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Dynamic is for objects of any kind.
func (c *Cluster) Dynamic() dynamic.Interface { return c.dynamic }

// HostAddr is the address by which pods reach programs of the host, which must listen on it or on all addresses.
func (c *Cluster) HostAddr() netip.Addr { return c.network.Host() }

// Balancers is the pool that Services of type LoadBalancer have their addresses from. The first ten are given only to those that
// ask for them.
func (c *Cluster) Balancers() netip.Prefix { return c.network.Balancers() }

// Dir holds the kubeconfig and logs of the cluster; it is removed with it.
func (c *Cluster) Dir() string { return c.lease.dir }

// Done is closed when the cluster has ended.
func (c *Cluster) Done() <-chan struct{} { return c.exited }

// Stop ends the cluster and removes all that it left. It may be called more than once.
func (c *Cluster) Stop() error {
	c.stopped.Store(true)
	c.stop.Do(func() { c.stopErr = c.end() })
	return c.stopErr
}

func (c *Cluster) end() error {
	var errs []error
	if c.hold != nil {
		errs = append(errs, c.hold.Close())
	}
	if c.cmd != nil {
		select {
		case <-c.exited:
		case <-time.After(10 * time.Second):
			_ = c.cmd.Process.Kill()
			<-c.exited
		}
	}
	if c.options.Artifacts != "" {
		errs = append(errs, os.CopyFS(c.options.Artifacts, os.DirFS(filepath.Join(c.lease.dir, "logs"))))
	}
	return errors.Join(append(errs, link.DisconnectHost(c.network), c.lease.release())...)
}

// Images is a copy of the table of images.
func (c *Cluster) Images() map[string]string {
	c.imageMu.Lock()
	defer c.imageMu.Unlock()
	return maps.Clone(c.options.Images)
}
