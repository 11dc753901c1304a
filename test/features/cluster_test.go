package features

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"github.com/nantian-gw/nantian/controlplane/schema"
)

// cluster is what the suite takes for one.
type cluster struct {
	t *testing.T
	// api is what is stored; client is how the tests reach it.
	api, client client.WithWatch
	schemas     *schema.Registry
	pods        *pods
	// put writes the objects to dir, where the gateway reads them.
	put func(content string)
	dir string
	// changed has a value after a change that is not yet written.
	changed chan struct{}
	// addresses are those that Gateways without any of their own were given.
	mu        sync.Mutex
	addresses map[types.NamespacedName]string
}

// newCluster makes a cluster with the CRDs and a GatewayClass.
func newCluster(t *testing.T, put func(string)) *cluster {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, gatewayv1.Install, apiextensionsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{t: t, schemas: schema.New(), put: put, changed: make(chan struct{}, 1), addresses: map[types.NamespacedName]string{}}
	c.api = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(
		&gatewayv1.GatewayClass{}, &gatewayv1.Gateway{}, &gatewayv1.HTTPRoute{}, &gatewayv1.GRPCRoute{}, &gatewayv1.TLSRoute{},
		&gatewayv1.TCPRoute{}, &gatewayv1.UDPRoute{}, &gatewayv1.BackendTLSPolicy{}, &gatewayv1.ListenerSet{},
	).WithObjects(&apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{
		Name:        "gateways." + schema.GatewayGroup,
		Annotations: map[string]string{consts.BundleVersionAnnotation: consts.BundleVersion, consts.ChannelAnnotation: "experimental"},
	}}).Build()
	c.client = interceptor.NewClient(c.api, interceptor.Funcs{Create: c.create, Update: c.update, Patch: c.patch, Delete: c.delete})
	c.pods = newPods(t, c.api)
	return c
}

func (c *cluster) create(ctx context.Context, api client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	if err := c.admit(o); err != nil {
		return err
	}
	o.SetGeneration(1)
	o.SetCreationTimestamp(metav1.NewTime(time.Now().Truncate(time.Second)))
	return c.note(api.Create(ctx, o, opts...))
}

func (c *cluster) update(ctx context.Context, api client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
	before := o.DeepCopyObject().(client.Object)
	if err := api.Get(ctx, client.ObjectKeyFromObject(o), before); err != nil {
		return err
	}
	if err := c.admit(o); err != nil {
		return err
	}
	c.count(before, o)
	o.SetCreationTimestamp(before.GetCreationTimestamp())
	return c.note(api.Update(ctx, o, opts...))
}

func (c *cluster) patch(ctx context.Context, api client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
	before := o.DeepCopyObject().(client.Object)
	if err := api.Get(ctx, client.ObjectKeyFromObject(o), before); err != nil {
		return err
	}
	if err := api.Patch(ctx, o, p, opts...); err != nil {
		return err
	}
	if err := c.admit(o); err != nil {
		return err
	}
	if c.count(before, o) {
		return c.note(api.Update(ctx, o))
	}
	return c.note(nil)
}

func (c *cluster) delete(ctx context.Context, api client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
	return c.note(api.Delete(ctx, o, opts...))
}

// note tells the writer of a change.
func (c *cluster) note(err error) error {
	select {
	case c.changed <- struct{}{}:
	default:
	}
	return err
}

// admit sets defaults and refuses what the schema of the kind refuses, as an API server does.
func (c *cluster) admit(o client.Object) error {
	gvk, err := apiutil.GVKForObject(o, c.api.Scheme())
	if err != nil || !c.schemas.Has(gvk.GroupKind()) {
		return err
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	delete(fields, "status")
	faults, err := c.schemas.Check(gvk, fields)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return apierrors.NewBadRequest(fmt.Sprintf("%s %s: %v", gvk.Kind, o.GetName(), faults))
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(fields, o)
}

// count sets the generation, one more than before where anything but metadata and status is different.
func (c *cluster) count(before, now client.Object) bool {
	changed := !reflect.DeepEqual(specOf(c.t, before), specOf(c.t, now))
	now.SetGeneration(before.GetGeneration())
	if changed {
		now.SetGeneration(before.GetGeneration() + 1)
	}
	return changed
}

func specOf(t *testing.T, o client.Object) map[string]any {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Error(err)
	}
	fields = maps.Clone(fields)
	for _, name := range []string{"apiVersion", "kind", "metadata", "status"} {
		delete(fields, name)
	}
	return fields
}

// run writes what has changed until ctx ends.
func (c *cluster) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		}
		time.Sleep(10 * time.Millisecond) // the rest of a manifest
		if err := c.write(ctx); err != nil && ctx.Err() == nil {
			c.t.Error(err)
		}
	}
}

// write brings the pods up to date and writes the objects.
func (c *cluster) write(ctx context.Context) error {
	if err := c.pods.reconcile(ctx); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, list := range []client.ObjectList{
		&corev1.NamespaceList{}, &corev1.ServiceList{}, &corev1.SecretList{}, &corev1.ConfigMapList{}, &discoveryv1.EndpointSliceList{},
		&gatewayv1.GatewayClassList{}, &gatewayv1.GatewayList{}, &gatewayv1.ListenerSetList{}, &gatewayv1.HTTPRouteList{}, &gatewayv1.GRPCRouteList{},
		&gatewayv1.TLSRouteList{}, &gatewayv1.TCPRouteList{}, &gatewayv1.UDPRouteList{},
		&gatewayv1.ReferenceGrantList{}, &gatewayv1.BackendTLSPolicyList{},
	} {
		if err := c.api.List(ctx, list); err != nil {
			return err
		}
		if err := meta.EachListItem(list, func(o runtime.Object) error { return c.writeObject(&out, o.(client.Object)) }); err != nil {
			return err
		}
	}
	c.put(out.String())
	return nil
}

func (c *cluster) writeObject(out *bytes.Buffer, o client.Object) error {
	if g, ok := o.(*gatewayv1.Gateway); ok {
		c.provision(g)
	}
	gvk, err := apiutil.GVKForObject(o, c.api.Scheme())
	if err != nil {
		return err
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return err
	}
	fields["apiVersion"], fields["kind"] = gvk.GroupVersion().String(), gvk.Kind
	delete(fields, "status")
	out.WriteString("---\n")
	return json.NewEncoder(out).Encode(fields)
}

// provision gives a Gateway without an address one of its own, as a cluster would.
func (c *cluster) provision(g *gatewayv1.Gateway) {
	nameless := func(a gatewayv1.GatewaySpecAddress) bool { return a.Value == "" }
	if len(g.Spec.Addresses) > 0 && !slices.ContainsFunc(g.Spec.Addresses, nameless) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := client.ObjectKeyFromObject(g)
	if c.addresses[name] == "" {
		c.addresses[name] = fmt.Sprintf("127.2.0.%d", len(c.addresses)+1)
	}
	g.Spec.Addresses = []gatewayv1.GatewaySpecAddress{{Type: ptr.To(gatewayv1.IPAddressType), Value: c.addresses[name]}}
}
