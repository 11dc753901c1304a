// Package node is the scheduler and the kubelet of a cluster: it takes every pod, and runs its containers as local processes.
package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"

	"github.com/nantian-gw/nantian/test/cluster/internal/logs"
	"github.com/nantian-gw/nantian/test/cluster/internal/plan"
)

// Node is the only node of a cluster.
type Node struct {
	client  kubernetes.Interface
	network plan.Network
	dir     string // of the pods: on a file system in memory, as Secrets are written there
	logDir  string // copies of all logs
	renewal time.Duration
	events  record.EventRecorder
	log     *slog.Logger

	secrets    corelisters.SecretLister
	configMaps corelisters.ConfigMapLister

	images  images
	addrs   *addresses
	mu      sync.Mutex
	pods    map[types.UID]*pod
	binding map[types.UID]bool // pods that are being bound
}

// Options are what a node needs.
type Options struct {
	Client  kubernetes.Interface
	Events  record.EventRecorder
	Cluster plan.Cluster
	// Dir is where pods have their files.
	Dir string
	Log *slog.Logger
	// Cert, Key and CA are files: what the kubelet's API is served with, and who issues its clients' certificates.
	Cert, Key, CA string
}

// New registers the node, which runs pods from when the factory's informers are started by the caller.
func New(ctx context.Context, o Options, factory informers.SharedInformerFactory) (*Node, error) {
	core := factory.Core().V1()
	n := &Node{
		client: o.Client, network: o.Cluster.Network, dir: o.Dir, logDir: filepath.Join(o.Cluster.Dir, "logs", "pods"),
		renewal: o.Cluster.TokenRenewal, log: o.Log, events: o.Events,
		secrets: core.Secrets().Lister(), configMaps: core.ConfigMaps().Lister(),
		addrs: newAddresses(o.Cluster.Network.Pods()), pods: map[types.UID]*pod{}, binding: map[types.UID]bool{},
	}
	n.images.set(o.Cluster.Images)
	if err := n.register(ctx); err != nil {
		return nil, err
	}
	server, err := n.kubeletServer(o)
	if err != nil {
		return nil, err
	}
	go func() { n.log.Error("kubelet API", "error", server.ListenAndServeTLS("", "")) }()
	return n, n.watch(factory)
}

// SetImages replaces the table of images. Containers that run go on as they are.
func (n *Node) SetImages(table map[string]string) { n.images.set(table) }

// register creates the Node object. There is no lease and no heartbeat: the controller that would miss them does not run.
func (n *Node) register(ctx context.Context) error {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: plan.NodeName, Labels: map[string]string{
			corev1.LabelHostname: plan.NodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH,
		}},
		Spec: corev1.NodeSpec{PodCIDR: n.network.Pods().String(), PodCIDRs: []string{n.network.Pods().String()}},
	}
	made, err := n.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	now := metav1.Now()
	made.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "ProcessNode", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	made.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: n.network.Node().String()}, {Type: corev1.NodeHostName, Address: plan.NodeName},
	}
	made.Status.DaemonEndpoints.KubeletEndpoint.Port = plan.KubeletPort
	_, err = n.client.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("status of the node: %w", err)
	}
	return nil
}

func (n *Node) watch(factory informers.SharedInformerFactory) error {
	core := factory.Core().V1()
	pods := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.sync(o.(*corev1.Pod)) },
		UpdateFunc: func(_, o any) { n.sync(o.(*corev1.Pod)) },
		DeleteFunc: func(o any) { n.gone(o) },
	}
	changed := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.refresh(o) },
		UpdateFunc: func(_, o any) { n.refresh(o) },
		DeleteFunc: func(o any) { n.refresh(o) },
	}
	_, e1 := core.Pods().Informer().AddEventHandler(pods)
	_, e2 := core.Secrets().Informer().AddEventHandler(changed)
	_, e3 := core.ConfigMaps().Informer().AddEventHandler(changed)
	return errors.Join(e1, e2, e3)
}

// sync takes a pod's new state. It does not block.
func (n *Node) sync(p *corev1.Pod) {
	switch {
	case p.Spec.NodeName == "":
		n.bind(p)
	case p.Spec.NodeName == plan.NodeName:
		n.update(p)
	}
}

func (n *Node) update(p *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if x := n.pods[p.UID]; x != nil {
		x.update(p)
		return
	}
	if over(p) && p.DeletionTimestamp == nil {
		return
	}
	x := newPod(n, p)
	n.pods[p.UID] = x
	go func() {
		x.run()
		n.mu.Lock()
		delete(n.pods, p.UID)
		n.mu.Unlock()
	}()
}

// over reports whether the pod has come to its end.
func over(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// gone is for a pod whose object is no more.
func (n *Node) gone(o any) {
	if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = d.Obj
	}
	if p, ok := o.(*corev1.Pod); ok {
		n.mu.Lock()
		defer n.mu.Unlock()
		if x := n.pods[p.UID]; x != nil {
			x.gone()
		}
	}
}

// refresh looks again at the volumes of all pods of a namespace in which a Secret or ConfigMap has changed.
func (n *Node) refresh(o any) {
	if d, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = d.Obj
	}
	object, ok := o.(metav1.Object)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.pods {
		if x.namespace == object.GetNamespace() {
			x.wake()
		}
	}
}

// find is the pod of a name that runs here.
func (n *Node) find(namespace, name string) *pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.pods {
		if x.namespace == namespace && x.name == name {
			return x
		}
	}
	return nil
}

// bind is the scheduler: there is one node, and it takes all pods that may run on it.
func (n *Node) bind(p *corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.binding[p.UID] || p.DeletionTimestamp != nil || len(p.Spec.SchedulingGates) > 0 {
		return
	}
	n.binding[p.UID] = true
	go func() {
		b := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, UID: p.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: plan.NodeName},
		}
		err := retry(func() error {
			return n.client.CoreV1().Pods(p.Namespace).Bind(context.Background(), b, metav1.CreateOptions{})
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			n.log.Error("bind", "pod", p.Namespace+"/"+p.Name, "error", err)
		}
		n.mu.Lock()
		delete(n.binding, p.UID)
		n.mu.Unlock()
	}()
}

// retry calls f until it succeeds or fails for a reason that stays. While the API server is away, it goes on.
func retry(f func() error) error {
	for {
		err := f()
		var status apierrors.APIStatus
		if err == nil || errors.As(err, &status) && !apierrors.IsInternalError(err) && !apierrors.IsServerTimeout(err) && !apierrors.IsTooManyRequests(err) {
			return err
		}
		<-time.After(200 * time.Millisecond)
	}
}

// newLog is the log of one run of a container, with a copy in a file for whoever looks after a failure.
func (n *Node) newLog(p *corev1.Pod, container string) *logs.Log {
	dir := filepath.Join(n.logDir, p.Namespace)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return logs.New(nil)
	}
	f, err := os.OpenFile(filepath.Join(dir, p.Name+"_"+container+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return logs.New(nil)
	}
	return logs.New(&bounded{f: f, left: 16 << 20})
}

// bounded is a file that takes so many bytes and no more.
type bounded struct {
	f    *os.File
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	p = p[:min(len(p), b.left)]
	b.left -= len(p)
	return b.f.Write(p)
}

func (b *bounded) Close() error { return b.f.Close() }

// addresses gives out the addresses of pods. One that was given back is used again as late as possible.
type addresses struct {
	mu   sync.Mutex
	pool netip.Prefix
	last netip.Addr
	used map[netip.Addr]bool
}

func newAddresses(pool netip.Prefix) *addresses {
	return &addresses{pool: pool, last: pool.Addr().Next(), used: map[netip.Addr]bool{}} // the first is the node's
}

func (a *addresses) take() (netip.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range 1 << (32 - a.pool.Bits()) {
		a.last = a.last.Next()
		if !a.pool.Contains(a.last) {
			a.last = a.pool.Addr().Next().Next()
		}
		if !a.used[a.last] {
			a.used[a.last] = true
			return a.last, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of %s are in use", a.pool)
}

func (a *addresses) give(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.used, addr)
}

// tlsConfig is that of the kubelet's API, which only the API server may call.
func tlsConfig(o Options) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}, nil
}
