// Package snapshot owns what the control plane publishes: the resources of one group of data planes with a version of each,
// and the difference of two of them.
package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
)

// Snapshot is the configuration of one group of data planes. It is not changed after New.
type Snapshot struct {
	// Resources by key.
	Resources map[string]*xdsv1.Resource
	// Versions by key: a hash of the content, so that it is the same on every replica of the control plane.
	Versions map[string]string
}

// New makes a Snapshot; the caller must not change the resources afterwards.
func New(resources map[string]*xdsv1.Resource) (*Snapshot, error) { return After(nil, resources) }

// After is New with the snapshot before, or nil: what is the very same resource keeps its version.
func After(last *Snapshot, resources map[string]*xdsv1.Resource) (*Snapshot, error) {
	s := &Snapshot{Resources: resources, Versions: make(map[string]string, len(resources))}
	for key, r := range resources {
		if last != nil && last.Resources[key] == r {
			s.Versions[key] = last.Versions[key]
			continue
		}
		v, err := Version(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		s.Versions[key] = v
	}
	return s, nil
}

// Version is the content hash of a message.
func Version(m proto.Message) (string, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12]), nil
}

// Diff tells what has changed since old: the resources that are new or different, and the keys that are gone, in order. A
// nil old is an empty one.
func (s *Snapshot) Diff(old *Snapshot) (set map[string]*xdsv1.Resource, removed []string) {
	set = map[string]*xdsv1.Resource{}
	if old == nil {
		old = &Snapshot{}
	}
	for key, r := range s.Resources {
		if old.Versions[key] != s.Versions[key] {
			set[key] = r
		}
	}
	for _, key := range slices.Sorted(maps.Keys(old.Resources)) {
		if _, ok := s.Resources[key]; !ok {
			removed = append(removed, key)
		}
	}
	return set, removed
}

// Same says whether a snapshot has the same content as another one.
func (s *Snapshot) Same(o *Snapshot) bool { return maps.Equal(s.Versions, o.Versions) }

// Keys lists the keys in order.
func (s *Snapshot) Keys() []string { return slices.Sorted(maps.Keys(s.Resources)) }
