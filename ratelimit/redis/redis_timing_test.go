//go:build redis

package redis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nantian-gw/nantian/ratelimit"
)

// BenchmarkReserveSettle makes reservations of 100 and settles them to 60, from so many callers at once. Exact is without
// leases: one exchange per reservation, shared with those that ask at the same time.
func BenchmarkReserveSettle(b *testing.B) {
	client := newServer(b).client()
	for _, exact := range []bool{true, false} {
		for _, keys := range []int{1, 1000} {
			for _, at := range []int{1, 64, 256} {
				name := fmt.Sprintf("exact=%v/buckets=%d/callers=%d", exact, keys, at)
				b.Run(name, func(b *testing.B) {
					client.ConfigResetStat(context.Background())
					reserveSettle(b, New(client, benchOptions(exact)), at, keys)
					b.ReportMetric(storeTime(client, "evalsha")/float64(b.N), "redis-µs/op")
				})
			}
		}
	}
}

func BenchmarkCluster(b *testing.B) {
	client := clusterClient(b, newCluster(b, 3, 0))
	for _, at := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("exact=true/buckets=1000/callers=%d", at), func(b *testing.B) {
			reserveSettle(b, New(client, benchOptions(true)), at, 1000)
		})
	}
}

// BenchmarkSmallestScript is what to compare with: a script that reads and writes one key, in pipelines of 32.
func BenchmarkSmallestScript(b *testing.B) {
	client := newServer(b).client()
	script := newScript("redis.call('SET', KEYS[1], ARGV[1] + (redis.call('GET', KEYS[1]) or 0)) return 1")
	client.Eval(context.Background(), script.source, []string{"x"}, 1)
	b.ResetTimer()
	for done := 0; done < b.N; {
		p := client.Pipeline()
		for ; p.Len() < 32 && done < b.N; done++ {
			p.EvalSha(context.Background(), script.sha, []string{fmt.Sprint(done % 1000)}, 1)
		}
		if _, err := p.Exec(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(storeTime(client, "evalsha")/float64(b.N), "redis-µs/op")
}

func benchOptions(exact bool) Options {
	return Options{Exact: exact, Prefix: fmt.Sprint("bench", fleets.Add(1), ":"), Timeout: 2 * time.Second}
}

func reserveSettle(b *testing.B, l *Limiter, callers, keys int) {
	defer l.Close()
	charges := make([][]ratelimit.Charge, keys)
	for i := range charges {
		charges[i] = []ratelimit.Charge{{Bucket: ratelimit.Bucket{Key: fmt.Sprint(i), Limit: 1 << 50, Window: ratelimit.Sliding(time.Minute)}, Amount: 100}}
	}
	var group sync.WaitGroup
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	for n := range callers {
		group.Go(func() {
			id := ratelimit.ID(fmt.Sprint("caller ", n))
			actual := []int64{60}
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				g, err := l.Reserve(context.Background(), id, charges[int(i)%keys])
				if err != nil {
					b.Error(err)
					return
				}
				l.Settle(context.Background(), g, actual)
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reservations/s")
	b.ReportMetric(float64(l.Stats().RoundTrips)/float64(b.N), "round-trips/op")
}

// storeTime is how many microseconds a server has spent on a command.
func storeTime(c redis.UniversalClient, command string) (us float64) {
	stats := c.Info(context.Background(), "commandstats").Val()
	_, stats, _ = strings.Cut(stats, "cmdstat_"+command+":")
	_, stats, _ = strings.Cut(stats, "usec=")
	fmt.Sscanf(stats, "%f", &us)
	return us
}
