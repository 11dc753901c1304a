//go:build redis

package redis

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A server is a redis-server of the machine's, on a free port.
type server struct {
	t    testing.TB
	addr string
	dir  string
	args []string
	cmd  *exec.Cmd

	sentinel bool
}

// newServer starts a redis-server that ends with the test.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, addr: freeAddr(t), dir: t.TempDir(), args: args}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func newSentinel(t testing.TB, conf string) *server {
	t.Helper()
	s := &server{t: t, addr: freeAddr(t), dir: t.TempDir(), args: []string{conf, "--sentinel"}, sentinel: true}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().(*net.TCPAddr)
		l.Close()
		if addr.Port < 50000 { // a cluster's bus is 10,000 ports above
			return addr.String()
		}
	}
	t.Fatal("no free port")
	return ""
}

func (s *server) port() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return port
}

func (s *server) start() {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	args := append(s.args, "--port", s.port(), "--bind", "127.0.0.1", "--dir", s.dir, "--daemonize", "no")
	if !s.sentinel {
		args = append(args, "--save", "")
	}
	s.cmd = exec.Command("redis-server", args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("redis-server: %v (scripts/deps installs it)", err)
	}
	s.await(func(c *redis.Client) error { return c.Ping(context.Background()).Err() })
}

// kill ends the server at once, as a crash would.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// await calls f until it succeeds.
func (s *server) await(f func(*redis.Client) error) {
	s.t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.addr})
	defer c.Close()
	await(s.t, func() error { return f(c) })
}

func await(t testing.TB, f func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *server) client() redis.UniversalClient {
	c := Dial(&redis.UniversalOptions{Addrs: []string{s.addr}})
	s.t.Cleanup(func() { c.Close() })
	return c
}

// newCluster starts primaries and as many replicas for the first of them.
func newCluster(t testing.TB, primaries, replicas int) []*server {
	t.Helper()
	var nodes []*server
	for range primaries + replicas {
		nodes = append(nodes, newServer(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no",
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"))
	}
	ctx := context.Background()
	for i, n := range nodes {
		n.await(func(c *redis.Client) error {
			if i < primaries {
				from, to := i*clusterSlots/primaries, (i+1)*clusterSlots/primaries-1
				if err := c.ClusterAddSlotsRange(ctx, from, to).Err(); err != nil && !strings.Contains(err.Error(), "already busy") {
					return err
				}
			}
			return c.ClusterMeet(ctx, "127.0.0.1", nodes[0].port()).Err()
		})
	}
	for _, n := range nodes {
		n.await(func(c *redis.Client) error {
			info, err := c.ClusterInfo(ctx).Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(nodes))) {
				return fmt.Errorf("%v %s", err, info)
			}
			return nil
		})
	}
	for _, n := range nodes[primaries:] {
		n.follow(nodes[0])
	}
	return nodes
}

// follow makes a node of a cluster a replica of another and waits until it is.
func (s *server) follow(primary *server) {
	s.t.Helper()
	ctx := context.Background()
	var id string
	primary.await(func(c *redis.Client) (err error) {
		id, err = c.Do(ctx, "CLUSTER", "MYID").Text()
		return err
	})
	s.await(func(c *redis.Client) error {
		if err := c.ClusterReplicate(ctx, id).Err(); err != nil {
			return err
		}
		info, err := c.Info(ctx, "replication").Result()
		if err != nil || !strings.Contains(info, "master_link_status:up") {
			return fmt.Errorf("%v %s", err, info)
		}
		return nil
	})
}

func clusterClient(t testing.TB, nodes []*server) redis.UniversalClient {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.addr)
	}
	c := Dial(&redis.UniversalOptions{Addrs: addrs})
	t.Cleanup(func() { c.Close() })
	return c
}
