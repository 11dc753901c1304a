package xds

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	delta "github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// LevelField is the field of the node's metadata that holds the schema level of a data plane, a number.
const LevelField = "schema_level"

// stream is one open stream. It is the cache and the callbacks of its own delta server, so that whose configuration it gets
// was decided when it was opened, and nothing that a request says can change it. Its methods are called by one goroutine.
type stream struct {
	server  *Server
	group   *group
	view    *view // set by the first request
	cursors map[string]*cursor
	sent    map[string]*sent
	about   DataPlane
}

var (
	_ cache.ConfigWatcher = (*stream)(nil)
	_ delta.Callbacks     = (*stream)(nil)
)

// DeltaAggregatedResources serves one data plane.
func (s *Server) DeltaAggregatedResources(str discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Log.Error("panic in a stream", "panic", p, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	id, err := s.o.Authenticator.Authenticate(str.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	st, err := s.open(id)
	if err != nil {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	defer s.close(st)
	ctx, cancel := s.lifetime(id)
	defer cancel()
	if err := delta.NewServer(ctx, st, st).DeltaStreamHandler(str, ""); err != nil {
		return err
	}
	switch ctx.Err() {
	case nil:
		return nil
	case context.DeadlineExceeded:
		return status.Error(codes.Unauthenticated, "the credentials are about to expire; open a new stream")
	}
	return status.Error(codes.Unavailable, "the control plane is shutting down")
}

// lifetime ends with the server, or in the last tenth of the identity's time, for each stream at another moment so that the
// data planes of a group do not all come back at once.
func (s *Server) lifetime(id Identity) (context.Context, context.CancelFunc) {
	if id.Expires.IsZero() {
		return context.WithCancel(s.ctx)
	}
	left := time.Until(id.Expires)
	return context.WithTimeout(s.ctx, left-time.Duration(float64(left)*0.1*s.o.rand()))
}

// OnDeltaStreamOpen implements delta.Callbacks.
func (st *stream) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }

// OnDeltaStreamClosed implements delta.Callbacks.
func (st *stream) OnDeltaStreamClosed(int64, *core.Node) {}

// OnStreamDeltaRequest implements delta.Callbacks: it refuses what is not allowed and takes note of answers.
func (st *stream) OnStreamDeltaRequest(_ int64, req *discovery.DeltaDiscoveryRequest) error {
	if err := st.check(req); err != nil {
		return err
	}
	if st.view == nil {
		if err := st.attach(req.GetNode()); err != nil {
			return err
		}
	}
	st.answered(req)
	return nil
}

func (st *stream) check(req *discovery.DeltaDiscoveryRequest) error {
	if c := req.GetNode().GetCluster(); c != "" && c != st.group.name {
		return status.Errorf(codes.PermissionDenied, "the node says it is of group %q, its credentials are of group %q", bounded(c, maxID), st.group.name)
	}
	if t := req.GetTypeUrl(); t != TypeResource && t != TypeEndpoints {
		return status.Errorf(codes.InvalidArgument, "type %q is not served here", bounded(t, maxID))
	}
	// The subscription's state is shared; anything but a wildcard would change it (stream.Subscription).
	if len(req.GetResourceNamesUnsubscribe()) > 0 {
		return status.Error(codes.InvalidArgument, "subscriptions cannot be ended one by one")
	}
	for _, name := range req.GetResourceNamesSubscribe() {
		if name != "*" {
			return status.Error(codes.InvalidArgument, `only a subscription to "*" is served`)
		}
	}
	return nil
}

// attach chooses the view by the level that the node states. A level that is missing counts as the first, and one that this
// version does not know as the newest that it does.
func (st *stream) attach(n *core.Node) error {
	level := uint32(1)
	if v := n.GetMetadata().GetFields()[LevelField].GetNumberValue(); v >= 1 {
		level = uint32(min(v, float64(st.server.o.Level)))
	}
	g := st.group
	g.mu.Lock()
	v, err := g.view(st.server.o.lens(level))
	if err != nil {
		g.mu.Unlock()
		return status.Error(codes.Internal, err.Error())
	}
	v.streams++
	st.view = v
	g.mu.Unlock()
	st.about.ID, st.about.Build = bounded(n.GetId(), maxID), bounded(n.GetUserAgentVersion(), maxID)
	st.about.Level = level
	st.tell(true)
	return nil
}

// answered takes note of an ACK or NACK.
func (st *stream) answered(req *discovery.DeltaDiscoveryRequest) {
	sent := st.sent[req.GetTypeUrl()]
	if sent == nil {
		return
	}
	version, ok := sent.take(req.GetResponseNonce())
	if !ok {
		return
	}
	e := req.GetErrorDetail()
	if req.GetTypeUrl() == TypeEndpoints {
		st.tell(st.about.Endpoints.take(version, e.GetMessage(), e != nil))
		return
	}
	st.about.Resources.take(version, e.GetMessage(), e != nil)
	st.tell(true)
}

// tell makes the state of the stream known, and the observer hear of it when it is news.
func (st *stream) tell(news bool) {
	st.group.mu.Lock()
	st.about.Withheld = st.view.withheld[:min(len(st.view.withheld), maxKeys)]
	st.group.streams[st] = st.about
	st.group.mu.Unlock()
	if news && st.server.o.Observer != nil {
		st.server.o.Observer.Changed(st.about)
	}
}

// OnStreamDeltaResponse implements delta.Callbacks.
func (st *stream) OnStreamDeltaResponse(_ int64, _ *discovery.DeltaDiscoveryRequest, resp *discovery.DeltaDiscoveryResponse) {
	if st.sent[resp.GetTypeUrl()] == nil {
		st.sent[resp.GetTypeUrl()] = &sent{}
	}
	st.sent[resp.GetTypeUrl()].add(nonce{resp.GetNonce(), resp.GetSystemVersionInfo()})
}

// CreateDeltaWatch implements cache.ConfigWatcher.
func (st *stream) CreateDeltaWatch(req *cache.DeltaRequest, _ cache.Subscription, out chan cache.DeltaResponse) (func(), error) {
	typeURL := req.GetTypeUrl()
	c := st.cursors[typeURL]
	if c == nil {
		c = &cursor{resume: req.GetInitialResourceVersions()}
		st.cursors[typeURL] = c
	}
	// The request is kept by its watch; the versions in it may be large, and are in the cursor.
	req.InitialResourceVersions = nil
	st.group.mu.Lock()
	defer st.group.mu.Unlock()
	cancel, err := st.view.of(typeURL).watch(&watch{request: req, out: out, cursor: c})
	if cancel == nil || err != nil {
		return nil, err
	}
	return func() {
		st.group.mu.Lock()
		defer st.group.mu.Unlock()
		cancel()
	}, nil
}

// CreateWatch implements cache.ConfigWatcher for the protocol that is not served.
func (st *stream) CreateWatch(*cache.Request, cache.Subscription, chan cache.Response) (func(), error) {
	return nil, fmt.Errorf("only delta is served")
}
