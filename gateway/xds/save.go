package xds

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"os"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// saves is what waits to be written to disk. One write runs at a time, beside the stream: a slow disk delays no change.
type saves struct {
	resources, endpoints bool
	running              chan struct{} // closed when the write has ended; nil: none has run
	keySum               [32]byte      // of the key that was last used
}

func (s *saves) dirty(k kind) {
	if k == resources {
		s.resources = true
	} else {
		s.endpoints = true
	}
}

// busy says whether a write is running.
func (s *saves) busy() bool {
	select {
	case <-s.running:
		return false
	default:
		return s.running != nil
	}
}

// saveSome writes what has changed, unless a write is running. Nothing is written while resources wait or were refused: the
// two files must fit each other. A new key writes everything anew, since the old one may be gone at the next start.
func (c *Client) saveSome() {
	if c.disk == nil || c.saves.busy() || !c.serving {
		return
	}
	if key, err := c.disk.key(); err == nil {
		sum := sha256.Sum256(key)
		if c.saves.keySum != [32]byte{} && !bytes.Equal(sum[:], c.saves.keySum[:]) {
			c.saves.resources, c.saves.endpoints = true, true
		}
		c.saves.keySum = sum
	}
	var jobs []func() error
	if c.saves.resources {
		all := maps.Clone(c.received.resources)
		jobs = append(jobs, func() error { return saveAs(c.disk, resources, all) })
		c.saves.resources = false
	}
	if c.saves.endpoints {
		all := maps.Clone(c.received.endpoints)
		jobs = append(jobs, func() error { return saveAs(c.disk, endpoints, all) })
		c.saves.endpoints = false
	}
	if len(jobs) == 0 {
		return
	}
	done := make(chan struct{})
	c.saves.running = done
	go func() {
		defer close(done)
		for _, job := range jobs {
			if err := job(); err != nil {
				c.o.Log.Warn("the last good configuration was not written", "error", err)
			}
		}
	}()
}

// saveAll writes what has not been written yet, at the end.
func (c *Client) saveAll() {
	for range 2 { // one that runs, and what it has missed
		if c.saves.running != nil {
			<-c.saves.running
		}
		c.saveSome()
	}
	if c.saves.running != nil {
		<-c.saves.running
	}
}

// restore gives the Sink what is on disk.
func (c *Client) restore(ctx context.Context) {
	if c.disk == nil {
		return
	}
	loaded := newReceived()
	err := c.load(resources, func(r *discovery.DeltaDiscoveryResponse) error { _, err := loaded.mergeResources(r); return err })
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err == nil {
		err = c.load(endpoints, func(r *discovery.DeltaDiscoveryResponse) error { _, err := loaded.mergeEndpoints(r); return err })
		if errors.Is(err, os.ErrNotExist) {
			err = nil // the control plane sends them
		}
	}
	if err == nil {
		err = c.o.Sink.Apply(ctx, loaded.full())
	}
	if err != nil {
		c.o.Log.Warn("the last good configuration on disk is not used", "error", err)
		return
	}
	c.received, c.fed, c.serving = loaded, true, true
	c.restored.Store(true)
	c.o.Log.Info("serving the last good configuration from disk", "resources", len(loaded.resources), "endpoints", len(loaded.endpoints))
}

func (c *Client) load(k kind, merge func(*discovery.DeltaDiscoveryResponse) error) error {
	resp, err := c.disk.load(k)
	if err != nil {
		return err
	}
	return merge(resp)
}
