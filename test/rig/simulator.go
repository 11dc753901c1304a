package rig

import (
	"context"
	"net"
	"testing"

	"github.com/nantian-gw/nantian/internal/simulator"
)

// Simulator is a simulated provider of all schemas.
type Simulator struct {
	*simulator.Server
	// URL is its address without a path.
	URL string
}

// Simulate runs a simulator until the test ends.
func Simulate(t testing.TB, o simulator.Options) *Simulator {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return SimulateAt(t, l, "http", o)
}

// SimulateAt is Simulate on a listener of the caller's.
func SimulateAt(t testing.TB, l net.Listener, scheme string, o simulator.Options) *Simulator {
	s := simulator.New(o)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		<-done
	})
	return &Simulator{Server: s, URL: scheme + "://" + l.Addr().String()}
}
