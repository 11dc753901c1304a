package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/load"
	"github.com/nantian-gw/nantian/benchmarks/stats"
)

const (
	// soakSamples are taken in equal steps.
	soakSamples = 60
	// soakGrowth is by how much the memory of the last third may exceed that of the second: what is warm stays as it is.
	soakGrowth = 1.10
)

// soakFor keeps chats and streams, with all stages on, running for a while, and fails if the gateway's memory grows or a request
// fails.
func (o *options) soakFor(ctx context.Context) error {
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	sub, err := b.get(ctx, gateway)
	if err != nil {
		return err
	}
	long := *o
	long.duration = o.soak
	results := make([]*load.Result, 3)
	errs := make([]error, len(results))
	var wg sync.WaitGroup
	for i, s := range []scenario{
		stage("all", chat("chat", "", 4<<10, 8, 0)), stage("all", stream("stream", "", 50, 10*time.Millisecond, 50, 0)), chat("translated", "anthropic/", 4<<10, 4, 0),
	} {
		wg.Go(func() { results[i], errs[i] = load.Run(ctx, s.job(sub, &long), func() {}, func() {}) })
	}
	memory, err := watch(ctx, sub, o.soak)
	wg.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	requests, failed := 0, 0
	for _, r := range results {
		requests, failed = requests+r.Requests(), failed+r.Errors
	}
	third := len(memory) / 3
	before, after := stats.Sample(memory[third:2*third]).Median(), stats.Sample(memory[2*third:]).Median()
	fmt.Printf("%d requests, %d failed; resident memory %.1f MiB in the second third of %s, %.1f MiB in the last\n", requests, failed, before, o.soak, after)
	if failed > 0 {
		return fmt.Errorf("%d of %d requests failed", failed, requests)
	}
	if after > soakGrowth*before {
		return fmt.Errorf("memory has grown from %.1f to %.1f MiB", before, after)
	}
	return nil
}

// watch samples resident memory, in MiB.
func watch(ctx context.Context, s *subject, d time.Duration) (memory []float64, err error) {
	tick := time.NewTicker(d / soakSamples)
	defer tick.Stop()
	for range soakSamples {
		select {
		case <-ctx.Done():
			return memory, ctx.Err()
		case <-tick.C:
		}
		n, err := s.proc.Memory()
		if err != nil {
			return memory, err
		}
		memory = append(memory, float64(n)/(1<<20))
		fmt.Fprintf(os.Stderr, "%.1f MiB\n", memory[len(memory)-1])
	}
	return memory, nil
}
