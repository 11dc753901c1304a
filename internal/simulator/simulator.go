package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	defaultMaxBody = 64 << 20    // bytes
	headBuffer     = 64 << 10    // bytes of a request head
	cutGrace       = time.Second // for answers that were cut to end
)

// Options are what New takes. The zero value serves the default models without a key and without faults.
type Options struct {
	// Models are the names that the model lists show; nil means the default ones (see DefaultModels).
	Models []string
	// Strict refuses models that Models does not name, as vendors do. Otherwise any name is answered.
	Strict bool
	// APIKey, when set, is required where the vendor expects it; without it requests are answered with 401.
	APIKey string
	// Directives hold for every request that does not say otherwise.
	Directives Directives
	// Count counts the tokens of a text; nil means CountWords. It is called by many requests at once.
	Count func(text []byte) int
	// Record is how many of the last requests Requests returns; 0 turns recording off.
	Record int
	// MaxBody is the largest request body read, in bytes; 0 means 64 MiB.
	MaxBody int
	// Now is the clock of timestamps in answers; nil means time.Now.
	Now func() time.Time
}

// DefaultModels are the models listed when Options.Models is nil.
func DefaultModels() []string { return []string{"sim", "sim-mini", "sim-embed"} }

// Stats are counters and gauges of a Server.
type Stats struct {
	Requests    int64 // requests begun
	Streams     int64 // streamed answers begun
	OpenStreams int64 // streamed answers under way
	Cancelled   int64 // answers given up because the client left
}

// Server is a simulated provider. All its methods may be called concurrently.
type Server struct {
	opts     Options
	http     *fasthttp.Server
	calls    sync.Pool
	prefixes prefixes
	log      requestLog

	requests, streams, open, cancelled atomic.Int64

	closing  sync.Once
	draining chan struct{} // closed when Shutdown begins: silent answers end
	done     chan struct{} // closed when the time for a graceful end is over: all answers end
}

// New returns a server that listens nowhere yet.
func New(o Options) *Server {
	if o.Models == nil {
		o.Models = DefaultModels()
	}
	if o.Count == nil {
		o.Count = CountWords
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{opts: o, draining: make(chan struct{}), done: make(chan struct{})}
	s.calls.New = func() any { return new(call) }
	s.log.max = o.Record
	s.http = &fasthttp.Server{
		Handler:                      s.serve,
		Name:                         "nantian-simulator",
		ReadBufferSize:               headBuffer,
		MaxRequestBodySize:           o.MaxBody,
		NoDefaultServerHeader:        true,
		DisablePreParseMultipartForm: true,
		Logger:                       quiet{},
	}
	return s
}

// quiet drops what fasthttp would log: cut connections are what a simulator is for.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// Serve answers on l until Shutdown, which makes it return nil, or until l fails. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	select {
	case <-s.draining:
		return errors.New("simulator: Serve after Shutdown")
	default:
	}
	if err := s.http.Serve(l); err != nil {
		return fmt.Errorf("simulator: serve %v: %w", l.Addr(), err)
	}
	return nil
}

// Handler returns the request handler for a server of the caller's. The caller should set the body limit of its own server.
func (s *Server) Handler() fasthttp.RequestHandler { return s.serve }

// Shutdown stops listening, ends silent answers, lets the others finish until ctx ends and then cuts them. It returns
// ctx's error if answers had to be cut.
func (s *Server) Shutdown(ctx context.Context) error {
	first := false
	s.closing.Do(func() { first = true })
	if !first {
		<-s.done
		return nil
	}
	close(s.draining)
	waiting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	late := context.AfterFunc(ctx, func() {
		close(s.done)
		time.AfterFunc(cutGrace, giveUp)
	})
	err := s.http.ShutdownWithContext(waiting)
	if late() {
		close(s.done)
		return err
	}
	<-s.done
	return errors.Join(fmt.Errorf("simulator: answers were cut: %w", ctx.Err()), err)
}

// Stats returns the counters and gauges as they are now.
func (s *Server) Stats() Stats {
	return Stats{
		Requests:    s.requests.Load(),
		Streams:     s.streams.Load(),
		OpenStreams: s.open.Load(),
		Cancelled:   s.cancelled.Load(),
	}
}
