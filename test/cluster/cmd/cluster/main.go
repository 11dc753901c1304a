// Command cluster runs a Kubernetes cluster on this machine until it is interrupted: see docs/cluster.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nantian-gw/nantian/test/cluster"
	"github.com/nantian-gw/nantian/test/cluster/internal/machine"
	"github.com/nantian-gw/nantian/test/cluster/internal/process"
	"github.com/nantian-gw/nantian/test/cluster/internal/programs"
)

const usage = `usage: cluster up [flags]   run a cluster until it is interrupted
       cluster build        build the programs of clusters into the cache
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	command, args := "", os.Args[1:]
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	var err error
	switch command {
	case process.ContainerCommand:
		process.BecomeContainer()
		os.Exit(1)
	case process.ExecCommand:
		os.Exit(process.ExecInContainer())
	case machine.Command:
		err = machine.Run(os.Stdin, os.Stdout)
	case "build":
		_, err = programs.Get(ctx, os.Stderr)
	case "up":
		err = up(ctx, args)
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func up(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("cluster up", flag.ContinueOnError)
	channel := fs.String("gateway-api", "experimental", "`channel` of the Gateway API's CRDs: standard, experimental or none")
	var images, apply, hosts list
	fs.Var(&images, "image", "`NAME=PROGRAM`, the static program that is run for an image; may be repeated")
	fs.Var(&apply, "apply", "`path` of YAML, a file or a directory, to apply; may be repeated")
	fs.Var(&hosts, "host", "`NAME=ADDRESS`, a name outside of the cluster that its DNS server knows; may be repeated")
	if err := fs.Parse(args); err != nil {
		return err
	}
	o := cluster.Options{CRDs: apply, GatewayAPI: cluster.Channel(*channel)}
	if *channel == "none" {
		o.GatewayAPI = cluster.NoGatewayAPI
	}
	var err error
	if o.Images, err = pairs("image", images); err != nil {
		return err
	}
	if o.Hosts, err = pairs("host", hosts); err != nil {
		return err
	}
	start := time.Now()
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return err
	}
	describe(os.Stdout, c, time.Since(start))
	select {
	case <-ctx.Done():
		fmt.Println()
	case <-c.Done():
		return fmt.Errorf("the cluster ended by itself: its logs were in %s", c.Dir())
	}
	return c.Stop()
}

func pairs(flag string, list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("-%s %q: expected NAME=VALUE", flag, s)
		}
		out[name] = value
	}
	return out, nil
}

func describe(w io.Writer, c *cluster.Cluster, took time.Duration) {
	fmt.Fprintf(w, "cluster up in %.1f s; it ends with Ctrl-C\n\n", took.Seconds())
	fmt.Fprintf(w, "  export KUBECONFIG=%s\n\n", c.Kubeconfig)
	fmt.Fprintf(w, "  load balancers  %s, reached from this machine\n", c.Balancers())
	fmt.Fprintf(w, "  this machine    %s, as pods see it\n", c.HostAddr())
	fmt.Fprintf(w, "  logs            %s/logs\n", c.Dir())
}
