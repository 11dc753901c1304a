package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	k8sschema "k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// FieldManager is the owner of the fields that are applied.
const FieldManager = "nantian-controller"

// Kinds are those of the objects that are made.
func Kinds() []k8sschema.GroupVersionKind {
	return []k8sschema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("ServiceAccount"), appsv1.SchemeGroupVersion.WithKind("Deployment"), corev1.SchemeGroupVersion.WithKind("Service"),
		policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), autoscalingv2.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"),
	}
}

// Key names an object.
type Key struct {
	Kind k8sschema.GroupKind
	client.ObjectKey
}

// KeyOf is the key of an object that has its kind.
func KeyOf(o client.Object) Key {
	return Key{o.GetObjectKind().GroupVersionKind().GroupKind(), client.ObjectKeyFromObject(o)}
}

// again is how long an object that was applied is left alone: with another writer there must be no race.
const again = 2 * time.Second

// Applier applies objects where they are not as they should be. It is for one goroutine.
type Applier struct {
	// Client reaches the API server. Required.
	Client client.Client
	// Log takes what is done. Required.
	Log *slog.Logger
	// Count is told of each write: "applied", "deleted" or "error". Required.
	Count func(outcome string)

	applied map[Key]applied
}

// applied is what an object was when it was applied.
type applied struct {
	object client.Object
	mark   string
	at     time.Time
}

// mark tells whether somebody has changed an object: by its generation, or where there is none by its version.
func mark(o client.Object) string {
	if g := o.GetGeneration(); g != 0 {
		return fmt.Sprint(o.GetUID(), " ", g)
	}
	return string(o.GetUID()) + " v" + o.GetResourceVersion()
}

// Apply brings an object in line: it is applied, by server-side apply, when it is not there, when it should be different from
// what was applied before, or when somebody has changed it. live is its metadata; nil: it is not there.
func (a *Applier) Apply(ctx context.Context, o client.Object, live *metav1.PartialObjectMetadata) error {
	before := a.applied[KeyOf(o)]
	untouched := time.Since(before.at) < again || live != nil && mark(live) == before.mark && marked(o, live)
	if untouched && reflect.DeepEqual(before.object, o) {
		return nil
	}
	u, err := encode(o)
	if err != nil {
		return err
	}
	key := KeyOf(o) // the answer is decoded into u
	err = a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(FieldManager), client.ForceOwnership)
	if err != nil {
		a.Count("error")
		return fmt.Errorf("%s %s: %w", key.Kind.Kind, key.ObjectKey, err)
	}
	a.Count("applied")
	a.Log.Debug("applied", "kind", key.Kind.Kind, "object", key.ObjectKey.String())
	if a.applied == nil {
		a.applied = map[Key]applied{}
	}
	a.applied[key] = applied{o, mark(u), time.Now()}
	return nil
}

// marked says whether live has the labels and annotations of an object, which no generation counts.
func marked(o client.Object, live *metav1.PartialObjectMetadata) bool {
	return within(o.GetLabels(), live.Labels) && within(o.GetAnnotations(), live.Annotations)
}

func within(a, b map[string]string) bool {
	for k, v := range a {
		if got, ok := b[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// encode makes an object what is sent: without status and what is empty by the Go types alone.
func encode(o client.Object) (*unstructured.Unstructured, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	delete(m, "status")
	unstructured.RemoveNestedField(m, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(m, "spec", "template", "metadata", "creationTimestamp")
	return &unstructured.Unstructured{Object: m}, nil
}

// Delete deletes objects that should not be there any more.
func (a *Applier) Delete(ctx context.Context, list []*metav1.PartialObjectMetadata) error {
	var errs []error
	for _, o := range list {
		key := KeyOf(o)
		uid := o.UID
		err := client.IgnoreNotFound(a.Client.Delete(ctx, o, client.Preconditions{UID: &uid}))
		if err != nil {
			a.Count("error")
			errs = append(errs, fmt.Errorf("%s %s: %w", key.Kind.Kind, key.ObjectKey, err))
			continue
		}
		a.Count("deleted")
		a.Log.Info("deleted", "kind", key.Kind.Kind, "object", key.ObjectKey.String())
		delete(a.applied, key)
	}
	return errors.Join(errs...)
}

// Forget lets go of what is known of objects that are not there any more.
func (a *Applier) Forget(there map[Key]*metav1.PartialObjectMetadata) {
	maps.DeleteFunc(a.applied, func(k Key, was applied) bool { return there[k] == nil && time.Since(was.at) > time.Minute })
}
