// Package acks owns what data planes made of their configuration: each replica of the controller sums up what those connected
// to it acknowledged or refused, and writes it into a ConfigMap of its own, from which the leader reads the sum of all.
package acks

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nantian-gw/nantian/controlplane/xds"
)

// Group is what the data planes of a group made of their configuration.
type Group struct {
	// Name of the group.
	Name string `json:"group"`
	// Connected is how many data planes have a stream.
	Connected int `json:"connected"`
	// Acked counts the data planes that serve a version, by version.
	Acked map[string]int `json:"acked,omitempty"`
	// Refused is what the first of them, by name, does not take; nil: nothing.
	Refused *Refusal `json:"refused,omitempty"`
	// Withheld has what data planes of an older version are not given, and which ones.
	Withheld []string `json:"withheld,omitempty"`
}

// Refusal is one data plane's.
type Refusal struct {
	DataPlane string `json:"dataPlane"`
	Version   string `json:"version"`
	Message   string `json:"message"`
}

const (
	// maxMessage bounds a reason: a ConfigMap has at most 1 MiB.
	maxMessage  = 512
	maxWithheld = 5
)

// Recorder sums up what the data planes of this replica do. It is safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	streams map[uint64]xds.DataPlane
	changed chan struct{}
}

var _ xds.Observer = (*Recorder)(nil)

// NewRecorder makes a Recorder.
func NewRecorder() *Recorder {
	return &Recorder{streams: map[uint64]xds.DataPlane{}, changed: make(chan struct{}, 1)}
}

// Changed implements xds.Observer.
func (r *Recorder) Changed(dp xds.DataPlane) {
	r.mu.Lock()
	r.streams[dp.Stream] = dp
	r.mu.Unlock()
	r.tell()
}

// Gone implements xds.Observer.
func (r *Recorder) Gone(dp xds.DataPlane) {
	r.mu.Lock()
	delete(r.streams, dp.Stream)
	r.mu.Unlock()
	r.tell()
}

func (r *Recorder) tell() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// News has a token when something has changed. One goroutine may read it.
func (r *Recorder) News() <-chan struct{} { return r.changed }

// Groups is the sum by group.
func (r *Recorder) Groups() map[string]Group {
	r.mu.Lock()
	list := slices.Collect(maps.Values(r.streams))
	r.mu.Unlock()
	slices.SortFunc(list, func(a, b xds.DataPlane) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Stream, b.Stream)) })
	out := map[string]Group{}
	for _, dp := range list {
		g := out[dp.Group]
		g.add(dp)
		out[dp.Group] = g
	}
	return out
}

func (g *Group) add(dp xds.DataPlane) {
	g.Name = dp.Group
	g.Connected++
	if v := dp.Resources.Acked; v != "" {
		if g.Acked == nil {
			g.Acked = map[string]int{}
		}
		g.Acked[v]++
	}
	if f := cmp.Or(dp.Resources.Refused, dp.Endpoints.Refused); f != nil && g.Refused == nil {
		g.Refused = &Refusal{DataPlane: dp.ID, Version: f.Version, Message: strings.ToValidUTF8(f.Message[:min(len(f.Message), maxMessage)], "")}
	}
	for _, key := range dp.Withheld {
		if len(g.Withheld) < maxWithheld && !slices.Contains(g.Withheld, key) {
			g.Withheld = append(g.Withheld, key)
		}
	}
}

// Merge adds the sums of replicas up.
func Merge(replicas ...map[string]Group) map[string]Group {
	out := map[string]Group{}
	for _, groups := range replicas {
		for name, g := range groups {
			sum, ok := out[name]
			if !ok {
				sum = Group{Name: name, Acked: map[string]int{}}
			}
			sum.Connected += g.Connected
			for v, n := range g.Acked {
				sum.Acked[v] += n
			}
			if sum.Refused == nil {
				sum.Refused = g.Refused
			}
			sum.Withheld = append(slices.Clone(sum.Withheld), g.Withheld...)
			slices.Sort(sum.Withheld)
			sum.Withheld = slices.Compact(sum.Withheld)
			out[name] = sum
		}
	}
	return out
}

// Encode makes the data of a ConfigMap.
func Encode(groups map[string]Group) (map[string]string, error) {
	out := make(map[string]string, len(groups))
	for name, g := range groups {
		b, err := json.Marshal(g)
		if err != nil {
			return nil, err
		}
		out[strings.ReplaceAll(name, "/", ".")] = string(b)
	}
	return out, nil
}

// Decode reads what Encode made. What cannot be read is left out: another version may have written it.
func Decode(data map[string]string) map[string]Group {
	out := map[string]Group{}
	for _, text := range data {
		var g Group
		if json.Unmarshal([]byte(text), &g) == nil && g.Name != "" {
			out[g.Name] = g
		}
	}
	return out
}
