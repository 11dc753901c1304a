package controller

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/nantian-gw/nantian/controlplane"
	"github.com/nantian-gw/nantian/controlplane/provision"
	"github.com/nantian-gw/nantian/controlplane/source/kube"
	"github.com/nantian-gw/nantian/controlplane/translate"
)

// provisionCheck is how often it is looked, beside all events, whether everything is as it should be.
const provisionCheck = 30 * time.Second

func metadataOf(k provision.Key) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	for _, gvk := range provision.Kinds() {
		if gvk.GroupKind() == k.Kind {
			o.SetGroupVersionKind(gvk)
		}
	}
	return o
}

// leadProvisioning keeps the data planes of Gateways as they should be.
func (c *Controller) leadProvisioning(ctx context.Context) error {
	news, stop := c.latest.subscribe()
	defer stop()
	for _, gvk := range provision.Kinds() {
		if err := c.watchOwn(ctx, metadataOf(provision.Key{Kind: gvk.GroupKind()}), news); err != nil {
			return err
		}
	}
	applier := &provision.Applier{Client: c.client, Log: c.o.Log, Count: c.metrics.provisioned}
	c.repeat(ctx, "data planes", news, provisionCheck, func(ctx context.Context) error { return c.provision(ctx, applier) })
	return nil
}

func (c *Controller) provision(ctx context.Context, a *provision.Applier) error {
	view := c.latest.get()
	if view == nil {
		return nil
	}
	there, err := c.provisioned(ctx)
	if err != nil {
		return err
	}
	a.Forget(there)
	o := provision.Options{Image: c.o.Image, XDS: c.o.Advertise, Labels: map[string]string{kube.OwnLabel: partDataPlane}, Secret: ClientSecret}
	var errs []error
	keep := map[provision.Key]bool{}
	settled := map[client.ObjectKey]bool{} // Gateways of which is known what they need
	for _, g := range view.Gateways {
		if !g.Accepted || c.going(view, g) {
			continue // what runs goes on
		}
		settled[client.ObjectKeyFromObject(g.Object)] = true
		for _, object := range provision.Objects(g, o) {
			key := provision.KeyOf(object)
			keep[key] = true
			errs = append(errs, a.Apply(ctx, object, there[key]))
		}
	}
	errs = append(errs, a.Delete(ctx, surplus(view, there, keep, settled)))
	return errors.Join(errs...)
}

// going says whether a Gateway or its namespace is being deleted: nothing can be made for it.
func (c *Controller) going(view *controlplane.View, g translate.Gateway) bool {
	ns, ok := view.Set.Namespaces.Get("", g.Object.Namespace)
	return g.Object.DeletionTimestamp != nil || ok && ns.DeletionTimestamp != nil
}

// provisioned lists the metadata of what was made for Gateways.
func (c *Controller) provisioned(ctx context.Context) (map[provision.Key]*metav1.PartialObjectMetadata, error) {
	out := map[provision.Key]*metav1.PartialObjectMetadata{}
	for _, gvk := range provision.Kinds() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := c.own.List(ctx, list, client.MatchingLabels{kube.OwnLabel: partDataPlane}); err != nil {
			return nil, err
		}
		for i := range list.Items {
			o := &list.Items[i]
			o.SetGroupVersionKind(gvk)
			out[provision.KeyOf(o)] = o
		}
	}
	return out, nil
}

// surplus is what Gateways do not need any more: those that are settled, and those that have gone to another controller. A
// class that is missing takes no data planes away, and what belongs to a Gateway that is deleted goes with it.
func surplus(view *controlplane.View, there map[provision.Key]*metav1.PartialObjectMetadata, keep map[provision.Key]bool, settled map[client.ObjectKey]bool) []*metav1.PartialObjectMetadata {
	var out []*metav1.PartialObjectMetadata
	for key, o := range there {
		if keep[key] || o.DeletionTimestamp != nil {
			continue
		}
		owner := metav1.GetControllerOfNoCopy(o)
		if owner == nil && len(o.OwnerReferences) == 1 {
			owner = &o.OwnerReferences[0]
		}
		if owner == nil {
			continue
		}
		gateway := client.ObjectKey{Namespace: o.Namespace, Name: owner.Name}
		if settled[gateway] || leftUs(view, gateway) {
			out = append(out, o)
		}
	}
	return out
}

// leftUs says whether a Gateway is of a class of another controller.
func leftUs(view *controlplane.View, gateway client.ObjectKey) bool {
	g, ok := view.Set.Gateways.Get(gateway.Namespace, gateway.Name)
	if !ok {
		return false
	}
	class, ok := view.Set.GatewayClasses.Get("", string(g.Spec.GatewayClassName))
	return ok && class.Spec.ControllerName != translate.ControllerName
}
