package main

import (
	"context"
	"fmt"
	"os"

	goredis "github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/nantian-gw/nantian/gateway"
	"github.com/nantian-gw/nantian/gateway/llm"
)

// limitOptions are the flags of what runs a data plane that say how TokenPolicies are counted.
type limitOptions struct {
	redis, prices string
	replicas      int
}

func (o *limitOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.redis, "redis", "", "URL of the Redis that limits are counted in: redis://[USER:PASSWORD@]HOST:PORT[/DB], or rediss:// for TLS; "+
		"addr=HOST:PORT in its query for each further node of a Cluster, master_name=NAME for Sentinels; "+
		"\"\" is the environment variable NANTIAN_REDIS, or what the configuration says, or memory")
	f.IntVar(&o.replicas, "replicas", 0, "gateways that share the Redis: each has its share of a limit while that is away; 0 is what the configuration says, or 1")
	f.StringVar(&o.prices, "prices", "", "file of what models cost, in place of the built-in catalogue")
}

// set puts the flags into the options of a gateway.
func (o *limitOptions) set(to *gateway.Options) error {
	goredis.SetLogger(quiet{})
	to.Redis, to.Replicas = o.redis, o.replicas
	if to.Redis == "" {
		to.Redis = os.Getenv("NANTIAN_REDIS")
	}
	if o.prices == "" {
		return nil
	}
	text, err := os.ReadFile(o.prices)
	if err != nil {
		return fmt.Errorf("--prices: %w", err)
	}
	if to.LLM.Prices, err = llm.ParsePrices(text); err != nil {
		return fmt.Errorf("--prices: %s: %w", o.prices, err)
	}
	return nil
}

// quiet is a logger of package redis: that the store is away is told once by the limiter, not for every attempt.
type quiet struct{}

// Printf implements the interface.
func (quiet) Printf(context.Context, string, ...any) {}
