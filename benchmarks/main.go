package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/bareproxy"
	"github.com/nantian-gw/nantian/benchmarks/upstream"
)

// options are the flags.
type options struct {
	gateway, only, output, results, profiles, page, peers string
	rounds, streams                                       int
	warm, duration, hold, soak                            time.Duration
	quick, many, config                                   bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// run measures, or plays one of the other parts: the program starts itself for them.
func run(args []string) error {
	if part := partOf(args); part != nil {
		return serve(args[1], part)
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return o.run(ctx)
}

// partOf is the other part that arguments ask for; nil: they are of a measurement.
func partOf(args []string) func(net.Listener) error {
	switch {
	case len(args) == 2 && args[0] == "upstream":
		return upstream.Serve
	case len(args) == 2 && args[0] == "upstream-h2":
		return upstream.ServeH2
	case len(args) == 3 && args[0] == "proxy":
		return func(ln net.Listener) error { return bareproxy.Serve(ln, args[2]) }
	case len(args) == 3 && args[0] == "proxy-h2":
		return func(ln net.Listener) error { return bareproxy.ServeH2(ln, args[2]) }
	}
	return nil
}

func serve(addr string, f func(net.Listener) error) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return f(ln)
}

func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("benchmarks", flag.ExitOnError)
	f.StringVar(&o.gateway, "gateway", "", "the nantian program; empty: it is built from the folder above")
	f.StringVar(&o.only, "only", "", "regular expression of the scenarios to run")
	f.StringVar(&o.output, "o", "text", "what is printed: text, json, or bench for benchstat")
	f.StringVar(&o.results, "results", "", "also write the rounds to this file, for benchstat")
	f.StringVar(&o.profiles, "profiles", "", "also write a CPU profile of the gateway for each scenario to this folder")
	f.StringVar(&o.peers, "peers", "", "regular expression of the peers to run as well, of those that the folder peers describes and that are installed")
	f.StringVar(&o.page, "page", "", "also write a page with plots to this folder")
	f.IntVar(&o.rounds, "rounds", 5, "rounds")
	f.IntVar(&o.streams, "streams", 500, "idle streams whose memory is measured")
	f.DurationVar(&o.warm, "warm", 300*time.Millisecond, "how long each measurement is warmed up")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "how long each measurement takes")
	f.DurationVar(&o.hold, "hold", 6*time.Second, "how long idle streams are held")
	f.DurationVar(&o.soak, "soak", 0, "in place of all that: keep the gateway busy for so long, and see that its memory stays")
	f.BoolVar(&o.many, "many", false, "in place of all that: open 9,000 streams by HTTP/1.1 and 20,000 of gRPC (20,000 descriptors for each process)")
	f.BoolVar(&o.config, "config", false, "in place of all that: edit one of 10,000 routes, and see how soon traffic shows it")
	f.BoolVar(&o.quick, "quick", false, "one round of short measurements, to see that it works")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.quick {
		o.rounds, o.warm, o.duration, o.hold = 1, 100*time.Millisecond, 400*time.Millisecond, 3*time.Second
	}
	if o.many { // a third of a minute to open them, and then a while
		o.rounds, o.hold = 1, 40*time.Second
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if !slices.Contains([]string{"text", "json", "bench"}, o.output) {
		return nil, fmt.Errorf("-o %q: want text, json or bench", o.output)
	}
	return o, nil
}

func (o *options) run(ctx context.Context) error {
	if o.soak > 0 {
		return o.soakFor(ctx)
	}
	if o.config {
		return o.configure(ctx)
	}
	list, err := o.scenarios()
	if err != nil {
		return err
	}
	r, err := o.measure(ctx, list)
	if err != nil {
		return err
	}
	if o.results != "" {
		if err := writeFile(o.results, r.writeBench); err != nil {
			return err
		}
	}
	if o.page != "" {
		if err := r.writePage(o.page, "make bench-page"); err != nil {
			return err
		}
	}
	if err := o.print(os.Stdout, r); err != nil {
		return err
	}
	return r.failed()
}

func (o *options) print(w io.Writer, r *Report) error {
	switch o.output {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case "bench":
		return r.writeBench(w)
	}
	return r.writeText(w)
}

func (o *options) scenarios() ([]scenario, error) {
	re, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	all := scenarios
	if o.many {
		all = many
	}
	list := slices.DeleteFunc(all(o), func(s scenario) bool { return !re.MatchString(s.Name) })
	if len(list) == 0 {
		return nil, fmt.Errorf("-only %q matches no scenario", o.only)
	}
	return list, nil
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	return f.Close()
}
