//go:build redis

package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/nantian-gw/nantian/ratelimit"
)

// keyOn is a key whose bucket lives on a node of the cluster.
func keyOn(t testing.TB, c redis.UniversalClient, l *Limiter, addr string) string {
	t.Helper()
	for i := range 1000 {
		b := bucket(fmt.Sprint("key", i), 1, time.Hour)
		node, err := c.(*redis.ClusterClient).MasterForKey(context.Background(), l.newAccount(&b).key)
		if err != nil {
			t.Fatal(err)
		}
		if node.Options().Addr == addr {
			return b.Key
		}
	}
	t.Fatalf("no key on %s", addr)
	return ""
}

// TestClusterFailover kills one primary of three while clients reserve and settle. Buckets on the others do not notice; those
// on the dead one go on locally or refuse, by their failure mode, come back by themselves, and remember what was replicated
// and all that was used meanwhile.
func TestClusterFailover(t *testing.T) {
	nodes := newCluster(t, 3, 1)
	client := clusterClient(t, nodes)
	l := New(client, Options{})
	defer l.Close()
	other := New(client, Options{})
	defer other.Close()
	dead, alive := keyOn(t, client, l, nodes[0].addr), keyOn(t, client, l, nodes[1].addr)
	open := bucket(dead, 1_000_000, time.Hour)
	closed := ratelimit.Bucket{Key: dead, Limit: 1_000_000, Window: ratelimit.Sliding(2 * time.Hour), Failure: ratelimit.Closed}
	for client.(*redis.ClusterClient).ClusterKeySlot(context.Background(), l.newAccount(&closed).key).Val() > clusterSlots/3 {
		closed.Key += "x"
	}
	healthy := bucket(alive, 1_000_000, time.Hour)

	running, err := l.Reserve(context.Background(), "running", []ratelimit.Charge{{Bucket: open, Amount: 500}, {Bucket: closed, Amount: 500}, {Bucket: healthy, Amount: 500}})
	if err != nil {
		t.Fatal(err)
	}
	var used, usedHealthy, local, unavailable, id atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	client1 := func(b ratelimit.Bucket, sum *atomic.Int64) {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			g, err := reserve(l, fmt.Sprint(id.Add(1)), b, 10)
			var away *ratelimit.UnavailableError
			switch {
			case errors.As(err, &away) && b.Failure == ratelimit.Closed:
				unavailable.Add(1)
				continue
			case err != nil:
				t.Errorf("%s: %v", b.Key, err)
				return
			case g.Local:
				local.Add(1)
			}
			if g.Local && b.Key == alive {
				t.Errorf("a bucket of a node that lives was granted locally")
			}
			l.Settle(context.Background(), g, []int64{7})
			sum.Add(7)
		}
	}
	var usedClosed atomic.Int64
	for range 4 {
		group.Go(func() { client1(open, &used) })
		group.Go(func() { client1(closed, &usedClosed) })
		group.Go(func() { client1(healthy, &usedHealthy) })
	}
	time.Sleep(500 * time.Millisecond)
	nodes[0].kill()
	await(t, func() error {
		if local.Load() == 0 || unavailable.Load() == 0 {
			return fmt.Errorf("%d granted locally, %d unavailable", local.Load(), unavailable.Load())
		}
		return nil
	})
	await(t, func() error { // the replica takes over, and other replicas of ours reach it
		_, err := other.Peek(context.Background(), []ratelimit.Bucket{closed})
		return err
	})
	await(t, func() error {
		if l.Stats().Away {
			return errors.New("still away")
		}
		before := local.Load() + unavailable.Load()
		time.Sleep(100 * time.Millisecond)
		if local.Load()+unavailable.Load() != before {
			return errors.New("still away")
		}
		return nil
	})
	close(stop)
	group.Wait()
	l.Settle(context.Background(), running, []int64{100, 100, 100})
	time.Sleep(4 * Tick)
	// Replication lags by less than what one exchange brings: 4 callers' 10 each, settled and leased.
	f := func(name string, b ratelimit.Bucket, want, slack int64) {
		t.Helper()
		got := b.Limit - left(t, other, b)
		if got < want-slack || got > want+b.Limit/share {
			t.Errorf("%s: the store knows of %d, %d were used", name, got, want)
		}
	}
	f("open", open, used.Load()+100, 1000)
	f("closed", closed, usedClosed.Load()+100, 1000)
	f("healthy", healthy, usedHealthy.Load()+100, 0)
}

// TestSentinelFailover: a primary that Sentinel names is replaced by its replica, and limits hold there.
func TestSentinelFailover(t *testing.T) {
	primary := newServer(t)
	replica := newServer(t, "--replicaof", "127.0.0.1 "+primary.port(), "--repl-diskless-sync-delay", "0")
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor limits 127.0.0.1 %s 1\nsentinel down-after-milliseconds limits 300\nsentinel failover-timeout limits 2000\n", primary.port())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := newSentinel(t, conf)
	replica.await(func(c *redis.Client) error {
		if info := c.Info(context.Background(), "replication").Val(); !strings.Contains(info, "master_link_status:up") {
			return errors.New(info)
		}
		return nil
	})
	sentinel.await(func(c *redis.Client) error {
		replicas, err := c.Do(context.Background(), "SENTINEL", "REPLICAS", "limits").Slice()
		if err != nil || len(replicas) != 1 {
			return fmt.Errorf("%d replicas: %v", len(replicas), err)
		}
		return nil
	})
	client := Dial(&redis.UniversalOptions{Addrs: []string{sentinel.addr}, MasterName: "limits"})
	defer client.Close()
	l := New(client, Options{Wait: Wait{Replicas: 1}})
	defer l.Close()
	b := ratelimit.Bucket{Key: "budget", Limit: 1000, Window: ratelimit.Calendar(ratelimit.Month, nil), Failure: ratelimit.Closed}
	g, err := reserve(l, "a", b, 600)
	if err != nil {
		t.Fatal(err)
	}
	primary.kill()
	var away *ratelimit.UnavailableError
	if _, err := reserve(l, "b", b, 600); !errors.As(err, &away) {
		t.Errorf("while the primary is dead: %v", err)
	}
	l.Settle(context.Background(), g, []int64{700})
	await(t, func() error {
		_, err := reserve(l, "c", b, 600)
		var limited *ratelimit.LimitedError
		if !errors.As(err, &limited) || limited.Remaining != 300 {
			return fmt.Errorf("after the failover: %v", err)
		}
		return nil
	})
}
