package xds

import (
	"fmt"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	xdsv1 "github.com/nantian-gw/nantian/api/xds/v1"
	"github.com/nantian-gw/nantian/controlplane/snapshot"
)

// The two types of the wire.
const (
	TypeResource  = "type.googleapis.com/nantian.gateway.v1.Resource"
	TypeEndpoints = "type.googleapis.com/nantian.gateway.v1.Endpoints"
)

// view is a group as the data planes of one schema level see it. Its group's lock guards it.
type view struct {
	lens      lens
	shown     *snapshot.Snapshot
	withheld  []string // keys that the level cannot understand, in order
	resources *revisions
	endpoints *revisions
	streams   int
}

func newView(l lens) *view {
	return &view{lens: l, resources: newRevisions(TypeResource), endpoints: newRevisions(TypeEndpoints)}
}

func (v *view) of(typeURL string) *revisions {
	if typeURL == TypeEndpoints {
		return v.endpoints
	}
	return v.resources
}

// batch is a change that is ready to be published.
type batch struct {
	set     []*discovery.Resource
	removed []string
}

// prepare makes ready what changes in the view with a new snapshot; it changes nothing yet.
func (v *view) prepare(s *snapshot.Snapshot) (shown *snapshot.Snapshot, withheld []string, b batch, err error) {
	shown, withheld, err = v.lens.reduce(s)
	if err != nil {
		return nil, nil, batch{}, err
	}
	set, removed := shown.Diff(v.shown)
	b.removed = removed
	for key, r := range set {
		n, err := wrap(key, shown.Versions[key], TypeResource, r)
		if err != nil {
			return nil, nil, batch{}, err
		}
		b.set = append(b.set, n)
	}
	return shown, withheld, b, nil
}

// wrapEndpoints makes Endpoints ready to be sent; nil ones are removals.
func (v *view) wrapEndpoints(changes map[string]*xdsv1.Endpoints) (b batch, err error) {
	for key, e := range changes {
		if e == nil {
			b.removed = append(b.removed, key)
			continue
		}
		e = v.lens.endpoints(e)
		version, err := snapshot.Version(e)
		if err != nil {
			return batch{}, err
		}
		n, err := wrap(key, version, TypeEndpoints, e)
		if err != nil {
			return batch{}, err
		}
		b.set = append(b.set, n)
	}
	return b, nil
}

func wrap(key, version, typeURL string, m proto.Message) (*discovery.Resource, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &discovery.Resource{Name: key, Version: version, Resource: &anypb.Any{TypeUrl: typeURL, Value: b}}, nil
}

// publishEndpoints publishes changed endpoints.
func (v *view) publishEndpoints(changes map[string]*xdsv1.Endpoints) error {
	b, err := v.wrapEndpoints(changes)
	if err != nil {
		return err
	}
	if n := v.endpoints.sizeAfter(b); n > maxContent {
		return fmt.Errorf("the endpoints have %d bytes, more than the %d that one response may have", n, maxContent)
	}
	v.endpoints.publish(b.set, b.removed, "")
	return nil
}
