// Package config holds what a data plane has received and what it serves: Apply validates, compiles and swaps, or refuses.
// A refused update is remembered but not served, so that a later update that repairs it brings all of it to life.
package config

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/gateway/table"
)

// Sink takes configuration, whoever sends it. An error is a refusal (NACK): what was applied goes on serving.
type Sink interface {
	Apply(ctx context.Context, u Update) error
}

// Update is one atomic change.
type Update struct {
	// Full replaces everything that was received before.
	Full             bool
	Set              map[string]*xdsv1.Resource
	Removed          []string
	Endpoints        map[string]*xdsv1.Endpoints
	RemovedEndpoints []string
}

// Serve is told of each new table; it is called by one goroutine at a time. What it cannot serve (a port that is taken) is
// no fault of the configuration and its own to report.
type Serve func(t *table.Table, rs map[string]*xdsv1.Resource)

// Store is the Sink of a data plane. It is safe for concurrent use.
type Store struct {
	builder table.Builder
	serve   Serve

	mu        sync.Mutex
	received  map[string]*xdsv1.Resource
	invalid   map[string]error
	endpoints map[string]*xdsv1.Endpoints
	removed   map[string]bool // of endpoints, those that go with the next table
	waiting   bool            // the last change was refused, and waits to be repaired
	applied   *table.Table
}

var _ Sink = (*Store)(nil)

// New makes an empty Store.
func New(b table.Builder, serve Serve) *Store {
	return &Store{builder: b, serve: serve, received: map[string]*xdsv1.Resource{}, invalid: map[string]error{},
		endpoints: map[string]*xdsv1.Endpoints{}, removed: map[string]bool{}}
}

// Apply implements Sink. What an update removes goes on serving until the update is applied: a refused one takes nothing
// away.
func (s *Store) Apply(_ context.Context, u Update) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.mergeEndpoints(u)
	if u.Full || len(u.Set) > 0 || len(u.Removed) > 0 {
		s.merge(u)
		refused := s.compile()
		s.waiting = refused != nil
		err = errors.Join(err, refused)
	} else if !s.waiting {
		s.dropEndpoints()
	}
	return err
}

// merge adds an update to what was received, valid or not.
func (s *Store) merge(u Update) {
	s.received = maps.Clone(s.received) // the table before may still be compiled from it elsewhere
	if u.Full {
		clear(s.received)
		clear(s.invalid)
	}
	for key, r := range u.Set {
		s.received[key] = r
		delete(s.invalid, key)
		if err := xdsv1.Validate(r); err != nil {
			s.invalid[key] = err
		}
	}
	for _, key := range u.Removed {
		delete(s.received, key)
		delete(s.invalid, key)
	}
}

// mergeEndpoints gives the clusters that serve their endpoints. Endpoints that are not valid leave those before.
func (s *Store) mergeEndpoints(u Update) error {
	if u.Full {
		for key := range s.endpoints {
			s.removed[key] = true
		}
	}
	for _, key := range u.RemovedEndpoints {
		s.removed[key] = true
	}
	var errs []error
	for key, e := range u.Endpoints {
		delete(s.removed, key)
		if err := xdsv1.ValidateEndpoints(e); err != nil {
			errs = append(errs, err)
			continue
		}
		s.endpoints[key] = e
		if s.applied != nil {
			s.applied.SetEndpoints(key, e.Endpoints)
		}
	}
	return errors.Join(errs...)
}

// dropEndpoints takes away what has been removed.
func (s *Store) dropEndpoints() {
	for key := range s.removed {
		delete(s.endpoints, key)
		if s.applied != nil {
			s.applied.SetEndpoints(key, nil)
		}
	}
	clear(s.removed)
}

// compile makes a table of all that was received and swaps it in.
func (s *Store) compile() error {
	if len(s.invalid) > 0 {
		return s.invalidError()
	}
	t, err := table.Compile(s.received, s.applied, s.builder)
	if err != nil {
		return err
	}
	for key, e := range s.endpoints {
		t.SetEndpoints(key, e.Endpoints)
	}
	s.serve(t, s.received)
	for _, c := range t.Retired(s.applied) {
		c.Close()
	}
	s.applied = t
	s.dropEndpoints()
	return nil
}

func (s *Store) invalidError() error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(s.invalid)) {
		errs = append(errs, s.invalid[key])
	}
	return errors.Join(errs...)
}

// Close ends what the clusters that serve do by themselves. Nothing is to be applied afterwards.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.applied == nil {
		return
	}
	for _, c := range s.applied.Clusters() {
		c.Close()
	}
}

// Applied says whether anything has been applied yet.
func (s *Store) Applied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied != nil
}

// Received returns what was received, to look at only.
func (s *Store) Received() (map[string]*xdsv1.Resource, map[string]*xdsv1.Endpoints) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received, maps.Clone(s.endpoints)
}
