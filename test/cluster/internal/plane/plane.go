// Package plane runs the control plane of a cluster: etcd, kube-apiserver and kube-controller-manager, as children of this process
// in its namespaces, and makes their keys, certificates and kubeconfigs.
package plane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
)

const (
	etcdURL = "http://127.0.0.1:2379"
	// startTimeout is for machines that run a dozen other things: the API server is ready after 3 s on a quiet one.
	startTimeout = 3 * time.Minute
)

// controllers is what the tested programs need of kube-controller-manager. There is one node, and nothing to provision.
var controllers = []string{
	"deployment-controller", "replicaset-controller", "endpointslice-controller", "endpointslice-mirroring-controller", "namespace-controller",
	"serviceaccount-controller", "serviceaccount-token-controller", "garbage-collector-controller",
	"root-ca-certificate-publisher-controller", "validatingadmissionpolicy-status-controller", "disruption-controller",
	"clusterrole-aggregation-controller",
}

// Plane is the control plane of a cluster.
type Plane struct {
	cluster plan.Cluster
	pki     string
	data    string

	etcd, apiServer, controllerManager *program
}

// New makes keys and kubeconfigs; Start runs the programs. The data directory is etcd's.
func New(c plan.Cluster, data string) (*Plane, error) {
	p := &Plane{cluster: c, pki: filepath.Join(c.Dir, "pki"), data: data}
	logs := filepath.Join(c.Dir, "logs")
	for _, dir := range []string{p.pki, logs} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := p.issueAll(); err != nil {
		return nil, err
	}
	for file, user := range map[string]string{
		filepath.Join(c.Dir, "kubeconfig"): "admin", p.file("node.kubeconfig"): "node-admin",
		p.file("controller-manager.kubeconfig"): "system:kube-controller-manager",
	} {
		if err := p.writeKubeconfig(file, user); err != nil {
			return nil, err
		}
	}
	p.etcd = newProgram("etcd", c.Programs.Etcd, p.etcdArgs(), logs)
	p.apiServer = newProgram("kube-apiserver", c.Programs.APIServer, p.apiServerArgs(), logs)
	p.controllerManager = newProgram("kube-controller-manager", c.Programs.ControllerManager, p.controllerManagerArgs(), logs)
	return p, nil
}

func (p *Plane) file(name string) string { return filepath.Join(p.pki, name) }

// KubeletCertificate are the files of the kubelet's serving certificate, its key, and the CA that its clients come from.
func (p *Plane) KubeletCertificate() (cert, key, ca string) {
	return p.file("kubelet.crt"), p.file("kubelet.key"), p.file("ca.crt")
}

// writeKubeconfig writes a kubeconfig that needs no other file.
func (p *Plane) writeKubeconfig(file, user string) error {
	var data [3][]byte
	for i, name := range []string{"ca.crt", user + ".crt", user + ".key"} {
		var err error
		if data[i], err = os.ReadFile(p.file(name)); err != nil {
			return err
		}
	}
	const name = "nantian"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: p.url(), CertificateAuthorityData: data[0]}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: data[1], ClientKeyData: data[2]}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, file)
}

func (p *Plane) url() string {
	return fmt.Sprintf("https://%s:%d", p.cluster.Network.API(), plan.APIPort)
}

// Config is for clients of the cluster's own process.
func (p *Plane) Config() (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", p.file("node.kubeconfig"))
	if err == nil {
		c.QPS, c.Burst = 500, 1000
	}
	return c, err
}

// Start runs the programs and returns when the API server is ready.
func (p *Plane) Start(ctx context.Context) error {
	if err := p.etcd.start(); err != nil {
		return err
	}
	if err := p.apiServer.start(); err != nil {
		return err
	}
	if err := p.ready(ctx); err != nil {
		return err
	}
	return p.controllerManager.start()
}

// ready waits for the API server, or for its end.
func (p *Plane) ready(ctx context.Context) error {
	config, err := p.Config()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		for _, program := range []*program{p.etcd, p.apiServer} {
			if err := program.ended(); err != nil {
				return false, err
			}
		}
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(5 * time.Second).DoRaw(ctx)
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the API server does not become ready: %w", err)
	}
	return nil
}

// StopAPIServer ends the API server as a node's reboot or an eviction would: with SIGTERM, and SIGKILL if it does not end.
func (p *Plane) StopAPIServer() { p.apiServer.stop() }

// StartAPIServer starts it again and waits until it is ready.
func (p *Plane) StartAPIServer(ctx context.Context) error {
	if err := p.apiServer.start(); err != nil {
		return err
	}
	return p.ready(ctx)
}

// Wait returns the error of the first program that ends unasked, or nil when the context ends.
func (p *Plane) Wait(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) {
		return false, errors.Join(p.etcd.ended(), p.apiServer.ended(), p.controllerManager.ended())
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *Plane) etcdArgs() []string {
	return []string{
		"--data-dir=" + p.data, "--unsafe-no-fsync", "--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=http://127.0.0.1:2380", "--log-level=warn",
	}
}

func (p *Plane) apiServerArgs() []string {
	n := p.cluster.Network
	return append([]string{
		"--etcd-servers=" + etcdURL,
		// Not the wildcard: ports of LoadBalancer and ClusterIP addresses that have no Service must be closed.
		"--bind-address=" + n.API().String(), "--advertise-address=" + n.API().String(), "--secure-port=" + strconv.Itoa(plan.APIPort),
		"--service-cluster-ip-range=" + n.Services().String(),
		"--tls-cert-file=" + p.file("apiserver.crt"), "--tls-private-key-file=" + p.file("apiserver.key"), "--client-ca-file=" + p.file("ca.crt"),
		"--authorization-mode=RBAC", "--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + p.file("sa.pub"), "--service-account-signing-key-file=" + p.file("sa.key"),
		"--kubelet-client-certificate=" + p.file("apiserver-kubelet-client.crt"), "--kubelet-client-key=" + p.file("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + p.file("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		"--profiling=false", "--v=1",
	}, p.cluster.APIServerArgs...)
}

func (p *Plane) controllerManagerArgs() []string {
	names := append(append([]string(nil), controllers...), p.cluster.Controllers...)
	return []string{
		"--kubeconfig=" + p.file("controller-manager.kubeconfig"), "--bind-address=127.0.0.1", "--leader-elect=false",
		"--service-account-private-key-file=" + p.file("sa.key"), "--root-ca-file=" + p.file("ca.crt"), "--use-service-account-credentials",
		"--controllers=" + strings.Join(names, ","), "--concurrent-namespace-syncs=10", "--kube-api-qps=200", "--kube-api-burst=400", "--v=1",
	}
}
