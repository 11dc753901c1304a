// Package source says where the objects of the control plane come from. It is the only thing in which standalone mode and a
// cluster differ; the implementations are the packages below.
package source

import (
	"context"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// Source watches objects.
type Source interface {
	// Run calls changed with all objects, at first as they are and then after each change, changes that follow closely
	// gathered, until ctx ends. Calls do not overlap. The error says why it cannot watch; it is nil when ctx has ended.
	Run(ctx context.Context, changed func(*resources.Set)) error
}
