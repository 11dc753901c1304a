package kube

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// crds tells followers when the CRDs of their kinds come and go. It watches their metadata only: a schema may have hundreds
// of kilobytes.
type crds struct {
	*Source
}

func newCRDs(s *Source) *crds { return &crds{s} }

func definition() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(k8sschema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	return m
}

func (c *crds) run(ctx context.Context) {
	for ctx.Err() == nil {
		informer, err := c.cache.GetInformer(ctx, definition(), cache.BlockUntilSynced(false))
		if err == nil {
			_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
				AddFunc:    func(o any) { c.tell(o, false) },
				UpdateFunc: func(_, o any) { c.tell(o, false) },
				DeleteFunc: func(o any) { c.tell(o, true) },
			})
		}
		if err == nil {
			<-ctx.Done()
			return
		}
		c.o.Log.Debug("cannot watch CRDs", "error", err)
		timer := time.NewTimer(c.o.Retry)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// tell puts a token into the channels of the kinds that a CRD may define: which of its group it is its metadata does not say
// but for the plural.
func (c *crds) tell(o any, gone bool) {
	if last, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = last.Obj
	}
	m, ok := o.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	if c.bundles.note(m, gone) {
		c.store.touch()
	}
	plural, group, _ := strings.Cut(m.Name, ".")
	for _, f := range c.kinds {
		if f.kind.Group == group && pluralOf(f.kind.Kind) == plural {
			select {
			case f.told(gone) <- struct{}{}:
			default:
			}
		}
	}
}

// pluralOf is the name of a kind's resource.
func pluralOf(kind string) string {
	lower := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(lower, "y"):
		return strings.TrimSuffix(lower, "y") + "ies"
	case strings.HasSuffix(lower, "s"):
		return lower + "es"
	}
	return lower + "s"
}
