package memory_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/memory"
)

func charges(keys ...string) []ratelimit.Charge {
	var out []ratelimit.Charge
	for _, k := range keys {
		out = append(out, ratelimit.Charge{Bucket: ratelimit.Bucket{Key: k, Limit: 1 << 50, Window: ratelimit.Sliding(time.Minute)}, Amount: 100})
	}
	return out
}

func BenchmarkReserveSettle(b *testing.B) {
	for _, at := range []int{1, 64, 256} {
		b.Run("hot bucket/"+strconv.Itoa(at), func(b *testing.B) { run(b, at, charges("team")) })
	}
	b.Run("three buckets/1", func(b *testing.B) { run(b, 1, charges("team", "key", "model")) })
}

func run(b *testing.B, at int, c []ratelimit.Charge) {
	l := memory.New(memory.Options{})
	ctx := context.Background()
	var worker atomic.Int64
	b.SetParallelism(at)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		id := ratelimit.ID("request-" + strconv.FormatInt(worker.Add(1), 10))
		actual := make([]int64, len(c))
		for pb.Next() {
			g, err := l.Reserve(ctx, id, c)
			if err != nil {
				b.Fatal(err)
			}
			l.Settle(ctx, g, actual)
		}
	})
}

func BenchmarkReserve(b *testing.B) {
	l := memory.New(memory.Options{})
	c := charges("team")
	ids := make([]ratelimit.ID, 1<<18)
	for i := range ids {
		ids[i] = ratelimit.ID("request-" + strconv.Itoa(i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := l.Reserve(context.Background(), ids[i%len(ids)], c); err != nil {
			b.Fatal(err)
		}
	}
}
