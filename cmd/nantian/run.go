package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/nantian-gw/nantian/controlplane/resources"
	"github.com/nantian-gw/nantian/controlplane/source/file"
	"github.com/nantian-gw/nantian/gateway"
	"github.com/nantian-gw/nantian/gateway/llm"
	"github.com/nantian-gw/nantian/internal/build"
	"github.com/nantian-gw/nantian/internal/simulator"
	"github.com/nantian-gw/nantian/tokenizer"
)

// runOptions are the flags of nantian run.
type runOptions struct {
	input
	bind, admin, simulate, accessLog string
	drain                            time.Duration
	maxBody                          resource.QuantityValue
	limits                           limitOptions
	zone, sessionKey                 string
	verbose                          bool
}

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run -f PATH...",
		Short: "Run control plane and data plane in one process, from files",
		Long: `Run serves what files and folders of Kubernetes YAML say: Gateways, routes, Services, AIProviders, AIBackends. Files are
watched: a change is live within a second and interrupts nothing; a mistake is reported with file and line, and what
worked goes on.`,
		Example: `  nantian run -f examples/quickstart --simulate 127.0.0.1:9100
  nantian run -f gateway.yaml -f routes --bind 0.0.0.0`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("max-request-body") {
				o.maxBody.Quantity = resource.Quantity{} // a GatewayConfig may say it
			}
			return o.run(cmd.Context())
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.bind, "bind", "127.0.0.1", "IP address of listeners that name none; \"::\" for all")
	f.StringVar(&o.admin, "admin", "127.0.0.1:15000", "address of health, metrics, config dump and pprof; port 0 takes a free one, \"\" none")
	f.StringVar(&o.simulate, "simulate", "", "also run a simulated model provider at this address (see nantian simulate)")
	f.StringVar(&o.accessLog, "access-log", "-", "file for the access log; \"-\" is standard output, \"\" none")
	f.DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long requests and streams in flight may take to end at shutdown")
	o.maxBody.Quantity = resource.MustParse("32Mi")
	f.Var(&o.maxBody, "max-request-body", "largest body of a request that has to be read (model calls); ordinary traffic has no limit")
	o.limits.flags(cmd)
	f.StringVar(&o.sessionKey, "session-key", "", "file with a secret of 16 bytes or more, the same for all that share sessions (sessionPersistence); \"\" makes one, and sessions end with the process")
	f.StringVar(&o.zone, "zone", os.Getenv("NANTIAN_ZONE"), "zone that this data plane is in (topology.kubernetes.io/zone), for hints of EndpointSlices; \"\" is $NANTIAN_ZONE")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "log debug messages")
	return cmd
}

func (o *runOptions) run(ctx context.Context) error {
	for _, path := range o.paths {
		if _, err := os.Stat(path); err != nil {
			return err // a folder that vanishes later is no reason to stop
		}
	}
	log := newLog(o.verbose)
	access, closeAccess, err := openLog(o.accessLog)
	if err != nil {
		return err
	}
	defer closeAccess()
	counters := tokenizer.New()
	if o.simulate != "" {
		stop, err := o.runSimulator(log, counters)
		if err != nil {
			return err
		}
		defer stop()
	}
	options := gateway.Options{Bind: o.bind, Zone: o.zone, Log: log, AccessLog: access,
		LLM: llm.Options{Tokenizers: counters, UserAgent: "nantian/" + build.Version, MaxRequestBody: o.maxBody.Value()}}
	if err := o.limits.set(&options); err != nil {
		return err
	}
	if o.sessionKey != "" {
		if options.SessionKey, err = os.ReadFile(o.sessionKey); err != nil {
			return fmt.Errorf("--session-key: %w", err)
		}
	}
	gw, err := gateway.New(options)
	if err != nil {
		return err
	}
	stopAdmin, err := serveAdmin(o.admin, gw, log)
	if err != nil {
		return err
	}
	defer stopAdmin()
	files := file.New(file.Options{Paths: o.paths, Decoder: resources.NewDecoder(os.LookupEnv)})
	err = newStandalone(gw, log, os.Stderr).run(ctx, files)
	return errors.Join(err, drain(gw, o.drain, log))
}

// drain shuts the gateway down.
func drain(gw *gateway.Gateway, timeout time.Duration, log *slog.Logger) error {
	log.Info("shutting down: requests in flight may end", "timeout", timeout)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := gw.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		log.Warn("some requests were cut at the end of --drain-timeout")
	} else if err != nil {
		return err
	}
	return nil
}

// newLog writes messages to standard error.
func newLog(verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func openLog(name string) (io.Writer, func() error, error) {
	switch name {
	case "":
		return nil, func() error { return nil }, nil
	case "-":
		return os.Stdout, func() error { return nil }, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("--access-log: %w", err)
	}
	return f, f.Close, nil
}

// runSimulator serves a simulator that counts tokens as the gateway does.
func (o *runOptions) runSimulator(log *slog.Logger, counters *tokenizer.Registry) (stop func(), err error) {
	counter, _ := counters.ForEncoding("o200k_base")
	sim, ln, err := startSimulator(o.simulate, simulator.Options{Count: counter.Count})
	if err != nil {
		return nil, fmt.Errorf("--simulate: %w", err)
	}
	log.Info("simulating model providers", "address", ln.Addr().String())
	return func() { stopSimulator(sim) }, nil
}

// serveAdmin serves the admin pages.
func serveAdmin(address string, gw *gateway.Gateway, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--admin: %w", err)
	}
	srv := gw.AdminServer()
	go srv.Serve(ln)
	log.Info("admin pages", "address", "http://"+ln.Addr().String())
	return func() { srv.Close() }, nil
}
