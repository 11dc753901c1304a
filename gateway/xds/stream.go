package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/nantian-gw/nantian/gateway/config"
)

// adsStream is the client's end of a stream.
type adsStream = discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient

// session is one open stream. One goroutine handles what it brings.
type session struct {
	*Client
	stream    adsStream
	responses chan *discovery.DeltaDiscoveryResponse
	failed    chan error // what the stream ended with
	held      *held      // nil: nothing waits
}

// held is a change of resources that waits for endpoints.
type held struct {
	response *discovery.DeltaDiscoveryResponse
	update   config.Update
	fault    error
	lacks    map[string]bool
	timer    *time.Timer
}

// connect opens a stream and handles it until it ends.
func (c *Client) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	for _, k := range kinds {
		if err := stream.Send(c.subscribe(k)); err != nil {
			_, err = stream.Recv() // Send says no more than that the stream has ended
			return err
		}
	}
	c.o.Metrics.Connected(true)
	defer c.o.Metrics.Connected(false)
	s := &session{Client: c, stream: stream, responses: make(chan *discovery.DeltaDiscoveryResponse), failed: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.failed <- s.receive(ctx)
	}()
	err = s.handle(ctx)
	cancel()
	<-done
	return err
}

func (c *Client) subscribe(k kind) *discovery.DeltaDiscoveryRequest {
	n := c.o.Node
	return &discovery.DeltaDiscoveryRequest{
		Node: &core.Node{
			Id: n.ID, Cluster: n.Group, UserAgentName: "nantian",
			UserAgentVersionType: &core.Node_UserAgentVersion{UserAgentVersion: n.Build},
			Metadata:             &structpb.Struct{Fields: map[string]*structpb.Value{"schema_level": structpb.NewNumberValue(float64(n.Level))}},
		},
		TypeUrl: k.typeURL, ResourceNamesSubscribe: []string{"*"}, InitialResourceVersions: c.received.versions(k),
	}
}

// saveEvery is how often at most the last good set is written.
const saveEvery = time.Second

func (s *session) handle(ctx context.Context) error {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	defer s.release(ctx) // what was received is to be served, also when the stream has ended meanwhile
	for {
		var err error
		select {
		case resp := <-s.responses:
			err = s.response(ctx, resp)
		case <-s.heldTimer():
			err = s.release(ctx)
		case <-tick.C:
			s.saveSome()
		case err = <-s.failed:
			return s.reason(err)
		}
		if errors.Is(err, io.EOF) { // of Send
			return s.reason(s.drain())
		}
		if err != nil {
			return err
		}
	}
}

// drain waits for the error that a stream has ended with.
func (s *session) drain() error {
	for {
		select {
		case <-s.responses: // not merged: it comes again on the next stream
		case err := <-s.failed:
			return err
		}
	}
}

func (s *session) reason(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the control plane has ended the stream")
	}
	return err
}

// receive hands responses on one at a time: no more are read than are handled.
func (s *session) receive(ctx context.Context) error {
	for {
		resp, err := s.stream.Recv()
		if err != nil {
			return err
		}
		select {
		case s.responses <- resp:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *session) response(ctx context.Context, resp *discovery.DeltaDiscoveryResponse) error {
	switch resp.GetTypeUrl() {
	case endpoints.typeURL:
		return s.endpoints(ctx, resp)
	case resources.typeURL:
		return s.resources(ctx, resp)
	}
	return fmt.Errorf("the control plane has sent the type %q", resp.GetTypeUrl())
}

func (s *session) endpoints(ctx context.Context, resp *discovery.DeltaDiscoveryResponse) error {
	u, fault := s.received.mergeEndpoints(resp)
	if err := s.received.tooMany(); err != nil {
		return err
	}
	s.keepUsed(&u)
	start := time.Now()
	var err error
	if len(u.Endpoints)+len(u.RemovedEndpoints) > 0 {
		err = s.o.Sink.Apply(ctx, u)
	}
	if err != nil {
		s.received.refuse(u)
	}
	s.saves.dirty(endpoints)
	if err := s.answer(endpoints, resp, errors.Join(fault, err), time.Since(start)); err != nil {
		return err
	}
	return s.seen(ctx, resp)
}

// keepUsed puts removals off while the resources that serve may still use what is removed: those that do without were
// refused, or wait.
func (s *session) keepUsed(u *config.Update) {
	for key := range u.Endpoints {
		delete(s.leaving, key)
	}
	if s.serving {
		return
	}
	for _, key := range u.RemovedEndpoints {
		s.leaving[key] = true
	}
	u.RemovedEndpoints = nil
}

// seen lets a change go that waited for no other endpoints than these.
func (s *session) seen(ctx context.Context, resp *discovery.DeltaDiscoveryResponse) error {
	if s.held == nil {
		return nil
	}
	for _, n := range resp.GetResources() {
		delete(s.held.lacks, n.GetName())
	}
	if len(s.held.lacks) > 0 {
		return nil
	}
	return s.release(ctx)
}

func (s *session) resources(ctx context.Context, resp *discovery.DeltaDiscoveryResponse) error {
	if err := s.release(ctx); err != nil {
		return err
	}
	s.serving = false
	u, fault := s.received.mergeResources(resp)
	if err := s.received.tooMany(); err != nil {
		return err
	}
	s.held = &held{response: resp, update: u, fault: fault, lacks: s.received.lacking(u)}
	if len(s.held.lacks) == 0 {
		return s.release(ctx)
	}
	s.held.timer = time.NewTimer(s.o.MaxWait)
	return nil
}

func (s *session) heldTimer() <-chan time.Time {
	if s.held == nil || s.held.timer == nil {
		return nil
	}
	return s.held.timer.C
}

// release applies the change that is held and answers it.
func (s *session) release(ctx context.Context) error {
	h := s.held
	if h == nil {
		return nil
	}
	s.held = nil
	if h.timer != nil {
		h.timer.Stop()
	}
	start := time.Now()
	s.verdict = errors.Join(h.fault, s.apply(ctx, h.update))
	s.serving = s.verdict == nil
	s.saves.dirty(resources)
	return s.answer(resources, h.response, errors.Join(s.verdict, s.leave(ctx)), time.Since(start))
}

// apply gives the Sink a change of resources. When there is none the verdict on what it has stands.
func (s *session) apply(ctx context.Context, u config.Update) error {
	switch {
	case !s.fed:
		u = s.received.full()
	case len(u.Set)+len(u.Removed) == 0:
		return s.verdict
	}
	s.fed = true
	return s.o.Sink.Apply(ctx, u)
}

// leave takes away the endpoints that nothing uses any more once what was received serves.
func (s *session) leave(ctx context.Context) error {
	if !s.serving || len(s.leaving) == 0 {
		return nil
	}
	u := config.Update{RemovedEndpoints: slices.Sorted(maps.Keys(s.leaving))}
	clear(s.leaving)
	return s.o.Sink.Apply(ctx, u)
}

// maxReason is the most bytes of a NACK's reason.
const maxReason = 4 << 10

// answer acknowledges a response, or refuses it with the reason.
func (s *session) answer(k kind, resp *discovery.DeltaDiscoveryResponse, reason error, took time.Duration) error {
	s.o.Metrics.Response(k.name, proto.Size(resp), reason != nil, took)
	req := &discovery.DeltaDiscoveryRequest{TypeUrl: k.typeURL, ResponseNonce: resp.GetNonce()}
	if reason != nil {
		text := reason.Error()
		s.o.Log.Warn("configuration refused", "kind", k.name, "error", text)
		req.ErrorDetail = &rpc.Status{Code: int32(codes.InvalidArgument), Message: strings.ToValidUTF8(text[:min(len(text), maxReason)], "")}
	}
	if !s.heard {
		s.heard = true
		s.o.Log.Info("receiving configuration from the control plane", "address", s.o.Address)
	}
	s.current.Store(k, true)
	return s.stream.Send(req)
}
