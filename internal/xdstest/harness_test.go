package xdstest

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/test/bufconn"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
	control "github.com/nantian-gw/nantian/controlplane/xds"
	"github.com/nantian-gw/nantian/gateway/config"
	"github.com/nantian-gw/nantian/gateway/table"
	data "github.com/nantian-gw/nantian/gateway/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const group = "prod/web"

// everyone is an Authenticator that lets each connection be of one group.
type everyone string

func (e everyone) Authenticate(context.Context) (control.Identity, error) {
	return control.Identity{Group: string(e)}, nil
}

// plane is a control plane at a pipe that can be stopped and started again.
type plane struct {
	t      testing.TB
	server *control.Server
	pipe   *bufconn.Listener
	stop   func()
}

func start(t testing.TB, o control.Options) *plane {
	t.Helper()
	if o.Authenticator == nil {
		o.Authenticator = everyone(group)
	}
	s, err := control.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{t: t, server: s, pipe: bufconn.Listen(1 << 20)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, p.pipe) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

func (p *plane) set(s *snapshot.Snapshot, e map[string]*xdsv1.Endpoints) {
	p.t.Helper()
	if err := p.server.SetGroup(group, s, e); err != nil {
		p.t.Fatal(err)
	}
}

// line is the way from clients to whichever plane is at its end.
type line struct {
	mu    sync.Mutex
	plane *plane
	dials int
}

func (l *line) to(p *plane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.plane = p
}

func (l *line) dial(ctx context.Context, _ string) (net.Conn, error) {
	l.mu.Lock()
	l.dials++
	p := l.plane
	l.mu.Unlock()
	if p == nil {
		return nil, fmt.Errorf("nobody is there")
	}
	return p.pipe.DialContext(ctx)
}

// sink records updates; refuse makes it refuse like a Store.
type sink struct {
	mu      sync.Mutex
	store   *config.Store
	updates []config.Update
	serving map[string]*xdsv1.Resource
	tables  int
}

func newSink() *sink {
	s := &sink{}
	s.store = config.New(noHandlers{}, func(_ *table.Table, rs map[string]*xdsv1.Resource) {
		s.serving = rs
		s.tables++
	})
	return s
}

func (s *sink) Apply(ctx context.Context, u config.Update) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates = append(s.updates, u)
	return s.store.Apply(ctx, u)
}

// see runs f under the lock.
func (s *sink) see(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *sink) keys() (keys []string) {
	s.see(func() { keys = slices.Sorted(maps.Keys(s.serving)) })
	return keys
}

func (s *sink) count() (n int) {
	s.see(func() { n = len(s.updates) })
	return n
}

func (s *sink) last() (u config.Update) {
	s.see(func() { u = s.updates[len(s.updates)-1] })
	return u
}

// options of a client with short waits.
func options(l *line, s config.Sink) data.Options {
	return data.Options{
		Address: "controller", Dial: l.dial, Sink: s, Node: data.Node{ID: "pod-1", Group: group, Build: "v0"},
		MinBackoff: 20 * time.Millisecond, MaxBackoff: 50 * time.Millisecond,
	}
}

// run starts a client; stop waits until it has ended.
func run(t testing.TB, o data.Options) (c *data.Client, stop func()) {
	t.Helper()
	c, err := data.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

// eventually waits until what has become true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
