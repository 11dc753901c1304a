// Package xds gives data planes their configuration over xDS: delta ADS (envoy.service.discovery.v3) with the project's own
// two types. It owns a log of revisions for each group and type, who may have which, and what data planes answered.
//
// It must not import the data plane. The protocol is go-control-plane's; the cache under it is here, since a change must
// cost what it changes, not what there is, however many data planes wait.
package xds

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/reflect/protoreflect"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// maxMessage is the most bytes of a request or a response; gRPC's own default of 4 MiB is less than a first response may
// have.
const maxMessage = 256 << 20

// maxContent is the most bytes of the resources of one type; what is left is for the names of those removed.
const maxContent = maxMessage / 4 * 3

// Options configure a Server. The zero value of a field is its default.
type Options struct {
	// Authenticator tells whose configuration a stream may have. Required.
	Authenticator Authenticator
	// TLS of Serve; nil: plain text, for tests and loopback only.
	TLS *tls.Config
	// Observer is told what data planes do; nil: nobody.
	Observer Observer
	// Log takes what operators should know; nil: nothing.
	Log *slog.Logger
	// Gather is how long changes of endpoints wait for others; zero: 20 ms.
	Gather time.Duration
	// MaxDataPlanes is the most streams of one group; zero: 10,000.
	MaxDataPlanes int
	// Level and Since are the schema level of this control plane and what came with which; zero: those of package xdsv1.
	Level uint32
	Since func(protoreflect.FullName) uint32

	rand func() float64
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Gather == 0 {
		o.Gather = 20 * time.Millisecond
	}
	if o.MaxDataPlanes == 0 {
		o.MaxDataPlanes = 10000
	}
	if o.Level == 0 {
		o.Level = xdsv1.Level
	}
	if o.Since == nil {
		o.Since = xdsv1.Since
	}
	o.rand = rand.Float64
	return o
}

func (o Options) lens(level uint32) lens {
	return lens{level: level, newest: level >= o.Level, since: o.Since}
}

// Server serves groups of data planes. It is safe for concurrent use. A data plane of a group that was never set waits, and
// goes on with what it has.
type Server struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer

	o   Options
	ctx context.Context
	end context.CancelFunc

	mu      sync.Mutex
	groups  map[string]*group // those that are set, and those with streams
	streams uint64            // opened so far
}

var _ discovery.AggregatedDiscoveryServiceServer = (*Server)(nil)

// New makes a Server without groups.
func New(o Options) (*Server, error) {
	if o.Authenticator == nil {
		return nil, errors.New("xds: Options.Authenticator is required")
	}
	s := &Server{o: o.withDefaults(), groups: map[string]*group{}}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s, nil
}

// SetGroup makes a snapshot and its endpoints what the data planes of a group have. Endpoints go before resources that need
// them, and replace what SetEndpoints said before. It costs what is compared, and to each data plane goes what is different.
// The caller must not change what it gave. An error says what was not published, since it could not be encoded or is larger
// than one response may be: the resources, and then nothing of the snapshot was, or the endpoints alone.
func (s *Server) SetGroup(name string, snap *snapshot.Snapshot, endpoints map[string]*xdsv1.Endpoints) error {
	g := s.hold(name)
	defer s.letGo(g)
	return g.set(snap, endpoints)
}

// SetEndpoints changes the endpoints of some backends of a group that is set, and costs what it changes. It is published
// together with what else changes within Options.Gather.
func (s *Server) SetEndpoints(name string, set map[string]*xdsv1.Endpoints, removed []string) {
	g := s.hold(name)
	defer s.letGo(g)
	g.setEndpoints(set, removed)
}

// RemoveGroup sends removals of all that the group's data planes have.
func (s *Server) RemoveGroup(name string) {
	g := s.hold(name)
	defer s.letGo(g)
	g.remove()
}

// DataPlanes are those connected to this replica that have made a request, of one group, oldest first.
func (s *Server) DataPlanes(group string) []DataPlane {
	g := s.hold(group)
	defer s.letGo(g)
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []DataPlane
	for _, dp := range g.streams {
		if dp.Stream != 0 {
			out = append(out, dp)
		}
	}
	slices.SortFunc(out, func(a, b DataPlane) int { return int(a.Stream) - int(b.Stream) })
	return out
}

// Serve accepts data planes until ctx ends or the listener fails; it closes the listener. All streams of the Server have
// then ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	gs := grpc.NewServer(s.serverOptions()...)
	discovery.RegisterAggregatedDiscoveryServiceServer(gs, s)
	stop := context.AfterFunc(ctx, func() {
		s.end()
		// A data plane that does not read holds its stream: it is not waited for.
		hard := time.AfterFunc(grace, gs.Stop)
		defer hard.Stop()
		gs.GracefulStop()
	})
	err := gs.Serve(l)
	if !stop() {
		return nil
	}
	s.end()
	gs.Stop()
	return err
}

// grace is how long streams have to end at shutdown.
const grace = 5 * time.Second

func (s *Server) serverOptions() []grpc.ServerOption {
	out := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage), grpc.SharedWriteBuffer(true),
		grpc.ConnectionTimeout(10 * time.Second), grpc.MaxConcurrentStreams(8),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if s.o.TLS != nil {
		out = append(out, grpc.Creds(credentials.NewTLS(s.o.TLS)))
	}
	return out
}
