package kube

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/nantian-gw/nantian/controlplane/resources"
)

// follower watches one kind, as long as the cluster has it.
type follower struct {
	*Source
	kind resources.Kind
	// settled is closed when the kind was read once, or is known to be missing.
	settled chan struct{}
	// arrived and left have a token when the CRD has come or gone.
	arrived, left chan struct{}
}

func newFollower(s *Source, k resources.Kind) *follower {
	return &follower{Source: s, kind: k, settled: make(chan struct{}), arrived: make(chan struct{}, 1), left: make(chan struct{}, 1)}
}

// told is the channel for a CRD that has come, or gone.
func (f *follower) told(gone bool) chan struct{} {
	if gone {
		return f.left
	}
	return f.arrived
}

// hopeful is for how long a kind is tried whose CRD has arrived: until it is served takes a moment.
const hopeful = time.Minute

func (f *follower) run(ctx context.Context) {
	var until time.Time // a kind that is missing is expected until then
	for ctx.Err() == nil {
		informer, err := f.cache.GetInformer(ctx, f.kind.New(), cache.BlockUntilSynced(false))
		switch {
		case err == nil:
			f.watch(ctx, informer)
			until = time.Time{}
		case meta.IsNoMatchError(err) && time.Now().After(until):
			f.o.Log.Info("the cluster does not have this kind; it is used when its CRD is installed", "kind", f.kind.GroupVersionKind().String())
			f.settle()
			f.await(ctx, nil)
			until = time.Now().Add(hopeful)
		default:
			f.o.Log.Debug("cannot watch", "kind", f.kind.GroupVersionKind().String(), "error", err)
			timer := time.NewTimer(f.o.Retry)
			f.await(ctx, timer.C)
			timer.Stop()
		}
	}
}

// await waits for the CRD, or for the time.
func (f *follower) await(ctx context.Context, timeout <-chan time.Time) {
	select {
	case <-ctx.Done():
	case <-timeout:
	case <-f.arrived:
	}
}

// watch follows an informer until ctx ends or the CRD is gone.
func (f *follower) watch(ctx context.Context, informer cache.Informer) {
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    f.put,
		UpdateFunc: func(_, o any) { f.put(o) },
		DeleteFunc: f.remove,
	})
	if err != nil { // it has been stopped meanwhile
		f.o.Log.Debug("cannot watch", "kind", f.kind.GroupVersionKind().String(), "error", err)
		return
	}
	if !f.read(ctx, registration) {
		return
	}
	f.settle()
	select {
	case <-ctx.Done():
		return
	case <-f.left:
	}
	f.o.Log.Warn("the CRD of this kind is gone", "kind", f.kind.GroupVersionKind().String())
	f.forget(ctx)
	f.await(ctx, nil)
}

// forget ends the watch of a kind whose CRD is gone, and lets its objects go.
func (f *follower) forget(ctx context.Context) {
	select {
	case <-f.arrived: // told of the CRD that is gone
	default:
	}
	f.cache.RemoveInformer(ctx, f.kind.New())
	f.store.drop(f.kind.GroupKind)
}

// read waits until everything was read once. A CRD that goes meanwhile is noticed; an API server that is away is waited for.
func (f *follower) read(ctx context.Context, r toolscache.ResourceEventHandlerRegistration) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !r.HasSynced() {
		select {
		case <-ctx.Done():
			return false
		case <-f.left:
			f.forget(ctx)
			f.await(ctx, nil)
			return false
		case <-tick.C:
		}
	}
	return true
}

func (f *follower) settle() {
	select {
	case <-f.settled:
	default:
		close(f.settled)
	}
}

func (f *follower) put(o any) {
	if v, ok := o.(resources.Value); ok {
		f.store.put(f.kind.GroupKind, v)
	}
}

func (f *follower) remove(o any) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok { // the watch was interrupted when it went
		o = gone.Obj
	}
	if v, ok := o.(resources.Value); ok {
		f.store.remove(f.kind.GroupKind, v)
	}
}
