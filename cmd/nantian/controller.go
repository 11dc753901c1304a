package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/nantian-gw/nantian/controlplane/controller"
	"github.com/nantian-gw/nantian/internal/build"
)

// controllerOptions are the flags of nantian controller.
type controllerOptions struct {
	kubeconfig, namespace, name, domain string
	xds, health, admin                  string
	hosts                               []string
	advertise, image                    string
	leaderElection, verbose             bool
}

func newControllerCommand() *cobra.Command {
	var o controllerOptions
	cmd := &cobra.Command{
		Use:   "controller",
		Short: "Run the control plane against a Kubernetes API server",
		Long: `Controller watches a cluster's Gateways, routes, Services and policies, gives data planes their configuration over xDS,
and writes statuses. Replicas share the work: each serves data planes, one of them writes.`,
		Example: `  nantian controller
  nantian controller --kubeconfig ~/.kube/config --namespace nantian-system --leader-election=false`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "file that says how to reach the API server; \"\" is $KUBECONFIG, or the pod's service account")
	f.StringVar(&o.namespace, "namespace", "", "namespace of the controller's own objects; \"\" is the pod's, or nantian-system")
	f.StringVar(&o.name, "name", "", "name of this replica; \"\" is the host's, which in a cluster is the pod's")
	f.StringVar(&o.domain, "cluster-domain", "cluster.local", "domain of the cluster's names, also the trust domain of data planes' identities")
	f.StringVar(&o.xds, "xds", ":15010", "address of the xDS listener, with TLS and client certificates")
	f.StringSliceVar(&o.hosts, "xds-host", nil, "name or IP address that data planes know the xDS listener by, may be repeated; the Service nantian-controller is always one")
	f.StringVar(&o.advertise, "xds-advertise", "", "where data planes that the controller starts find the xDS listener, HOST:PORT; \"\" is the Service nantian-controller, port 15010")
	f.StringVar(&o.image, "image", "", "image of data planes whose GatewayConfig names none; \"\" is ghcr.io/nantian-gw/nantian of this version")
	f.StringVar(&o.health, "health", ":15002", "address of health and metrics")
	f.StringVar(&o.admin, "admin", "127.0.0.1:15001", "address of config dump and pprof; \"\" none")
	f.BoolVar(&o.leaderElection, "leader-election", true, "of several replicas let one write; without it this one does")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log debug messages")
	return cmd
}

func (o *controllerOptions) run(ctx context.Context) error {
	log := newLog(o.verbose)
	quietLibraries()
	config, err := o.config()
	if err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	rest.AddUserAgent(config, "nantian-controller/"+build.Version)
	opts, err := o.options(config, log)
	if err != nil {
		return err
	}
	c, err := controller.New(opts)
	if err != nil {
		return err
	}
	log.Info("control plane", "version", build.Version, "api server", config.Host, "namespace", opts.Namespace, "replica", opts.Name)
	return c.Run(ctx)
}

// config says how the API server is reached.
func (o *controllerOptions) config() (*rest.Config, error) {
	if file := cmp.Or(o.kubeconfig, os.Getenv("KUBECONFIG")); file != "" {
		return clientcmd.BuildConfigFromFlags("", file)
	}
	return rest.InClusterConfig()
}

// quietLibraries lets the Kubernetes libraries log what operators should know and no more: their debug messages are thousands.
func quietLibraries() {
	h := newLog(false).Handler().WithAttrs([]slog.Attr{slog.String("from", "client-go")})
	klog.SetSlogLogger(slog.New(h))
	ctrllog.SetLogger(logr.FromSlogHandler(h))
}

func (o *controllerOptions) options(config *rest.Config, log *slog.Logger) (controller.Options, error) {
	out := controller.Options{Config: config, Namespace: o.namespace, Name: o.name, LeaderElection: o.leaderElection, TrustDomain: o.domain, Log: log}
	if out.Namespace == "" {
		out.Namespace = ownNamespace()
	}
	if out.Name == "" {
		out.Name, _ = os.Hostname()
	}
	service := "nantian-controller." + out.Namespace + ".svc"
	out.Advertise, out.Image = cmp.Or(o.advertise, service+":15010"), cmp.Or(o.image, "ghcr.io/nantian-gw/nantian:"+build.Version)
	if host, _, err := net.SplitHostPort(out.Advertise); err != nil {
		return out, usageError{fmt.Errorf("--xds-advertise: expected HOST:PORT, not %q", out.Advertise)}
	} else if host != service {
		o.hosts = append(o.hosts, host)
	}
	out.Hosts = append([]string{"nantian-controller", "nantian-controller." + out.Namespace, service, service + "." + o.domain}, o.hosts...)
	for _, l := range []struct {
		flag, address string
		to            *net.Listener
	}{{"--xds", o.xds, &out.XDS}, {"--health", o.health, &out.Health}, {"--admin", o.admin, &out.Admin}} {
		if l.address == "" && l.flag == "--admin" {
			continue
		}
		ln, err := net.Listen("tcp", l.address)
		if err != nil {
			return out, fmt.Errorf("%s: %w", l.flag, err)
		}
		*l.to = ln
	}
	return out, nil
}

// ownNamespace is the pod's.
func ownNamespace() string {
	b, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return "nantian-system"
	}
	return strings.TrimSpace(string(b))
}
