package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/nantian-gw/nantian/test/cluster/internal/programs"
)

const (
	fieldManager = "nantian-cluster"
	// settle is how long an object may fail for what comes by itself: a CRD that is being established, the service account of a
	// namespace.
	settle = time.Minute
)

// mapper finds the resources of kinds, and asks anew for kinds that it does not know.
type mapper struct {
	cache discovery.CachedDiscoveryInterface
	rest  *restmapper.DeferredDiscoveryRESTMapper
}

func newMapper(d discovery.DiscoveryInterface) *mapper {
	cache := memory.NewMemCacheClient(d)
	return &mapper{cache: cache, rest: restmapper.NewDeferredDiscoveryRESTMapper(cache)}
}

// Objects reads the objects of a YAML text.
func Objects(text []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		if err := d.Decode(&u.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("object %d: %w", len(out)+1, err)
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
	}
}

// Apply applies all objects of a YAML text, on the server's side, as "kubectl apply --server-side --force-conflicts" does. It waits
// for what an object needs and that comes by itself. Objects without a namespace go to "default".
func (c *Cluster) Apply(ctx context.Context, text string) error {
	objects, err := Objects([]byte(text))
	if err != nil {
		return err
	}
	for _, u := range objects {
		if err := c.ApplyObject(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

// ApplyFiles applies files of YAML, and those of directories, in the order of their names.
func (c *Cluster) ApplyFiles(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		files, err := yamlFiles(path)
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err == nil {
				err = c.Apply(ctx, string(text))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

func yamlFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	files, err := filepath.Glob(filepath.Join(path, "*.yaml"))
	return slices.DeleteFunc(files, func(f string) bool { return filepath.Base(f) == "kustomization.yaml" }), err
}

// ApplyObject applies one object.
func (c *Cluster) ApplyObject(ctx context.Context, u *unstructured.Unstructured) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		r, err := c.Resource(u.GroupVersionKind(), u.GetNamespace())
		if err == nil {
			_, err = r.Apply(ctx, u.GetName(), u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		}
		last = err
		if err != nil && !comes(err) {
			return false, err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", u.GetKind(), name(u), errors.Join(last, unlessSame(err, last)))
	}
	if u.GroupVersionKind().GroupKind() == (schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}) {
		return c.established(ctx, u.GetName())
	}
	return nil
}

func unlessSame(err, last error) error {
	if errors.Is(err, last) {
		return nil
	}
	return err
}

// comes reports whether an error is for want of something that comes by itself.
func comes(err error) bool {
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsInternalError(err) && strings.Contains(err.Error(), "webhook") ||
		apierrors.IsForbidden(err) && strings.Contains(err.Error(), "serviceaccount")
}

func name(u *unstructured.Unstructured) string {
	if u.GetNamespace() == "" {
		return u.GetName()
	}
	return u.GetNamespace() + "/" + u.GetName()
}

// established waits until objects of a CRD can be made.
func (c *Cluster) established(ctx context.Context, name string) error {
	crds := c.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		u, err := crds.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		return slices.ContainsFunc(conditions, func(x any) bool {
			m, ok := x.(map[string]any)
			return ok && m["type"] == "Established" && m["status"] == "True"
		}), nil
	})
	if err != nil {
		return fmt.Errorf("CRD %s is not established: %w", name, err)
	}
	return nil
}

// Resource is for the objects of a kind. The namespace is "default" if it is empty and the kind has namespaces.
func (c *Cluster) Resource(kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	m, err := c.mapper.rest.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.rest.Reset()
		m, err = c.mapper.rest.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return c.dynamic.Resource(m.Resource), nil
	}
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return c.dynamic.Resource(m.Resource).Namespace(namespace), nil
}

// Delete deletes the objects of a YAML text, the last first, and waits until they are gone. Those that are not there are no error.
func (c *Cluster) Delete(ctx context.Context, text string) error {
	objects, err := Objects([]byte(text))
	if err != nil {
		return err
	}
	slices.Reverse(objects)
	for _, u := range objects {
		if err := c.deleteObject(ctx, u); err != nil {
			return fmt.Errorf("delete %s %s: %w", u.GetKind(), name(u), err)
		}
	}
	return nil
}

func (c *Cluster) deleteObject(ctx context.Context, u *unstructured.Unstructured) error {
	r, err := c.Resource(u.GroupVersionKind(), u.GetNamespace())
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return err
	}
	policy := metav1.DeletePropagationForeground
	err = r.Delete(ctx, u.GetName(), metav1.DeleteOptions{PropagationPolicy: &policy})
	for err == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
			_, err = r.Get(ctx, u.GetName(), metav1.GetOptions{})
		}
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// install applies the CRDs that the options ask for, and waits for what a namespace needs for its pods.
func (c *Cluster) install(ctx context.Context) error {
	if ch := c.options.GatewayAPI; ch != NoGatewayAPI {
		dir, err := programs.GatewayAPI(ctx)
		if err != nil {
			return err
		}
		if err := c.ApplyFiles(ctx, filepath.Join(dir, "config", "crd", string(ch))); err != nil {
			return fmt.Errorf("Gateway API: %w", err)
		}
	}
	if err := c.ApplyFiles(ctx, c.options.CRDs...); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, settle, true, func(ctx context.Context) (bool, error) {
		_, err := c.client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
}
