package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/nantian-gw/nantian/gateway"
	"github.com/nantian-gw/nantian/gateway/llm"
	"github.com/nantian-gw/nantian/gateway/xds"
	"github.com/nantian-gw/nantian/internal/build"
	"github.com/nantian-gw/nantian/tokenizer"
)

// proxyOptions are the flags of nantian proxy.
type proxyOptions struct {
	xds, tls, serverName, group, id, data string
	bind, admin, health, accessLog        string
	drain, delay                          time.Duration
	maxBody                               resource.QuantityValue
	limits                                limitOptions
	zone                                  string
	verbose                               bool
}

func newProxyCommand() *cobra.Command {
	var o proxyOptions
	cmd := &cobra.Command{
		Use:   "proxy --xds HOST:PORT",
		Short: "Run a data plane that a control plane configures",
		Long: `Proxy serves the Gateway that its client certificate is for, with the configuration that it gets from nantian controller.
The last good configuration is kept on disk, encrypted, and served when there is no control plane. In a cluster the
controller starts proxies itself.

The folder of --xds-tls is one that a Secret of the controller is mounted at: tls.crt, tls.key and ca.crt, read anew before
each connection, and storage.key.`,
		Example: `  nantian proxy --xds nantian-controller.nantian-system.svc:15010 --xds-tls /etc/nantian/xds`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("max-request-body") {
				o.maxBody.Quantity = resource.Quantity{} // a GatewayConfig may say it
			}
			return o.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.xds, "xds", "", "address of the control plane, host:port (required)")
	f.StringVar(&o.tls, "xds-tls", "/etc/nantian/xds", "folder with the client certificate, its key and the CA of the control plane")
	f.StringVar(&o.serverName, "xds-server-name", "", "name that the control plane's certificate must be for; \"\" is the host of --xds")
	f.StringVar(&o.group, "group", "", "NAMESPACE/NAME of the Gateway that it expects to serve; a certificate for another one ends the stream")
	f.StringVar(&o.id, "id", "", "name of this data plane in the control plane's logs and status; \"\" is the host's")
	f.StringVar(&o.data, "data-dir", "/var/lib/nantian", "folder for the last good configuration; \"\" keeps none")
	f.StringVar(&o.bind, "bind", "", "IP address of listeners that name none; \"\" is all")
	f.StringVar(&o.admin, "admin", "127.0.0.1:15000", "address of config dump and pprof; \"\" none")
	f.StringVar(&o.health, "health", ":15002", "address of health and metrics; \"\" none")
	f.StringVar(&o.accessLog, "access-log", "-", "file for the access log; \"-\" is standard output, \"\" none")
	f.DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long requests and streams in flight may take to end at shutdown")
	f.DurationVar(&o.delay, "shutdown-delay", 0, "how long it still takes connections at shutdown, not ready any more, until all that lead to it know")
	o.maxBody.Quantity = resource.MustParse("32Mi")
	f.Var(&o.maxBody, "max-request-body", "largest body of a request that has to be read (model calls); ordinary traffic has no limit")
	o.limits.flags(cmd)
	f.StringVar(&o.zone, "zone", os.Getenv("NANTIAN_ZONE"), "zone that this data plane is in (topology.kubernetes.io/zone), for hints of EndpointSlices; \"\" is $NANTIAN_ZONE")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log debug messages")
	return cmd
}

func (o *proxyOptions) run(ctx context.Context) error {
	if _, _, err := net.SplitHostPort(o.xds); err != nil {
		return usageError{fmt.Errorf("--xds: expected HOST:PORT, not %q", o.xds)}
	}
	log := newLog(o.verbose)
	access, closeAccess, err := openLog(o.accessLog)
	if err != nil {
		return err
	}
	defer closeAccess()
	options := gateway.Options{Bind: o.bind, Zone: o.zone, Log: log, AccessLog: access,
		LLM: llm.Options{Tokenizers: tokenizer.New(), UserAgent: "nantian/" + build.Version, MaxRequestBody: o.maxBody.Value()}}
	if err := o.limits.set(&options); err != nil {
		return err
	}
	if options.SessionKey, err = o.storageKey(); err != nil { // replicas have the same, and agree on sessions
		return fmt.Errorf("--xds-tls: %w", err)
	}
	gw, err := gateway.New(options)
	if err != nil {
		return err
	}
	client, err := o.client(gw, log)
	if err != nil {
		return err
	}
	stopAdmin, err := serveAdmin(o.admin, gw, log)
	if err != nil {
		return err
	}
	defer stopAdmin()
	stopHealth, err := serveHealth(o.health, gw.HealthServer(func() error { return cmp.Or(client.Ready(), leaving(ctx)) }), log)
	if err != nil {
		return err
	}
	defer stopHealth()
	log.Info("data plane", "version", build.Version, "control plane", o.xds, "group", o.group)
	err = client.Run(ctx)
	<-time.After(o.delay)
	return errors.Join(err, drain(gw, o.drain, log))
}

// leaving says that the process is to end.
func leaving(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("shutting down")
	}
	return nil
}

// client makes the client of the control plane.
func (o *proxyOptions) client(gw *gateway.Gateway, log *slog.Logger) (*xds.Client, error) {
	files := xds.Files{Cert: filepath.Join(o.tls, "tls.crt"), Key: filepath.Join(o.tls, "tls.key"), CA: filepath.Join(o.tls, "ca.crt"), ServerName: o.serverName}
	if _, err := files.Config(); err != nil {
		return nil, fmt.Errorf("--xds-tls: %w", err)
	}
	if o.id == "" {
		o.id, _ = os.Hostname()
	}
	return xds.New(xds.Options{
		Address: o.xds, TLS: files.Config, Sink: gw, Dir: o.data, Key: o.storageKey, Log: log, Metrics: gw.ControlPlane(),
		Node: xds.Node{ID: o.id, Group: o.group, Build: build.Version},
	})
}

// storageKey is what the configuration on disk is encrypted with. Without a key for it, it is the certificate's.
func (o *proxyOptions) storageKey() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(o.tls, "storage.key"))
	if errors.Is(err, os.ErrNotExist) {
		b, err = os.ReadFile(filepath.Join(o.tls, "tls.key"))
	}
	if err != nil {
		return nil, err
	}
	return xds.KeyFrom(b)
}

// serveHealth serves the pages that a cluster asks for.
func serveHealth(address string, srv *http.Server, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--health: %w", err)
	}
	go srv.Serve(ln)
	log.Info("health and metrics", "address", "http://"+ln.Addr().String())
	return func() { srv.Close() }, nil
}
