package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nantian-gw/nantian/benchmarks/process"
)

// The subjects that there always are, in the order of the table.
const (
	direct  = "direct"
	bare    = "bare"
	gateway = "nantian"
)

// subject is something that answers at an address.
type subject struct {
	name, addr string
	// admin is the gateway's admin listener.
	admin string
	// peer says how it is to be asked; nil: as the gateway is.
	peer *peer
	proc *process.Process // nil for direct
}

// bench is the machinery: the upstream, and what stands in front of it.
type bench struct {
	o       *options
	dir     string // for the gateway's configuration, and the program if it is built here
	program string // the gateway
	self    string
	// upstream and upstreamH2 are the providers behind all.
	upstream, upstreamH2 subject
	redis                *process.Process // nil until it is needed
	// subjects are the names of all; peers those of others by name, missing those that are not installed, and failed those that do not work.
	subjects []string
	peers    map[string]*peer
	missing  []string
	failed   []string
	// running are those that are measured again and again, by the name of their process.
	running map[string]*subject
}

// newBench starts everything.
func newBench(ctx context.Context, o *options) (b *bench, err error) {
	b = &bench{o: o, program: o.gateway, running: map[string]*subject{}, subjects: []string{direct, bare, gateway}, peers: map[string]*peer{}}
	found, missing, err := findPeers(o.peers)
	if err != nil {
		return b, err
	}
	b.missing = missing
	for _, p := range found {
		b.peers[p.Name], b.subjects = p, append(b.subjects, p.Name)
	}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.self, err = os.Executable(); err != nil {
		return b, err
	}
	if b.dir, err = os.MkdirTemp("", "nantian-bench-"); err != nil {
		return b, err
	}
	if b.program == "" {
		if err := b.build(ctx); err != nil {
			return b, err
		}
	}
	if b.upstream, err = b.startUpstream(ctx, "upstream"); err != nil {
		return b, err
	}
	if b.upstreamH2, err = b.startUpstream(ctx, "upstream-h2"); err != nil {
		return b, err
	}
	b.running[direct], b.running[direct+h2Variant] = &b.upstream, &b.upstreamH2
	return b, nil
}

// get is a subject by the name of its process, started if it does not run yet.
func (b *bench) get(ctx context.Context, name string) (*subject, error) {
	if s := b.running[name]; s != nil {
		return s, nil
	}
	s, err := b.start(ctx, name)
	if err == nil {
		b.running[name] = s
	}
	return s, err
}

func (b *bench) close() {
	for _, s := range b.running {
		s.proc.Stop()
	}
	b.redis.Stop()
	os.RemoveAll(b.dir)
}

// build builds the gateway of this very tree.
func (b *bench) build(ctx context.Context) error {
	b.program = filepath.Join(b.dir, "nantian")
	out, err := exec.CommandContext(ctx, "go", "-C", "..", "build", "-o", b.program, "./cmd/nantian").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return nil
}

func (b *bench) startUpstream(ctx context.Context, part string) (s subject, err error) {
	if s.addr, err = freeAddr(); err != nil {
		return s, err
	}
	s.name = direct
	s.proc, err = process.Start(ctx, s.addr, b.self, part, s.addr)
	return s, err
}

// start starts a proxy.
func (b *bench) start(ctx context.Context, name string) (s *subject, err error) {
	if p := b.peers[name]; p != nil {
		return b.startPeer(ctx, p)
	}
	s = &subject{name: name}
	if s.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	switch name {
	case bare:
		s.proc, err = process.Start(ctx, s.addr, b.self, "proxy", s.addr, b.upstream.addr)
	case bare + h2Variant:
		s.proc, err = process.Start(ctx, s.addr, b.self, "proxy-h2", s.addr, b.upstreamH2.addr)
	case gateway + redisVariant:
		var url string
		if url, err = b.startRedis(ctx); err == nil {
			err = b.startGateway(ctx, s, "--redis", url)
		}
	default:
		err = b.startGateway(ctx, s)
	}
	return s, err
}

// startGateway starts the gateway. The access log is on, as it is for users; standard output is not read.
func (b *bench) startGateway(ctx context.Context, s *subject, more ...string) (err error) {
	if s.admin, err = freeAddr(); err != nil {
		return err
	}
	file, err := b.writeConfig(s.addr)
	if err != nil {
		return err
	}
	s.proc, err = process.Start(ctx, s.addr, b.program, append([]string{"run", "-f", file, "--admin", s.admin}, more...)...)
	return err
}

// redisServer is the program that limits are counted in.
const redisServer = "redis-server"

func (b *bench) startRedis(ctx context.Context) (url string, err error) {
	addr, err := freeAddr()
	if err != nil {
		return "", err
	}
	b.redis, err = process.Start(ctx, addr, redisServer, "--bind", "127.0.0.1", "--port", portOf(addr), "--save", "", "--appendonly", "no", "--dir", b.dir)
	return "redis://" + addr + "/0", err
}

//go:embed gateway.yaml
var gatewayYAML string

func (b *bench) writeConfig(addr string) (string, error) {
	name := filepath.Join(b.dir, "gateway-"+portOf(addr)+".yaml")
	yaml := strings.NewReplacer("PORT", portOf(addr), "UPSTREAM", portOf(b.upstream.addr), "UPH2", portOf(b.upstreamH2.addr)).Replace(gatewayYAML)
	return name, os.WriteFile(name, []byte(yaml), 0o600)
}

func freeAddr() (string, error) {
	port, err := process.FreePort()
	return "127.0.0.1:" + strconv.Itoa(port), err
}
