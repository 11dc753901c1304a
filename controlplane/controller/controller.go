// Package controller runs the control plane against a Kubernetes cluster: it wires the cluster's objects to translation, the
// xDS server, certificates, statuses and data planes. Every replica translates and serves; what is written to the cluster is
// the leader's, but for the one ConfigMap in which each replica sums up what data planes answered.
//
// Wiring and the loops around it are here, the work is in the packages that it imports. It must not reach the data plane.
package controller

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/acks"
	"github.com/nantian-gw/nantian/controlplane/pki"
	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/source/kube"
	"github.com/nantian-gw/nantian/controlplane/status/patch"
	"github.com/nantian-gw/nantian/controlplane/translate"
	"github.com/nantian-gw/nantian/controlplane/xds"
)

// Options configure a Controller.
type Options struct {
	// Config is how the API server is reached. Required.
	Config *rest.Config
	// Namespace has the Lease, the CA's Secret and the reports of replicas. Required.
	Namespace string
	// Name of this replica, unique among them: the pod's. Required.
	Name string
	// LeaderElection: of several replicas one writes. Without it this one does.
	LeaderElection bool
	// XDS, Health and Admin are the listeners; Admin may be nil. Run closes them.
	XDS, Health, Admin net.Listener
	// Hosts are the names and addresses that data planes know the xDS listener by.
	Hosts []string
	// Advertise is where provisioned data planes find the xDS listener, host:port. Required.
	Advertise string
	// Image of provisioned data planes whose GatewayConfig names none. Required.
	Image string
	// TrustDomain is that of the SPIFFE IDs of data planes.
	TrustDomain string
	// Log takes what operators should know; nil: nothing.
	Log *slog.Logger
}

// Controller is one replica of the control plane.
type Controller struct {
	o       Options
	source  *kube.Source
	own     cache.Cache // what the controller writes itself
	client  client.Client
	cluster *controlplane.Cluster
	server  *xds.Server
	tls     *pki.Listener
	acks    *acks.Recorder
	writer  *patch.Writer
	metrics *metrics

	history history
	latest  latest
	beat    heartbeat
	leading atomic.Bool
	// verified are the certificates of groups that were found to be good; the leader alone uses it.
	verified map[client.ObjectKey]verified
}

// New makes a Controller; it does not wait for the API server.
func New(o Options) (*Controller, error) {
	if o.Config == nil || o.Namespace == "" || o.Name == "" || o.XDS == nil || o.Health == nil || o.Advertise == "" || o.Image == "" {
		return nil, errors.New("controller: Options.Config, Namespace, Name, XDS, Health, Advertise and Image are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Controller{o: o, tls: pki.NewListener(o.Hosts), acks: acks.NewRecorder(), metrics: newMetrics(), verified: map[client.ObjectKey]verified{}}
	var err error
	if c.source, err = kube.New(kube.Options{Config: o.Config, Log: o.Log}); err != nil {
		return nil, err
	}
	c.server, err = xds.New(xds.Options{
		Authenticator: xds.Certificates{TrustDomain: o.TrustDomain}, TLS: c.tls.Config(), Observer: c.acks, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	c.metrics.follow(c.acks)
	c.cluster = controlplane.NewCluster(c.server)
	return c, c.connect()
}

// connect makes the clients of the API server.
func (c *Controller) connect() error {
	scheme, err := scheme()
	if err != nil {
		return err
	}
	config := rest.CopyConfig(c.o.Config)
	if config.QPS == 0 { // of what the leader writes; watches are not counted
		config.QPS, config.Burst = 100, 200
	}
	if c.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	own, err := labels.NewRequirement(kube.OwnLabel, selection.Exists, nil)
	if err != nil {
		return err
	}
	selector := labels.NewSelector().Add(*own)
	c.own, err = cache.New(config, cache.Options{
		Scheme: scheme, DefaultTransform: cache.TransformStripManagedFields(), DefaultLabelSelector: selector,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.ConfigMap{}: {Namespaces: map[string]cache.Config{c.o.Namespace: {LabelSelector: selector}}},
		},
	})
	c.writer = patch.New(patch.Options{Client: c.client, Controller: translate.ControllerName, Log: c.o.Log, Count: c.metrics.statusWritten})
	return err
}

// Run runs the replica until ctx ends or something fails that cannot be mended.
func (c *Controller) Run(ctx context.Context) error {
	return together(ctx,
		func(ctx context.Context) error { return c.source.Run(ctx, c.translate) },
		c.own.Start,
		c.certify,
		c.serve,
		c.report,
		c.lead,
		c.serveHealth,
		c.serveAdmin,
	)
}

// translate takes a new set of objects.
func (c *Controller) translate(in *resources.Set) {
	defer c.beat.begin()()
	start := time.Now()
	view, err := c.cluster.Next(in)
	c.metrics.translated(time.Since(start), err)
	if err != nil {
		c.o.Log.Error("some data planes were not given the newest configuration", "error", err)
		if view.Set == nil {
			return
		}
	}
	c.metrics.view(view)
	c.history.note(view)
	c.latest.set(view)
}

// serve serves data planes once there is something to serve, so that none is told that it has nothing.
func (c *Controller) serve(ctx context.Context) error {
	news, stop := c.latest.subscribe()
	defer stop()
	for c.latest.get() == nil || c.tls.Ready() != nil {
		tick := time.NewTimer(100 * time.Millisecond)
		select {
		case <-ctx.Done():
			tick.Stop()
			return c.o.XDS.Close()
		case <-news:
		case <-tick.C:
		}
		tick.Stop()
	}
	c.o.Log.Info("serving data planes", "address", c.o.XDS.Addr().String())
	return c.server.Serve(ctx, c.o.XDS)
}
