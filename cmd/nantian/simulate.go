package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/internal/simulator"
)

func newSimulateCommand() *cobra.Command {
	var listen, key string
	var d string
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated model provider that speaks the vendors' protocols",
		Long: `Run a simulated model provider that speaks the protocols of OpenAI, Azure OpenAI, Anthropic, Gemini and Ollama: chat,
streams, tools, embeddings. Faults and latencies are set for all requests by --behave, and for one by the header
x-simulate-<directive> or by [[simulate: <directives>]] in the user's text.`,
		Example: `  nantian simulate --listen 127.0.0.1:9100 --behave "first-token=200ms delay=20ms"
  curl http://127.0.0.1:9100/v1/chat/completions -d '{"model":"sim","messages":[{"role":"user","content":"hi"}]}'`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			directives, err := simulator.ParseDirectives(d)
			if err != nil {
				return usageError{fmt.Errorf("--behave: %w", err)}
			}
			sim, ln, err := startSimulator(listen, simulator.Options{Directives: directives, APIKey: key})
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "simulating model providers at http://%s\n", ln.Addr())
			<-cmd.Context().Done()
			stopSimulator(sim)
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9100", "address to listen at")
	cmd.Flags().StringVar(&key, "api-key", "", "key that clients must send; empty: any or none")
	cmd.Flags().StringVar(&d, "behave", "", "faults and latencies of every answer, for example \"first-token=1s status=429 retry-after=3\"")
	return cmd
}

// startSimulator serves a simulator at an address until its Shutdown.
func startSimulator(listen string, o simulator.Options) (*simulator.Server, net.Listener, error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, nil, err
	}
	sim := simulator.New(o)
	go sim.Serve(ln)
	return sim, ln, nil
}

// stopSimulator lets answers under way end, for a moment.
func stopSimulator(sim *simulator.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	sim.Shutdown(ctx)
}
