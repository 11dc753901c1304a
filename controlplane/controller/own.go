package controller

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nantian-gw/nantian/controlplane/source/kube"
)

// The values of kube.OwnLabel.
const (
	partCA     = "ca"
	partClient = "data-plane-certificate"
	partReport = "report"
	// partDataPlane are the objects of data planes.
	partDataPlane = "data-plane"
)

// scheme knows what the control plane reads and writes.
func scheme() (*runtime.Scheme, error) {
	s, err := kube.Scheme()
	if err != nil {
		return nil, err
	}
	return s, coordinationv1.AddToScheme(s)
}

// watchOwn pokes a channel when an object of the kind that the controller writes has changed. Nothing of the object is read
// from the event: the cache is.
func (c *Controller) watchOwn(ctx context.Context, o client.Object, news chan struct{}) error {
	informer, err := c.informer(ctx, o)
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { poke(news) }, UpdateFunc: func(any, any) { poke(news) }, DeleteFunc: func(any) { poke(news) },
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { informer.RemoveEventHandler(registration) })
	return nil
}

// informer waits for the API server, if need be.
func (c *Controller) informer(ctx context.Context, o client.Object) (cache.Informer, error) {
	for {
		informer, err := c.own.GetInformer(ctx, o, cache.BlockUntilSynced(false))
		if err == nil {
			return informer, nil
		}
		c.o.Log.Debug("cannot watch", "error", err)
		timer := time.NewTimer(minBackoff)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

// part says which part of the controller an object is.
func part(o client.Object) string { return o.GetLabels()[kube.OwnLabel] }

// ownSecrets lists the Secrets of one part, by name.
func (c *Controller) ownSecrets(ctx context.Context, of string) (map[client.ObjectKey]*corev1.Secret, error) {
	var list corev1.SecretList
	if err := c.own.List(ctx, &list, client.MatchingLabels{kube.OwnLabel: of}); err != nil {
		return nil, err
	}
	out := make(map[client.ObjectKey]*corev1.Secret, len(list.Items))
	for i := range list.Items {
		out[client.ObjectKeyFromObject(&list.Items[i])] = &list.Items[i]
	}
	return out, nil
}
